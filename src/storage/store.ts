import type { Config } from '../config.ts';
import { Keyring } from '../domain/sealing.ts';
import type { StartupError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type DataDir, openDataDir } from './data-dir.ts';
import { superviseEmbeddedPostgres } from './supervised-postgres.ts';

/** Where everything is kept. */
export interface Store {
  databaseUrl: string;
  /** The folder of the embedded default; null: the database is one of the operator's own. */
  dataDir: DataDir | null;
  /** Resolves with the reason if the embedded database ended and cannot be restarted. */
  failed: Promise<StartupError>;
}

const NEVER = new Promise<never>(() => {});

/**
 * Opens the database that the configuration names, or starts the embedded one.
 *
 * @param stops receives functions that end it again
 * @param log for restarts of the embedded one, which are logged
 * @param signal aborts the start
 */
export async function openStore(
  config: Config,
  stops: (() => Promise<unknown>)[],
  log: Log,
  signal?: AbortSignal,
): Promise<Store> {
  if (config.databaseUrl !== null) return { databaseUrl: config.databaseUrl, dataDir: null, failed: NEVER };
  const dataDir = await openDataDir(config.dataDir);
  stops.push(dataDir.release);
  const options = { path: dataDir.path, password: dataDir.keys.databasePassword, signal };
  const postgres = await superviseEmbeddedPostgres(options, log);
  stops.push(() => postgres.stop());
  return { databaseUrl: postgres.url, dataDir, failed: postgres.failed };
}

/** The keys that seal and open secrets: as given, else those of the embedded default. */
export function makeKeyring({ encryptionKey, oldEncryptionKeys }: Config, { dataDir }: Store): Keyring {
  if (encryptionKey !== null) return new Keyring(encryptionKey, oldEncryptionKeys);
  const { keys } = dataDir as DataDir;
  const [current, ...old] = [keys.encryptionKey, ...(keys.oldEncryptionKeys ?? [])].map((key) =>
    Buffer.from(key, 'base64'),
  );
  return new Keyring(current as Buffer, [...old, ...oldEncryptionKeys]);
}
