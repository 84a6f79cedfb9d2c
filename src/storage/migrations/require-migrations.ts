import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../../errors.ts';
import type { DatabaseWaitOptions } from '../wait-for-database.ts';
import { openMigrationConnection } from './migration-connection.ts';
import { readMigrationRows } from './migration-rows.ts';
import { readMigrations } from './read-migrations.ts';

const CHECK_INTERVAL_MS = 1_000;
const LOG_INTERVAL_MS = 5_000;

/**
 * For processes that do not migrate by themselves: waits until somebody else has applied all migrations of this version.
 *
 * @throws {StartupError} if some are still missing after `databaseWaitMs`
 */
export async function requireMigrations(
  databaseUrl: string,
  { log, signal, databaseWaitMs }: DatabaseWaitOptions,
): Promise<void> {
  const startedAt = performance.now();
  let loggedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const missing = await findMissing(databaseUrl);
    if (missing.length === 0) return;
    const waitedMs = Math.round(performance.now() - startedAt);
    if (waitedMs + CHECK_INTERVAL_MS > databaseWaitMs) throw new StartupError(describeMissing(missing));
    if (performance.now() - loggedAt >= LOG_INTERVAL_MS) {
      loggedAt = performance.now();
      log.warn({ missing, waitedMs, databaseWaitMs }, 'migrations.waiting');
    }
    await sleep(CHECK_INTERVAL_MS, undefined, { signal });
  }
}

async function findMissing(databaseUrl: string): Promise<string[]> {
  const client = await openMigrationConnection(databaseUrl);
  try {
    const { applied } = await readMigrationRows(client);
    return (await readMigrations()).map(({ name }) => name).filter((name) => !applied.has(name));
  } finally {
    await client.end().catch(() => {});
  }
}

const describeMissing = (missing: string[]) =>
  `The database lacks ${missing.length === 1 ? `the migration ${missing[0]}` : `${missing.length} migrations, from ${missing[0]} on`}, ` +
  'and POSTHORN_MIGRATE is off. Run npm run migrate, or set POSTHORN_MIGRATE to on.';
