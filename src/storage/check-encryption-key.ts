import type { Pool } from 'pg';
import { type Keyring, SEAL_PREFIX_BYTES } from '../domain/sealing.ts';
import { StartupError } from '../errors.ts';
import { SEALED_COLUMNS, type SealedColumn } from './sealed-columns.ts';

/**
 * Makes sure that the keys open all that the database holds, so that a missing one is told of at the start and not by
 * deliveries that can't be signed.
 *
 * @throws {StartupError}
 */
export async function checkEncryptionKey(pool: Pool, keyring: Keyring): Promise<void> {
  const statement = SEALED_COLUMNS.map(selectDoubtful).join(' union all ');
  const { rows } = await pool.query(statement, [keyring.prefixes]);
  for (const { sealed, table, column, id } of rows) {
    try {
      keyring.open(sealed, { table, column, id });
    } catch (cause) {
      throw new StartupError(
        'POSTHORN_ENCRYPTION_KEY is not the key that all secrets in this database are sealed with. If it is a new key, ' +
          'set the one before it in POSTHORN_OLD_ENCRYPTION_KEYS until `npm run rotate-encryption-key` has sealed ' +
          'everything anew. If the key was changed and this process has the old one, set the new one. ' +
          `(This process has key ${keyring.currentKeyId}. ${(cause as Error).message})`,
        { cause },
      );
    }
  }
}

/** One value that names no key, which only a try can tell, and one that names a key that is not there. */
const selectDoubtful = ({ table, column }: SealedColumn) => `
  (select ${column} as sealed, id, '${table}' as table, '${column}' as column
   from ${table} where get_byte(${column}, 0) = 1 limit 1)
  union all
  (select ${column}, id, '${table}', '${column}' from ${table}
   where get_byte(${column}, 0) <> 1 and substring(${column} from 1 for ${SEAL_PREFIX_BYTES}) <> all($1::bytea[]) limit 1)`;
