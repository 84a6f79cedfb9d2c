import { type Config, readProcessConfig } from './config.ts';
import { StartupError } from './errors.ts';
import { createLog } from './log.ts';
import { checkDatabase } from './storage/check-database.ts';
import { openDatabase } from './storage/database.ts';
import { migrate } from './storage/migrations/migrate.ts';
import { type SealingProgress, sealAnew } from './storage/seal-anew.ts';
import { makeKeyring, openStore, type Store } from './storage/store.ts';

const format = new Intl.NumberFormat('en').format;

/**
 * Seals every stored secret with the current encryption key, beside processes that run. The embedded default, which must
 * be stopped for it, gets a new key first, and its old one goes at the end.
 *
 * @param say takes a line for people
 * @throws {StartupError} where that can't be done, or not to the end. What is done stays done
 */
export async function rotateEncryptionKey(config: Config, say: (line: string) => void, signal?: AbortSignal) {
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const store = await openStore(config, stops, createLog('silent'));
    const { databaseUrl } = store;
    const { directDatabaseUrl } = config;
    await checkDatabase({ databaseUrl, directDatabaseUrl }, createLog('silent'));
    await migrate(directDatabaseUrl ?? databaseUrl, { log: createLog('silent'), signal });
    const ownKeys = config.encryptionKey === null ? store.dataDir : null;
    await ownKeys?.renewEncryptionKey();
    const { sealed, unreadable } = await sealAll(config, store, { say, signal });
    if (unreadable.length > 0) throw new StartupError(describeUnreadable(unreadable));
    await ownKeys?.forgetOldEncryptionKeys();
    say(
      `Done: ${format(sealed)} values were sealed anew, and nothing needs an older key any more. ${
        ownKeys
          ? `The old key is gone from ${config.dataDir}/keys.json.`
          : 'POSTHORN_OLD_ENCRYPTION_KEYS may go, once no process has an old key as its POSTHORN_ENCRYPTION_KEY.'
      }`,
    );
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

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
      say(`${format(progress.sealed)} of ${format(progress.total)} values are sealed anew.`);
      if (signal?.aborted) throw new StartupError('Interrupted. Run it again to go on: what is done stays done.');
    }
    return progress;
  } finally {
    await database.close();
  }
}

function describeUnreadable(messages: string[]): string {
  const distinct = [...new Set(messages)].join(' ');
  return `${format(messages.length)} values could not be sealed anew, all others were. Keep the old keys. ${distinct}`;
}

async function runProcess() {
  const abort = new AbortController();
  process.on('SIGINT', () => abort.abort());
  process.on('SIGTERM', () => abort.abort());
  try {
    // A worker's configuration: no operator's key is needed here.
    const config = readProcessConfig({ POSTHORN_ROLE: 'worker' });
    await rotateEncryptionKey(config, (line) => process.stdout.write(`${line}\n`), abort.signal);
  } catch (error) {
    process.stderr.write(`${error instanceof StartupError ? error.message : (error as Error).stack}\n`);
    process.exitCode = 1;
  }
}

if (import.meta.main) await runProcess();
