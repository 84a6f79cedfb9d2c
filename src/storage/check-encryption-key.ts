import type { KeyObject } from 'node:crypto';
import type { Pool } from 'pg';
import { unseal } from '../domain/sealing.ts';
import { StartupError } from '../errors.ts';

/**
 * Makes sure that the key opens what the database holds, so that a wrong one is told of at the start and not by
 * deliveries that can't be signed.
 *
 * @throws {StartupError}
 */
export async function checkEncryptionKey(pool: Pool, key: KeyObject): Promise<void> {
  const { rows } = await pool.query('select sealed from endpoint_secrets order by created_at desc limit 1');
  if (rows.length === 0) return;
  try {
    unseal(rows[0].sealed, key);
  } catch (cause) {
    throw new StartupError(
      'POSTHORN_ENCRYPTION_KEY is not the key that the secrets in this database are sealed with. Set that one.',
      { cause },
    );
  }
}
