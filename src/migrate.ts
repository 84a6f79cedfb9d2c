import { readCommandLine } from './cli/command.ts';
import { catchStopSignals } from './cli/stop-signals.ts';
import { type Config, readProcessConfig } from './config.ts';
import { StartupError } from './errors.ts';
import { createLog, type Log } from './log.ts';
import { DeliveryQueue } from './queue/delivery-queue.ts';
import { checkDatabase } from './storage/check-database.ts';
import { describeStartFailure } from './storage/connect-failure.ts';
import { openPool } from './storage/database.ts';
import { migrateCompletely } from './storage/migrations/migrate-completely.ts';
import { nameInSchema, schemaOf } from './storage/session-settings.ts';
import { openStore } from './storage/store.ts';
import { waitForDatabase } from './storage/wait-for-database.ts';

const HELP = `Brings the database up to this version: applies the migrations that are missing, then builds indexes and fills rows
that processes would otherwise do in the background. May run alongside processes, and may be interrupted and run again.

  npm run migrate

Reads the same environment variables as npm start. Prints progress as lines of the log, and ends with code 0 when everything is
done. Set POSTHORN_MIGRATE=off for processes that are to leave migrations to this command.
`;

/**
 * Brings the database up to this version.
 *
 * @throws {StartupError} if that can't be done. What is done stays done
 */
export async function migrateDatabase(config: Config, log: Log, signal?: AbortSignal): Promise<void> {
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const store = await openStore(config, stops, log, signal);
    const options = { log, signal, databaseWaitMs: config.databaseWaitMs };
    const given = { databaseUrl: store.databaseUrl, directDatabaseUrl: config.directDatabaseUrl };
    await waitForDatabase(async () => {
      const urls = await checkDatabase(given, log);
      const directUrl = urls.directDatabaseUrl ?? urls.databaseUrl;
      // The queue first: processes that wait for migrations need it, too.
      await createQueue(directUrl, log);
      await migrateCompletely(directUrl, options);
    }, options);
  } catch (error) {
    throw describeStartFailure(error);
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function createQueue(databaseUrl: string, log: Log) {
  const pool = openPool(databaseUrl, log);
  const queue = new DeliveryQueue({
    pool,
    log,
    supervise: false,
    schema: nameInSchema(schemaOf(databaseUrl), 'pgboss'),
  });
  try {
    await queue.start();
  } finally {
    await queue.stop();
    await pool.end();
  }
}

async function runProcess() {
  readCommandLine({ usage: 'npm run migrate --', help: HELP });
  const { signal } = catchStopSignals();
  try {
    // A worker's configuration: no operator's key is needed here.
    const config = readProcessConfig({ POSTHORN_ROLE: 'worker' });
    await migrateDatabase(config, createLog(config.logLevel), signal);
    process.stderr.write('The database is up to date.\n');
  } catch (error) {
    const line = signal.aborted ? 'Interrupted. Run it again to continue: what is done stays done.' : null;
    process.stderr.write(`${line ?? (error instanceof StartupError ? error.message : (error as Error).stack)}\n`);
    process.exitCode = 1;
  }
}

if (import.meta.main) await runProcess();
