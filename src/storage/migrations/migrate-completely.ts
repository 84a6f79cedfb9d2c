import { openPool } from '../database.ts';
import type { LockWaitOptions } from './lock-waiting.ts';
import { migrate } from './migrate.ts';
import { runOnlineSteps } from './online-migrations.ts';

/**
 * Applies all migrations and finishes all online steps.
 *
 * @param databaseUrl leads to Postgres itself, not to a pooler
 * @throws {StartupError} as {@link migrate}
 */
export async function migrateCompletely(databaseUrl: string, options: LockWaitOptions): Promise<void> {
  const { log, signal = new AbortController().signal } = options;
  await migrate(databaseUrl, options);
  const pool = openPool(databaseUrl, log);
  try {
    await runOnlineSteps({ pool, databaseUrl, log }, signal);
  } finally {
    await pool.end();
  }
}
