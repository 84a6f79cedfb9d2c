import { readCommandLine } from './cli/command.ts';
import { exitOnFailure } from './cli/failure.ts';
import { catchStopSignals } from './cli/stop-signals.ts';
import { type Config, readProcessConfig } from './config.ts';
import { isDatabaseUnavailable } from './database-errors.ts';
import { StartupError } from './errors.ts';
import { createLog } from './log.ts';
import { checkDatabase } from './storage/check-database.ts';
import { describeStartFailure } from './storage/connect-failure.ts';
import type { DataDir } from './storage/data-dir.ts';
import { openDatabase } from './storage/database.ts';
import { migrate } from './storage/migrations/migrate.ts';
import { requireMigrations } from './storage/migrations/require-migrations.ts';
import { type SealingProgress, sealAnew } from './storage/seal-anew.ts';
import { makeKeyring, openStore, type Store } from './storage/store.ts';
import { isDatabaseAway, waitForDatabase } from './storage/wait-for-database.ts';

const CONTINUE = 'Run it again to continue: what is done stays done.';
const INTERRUPTED = `Interrupted. ${CONTINUE}`;
const format = new Intl.NumberFormat('en').format;

/**
 * Seals every stored secret with the current encryption key, beside processes that run. The embedded default, which must
 * be stopped for it, gets a new key first, and its old one is retired at the end.
 *
 * @param say takes a line for people
 * @throws {StartupError} where that can't be done, or not to the end. What is done stays done
 */
export async function rotateEncryptionKey(config: Config, say: (line: string) => void, signal?: AbortSignal) {
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const opened = await openStore(config, stops, createLog('silent'), signal);
    const store = { ...opened, databaseUrl: await prepareDatabase(config, opened, { say, signal }) };
    const ownKeys = config.encryptionKey === null ? store.dataDir : null;
    await ownKeys?.startRotation();
    const { sealed, unreadable } = await sealAll(config, store, { say, signal });
    if (unreadable.length > 0) throw new StartupError(describeUnreadable(unreadable));
    await ownKeys?.finishRotation();
    say(`Done: ${format(sealed)} values were encrypted again with the current key. ${describeOldKey(ownKeys)}`);
  } catch (error) {
    throw describeFailure(error);
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** As a start does. @returns the URL to use */
async function prepareDatabase(config: Config, { databaseUrl }: Store, { say, signal }: Running): Promise<string> {
  const { directDatabaseUrl, databaseWaitMs, migrates } = config;
  const log = createLog('silent');
  const waiting = { log, signal, databaseWaitMs };
  let hasTold = false;
  const tellToWait = (error: unknown): never => {
    if (!hasTold && databaseWaitMs > 0 && isDatabaseAway(error)) say('Waiting for the database.');
    hasTold = true;
    throw error;
  };
  const whenReachable = <T>(work: () => Promise<T>) => waitForDatabase(() => work().catch(tellToWait), waiting);
  const urls = await whenReachable(() => checkDatabase({ databaseUrl, directDatabaseUrl }, log));
  const directUrl = urls.directDatabaseUrl ?? urls.databaseUrl;
  if (migrates) await whenReachable(() => migrate(directUrl, waiting));
  else await whenReachable(() => requireMigrations(directUrl, waiting));
  return urls.databaseUrl;
}

/** In one line, if the database is to blame. */
function describeFailure(error: unknown): unknown {
  if (error instanceof StartupError || !isDatabaseUnavailable(error)) return describeStartFailure(error);
  return new StartupError(`The database went away (${(error as Error).message}). ${CONTINUE}`, { cause: error });
}

const describeOldKey = (dataDir: DataDir | null) =>
  dataDir === null
    ? 'Remove POSTHORN_OLD_ENCRYPTION_KEYS as soon as no process has an old key as its POSTHORN_ENCRYPTION_KEY. Keep the old keys elsewhere as long as you keep backups from before.'
    : `The old key is retired. It stays in ${dataDir.keysFile} ("retiredEncryptionKeys") for backups from before this rotation: to restore one, set POSTHORN_OLD_ENCRYPTION_KEYS to it.`;

interface Running {
  say: (line: string) => void;
  signal: AbortSignal | undefined;
}

async function sealAll(config: Config, store: Store, { say, signal }: Running): Promise<SealingProgress> {
  const database = openDatabase(store.databaseUrl, createLog('silent'), {
    isPooled: config.directDatabaseUrl !== null,
  });
  try {
    let progress: SealingProgress = { sealed: 0, total: 0, unreadable: [] };
    for await (progress of sealAnew(database.pool, makeKeyring(config, store))) {
      say(`${format(progress.sealed)} of ${format(progress.total)} values are encrypted again.`);
      if (signal?.aborted) throw new StartupError(INTERRUPTED);
    }
    return progress;
  } finally {
    await database.close();
  }
}

function describeUnreadable(messages: string[]): string {
  const distinct = [...new Set(messages)].join(' ');
  return `${format(messages.length)} values could not be encrypted again, all others were. Keep the old keys. ${distinct}`;
}

const HELP = `Encrypts every stored secret again with the current encryption key. Running it again continues or changes nothing.

  npm run rotate-encryption-key

With DATABASE_URL: set POSTHORN_ENCRYPTION_KEY to the new key and POSTHORN_OLD_ENCRYPTION_KEYS to the ones before, for all
processes first. They may keep running.
With the embedded Postgres: stop Posthorn first. The command generates a new key, and keeps the old one in keys.json
below POSTHORN_DATA_DIR ("retiredEncryptionKeys").

  --help         prints this text
  --version      prints the version
`;

async function runProcess() {
  const { signal } = catchStopSignals();
  readCommandLine({ usage: 'npm run rotate-encryption-key --', help: HELP });
  try {
    // A worker's configuration: no operator's key is needed here.
    const config = readProcessConfig({ POSTHORN_ROLE: 'worker' });
    await rotateEncryptionKey(config, (line) => process.stdout.write(`${line}\n`), signal);
  } catch (error) {
    exitOnFailure(signal.aborted ? new StartupError(INTERRUPTED) : error);
  }
}

if (import.meta.main) await runProcess();
