import type { Config } from '../config.ts';
import { Keyring } from '../domain/sealing.ts';
import { type DataDir, openDataDir } from './data-dir.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';

/** Where everything is kept. */
export interface Store {
  databaseUrl: string;
  /** The folder of the embedded default; null: the database is one of the operator's own. */
  dataDir: DataDir | null;
}

/** Opens the database that the configuration names, or starts the embedded one. @param stops gets what ends it again */
export async function openStore(config: Config, stops: (() => Promise<unknown>)[]): Promise<Store> {
  if (config.databaseUrl !== null) return { databaseUrl: config.databaseUrl, dataDir: null };
  const dataDir = await openDataDir(config.dataDir);
  stops.push(dataDir.release);
  const postgres = await startEmbeddedPostgres({ path: dataDir.path, password: dataDir.keys.databasePassword });
  stops.push(() => postgres.stop());
  return { databaseUrl: postgres.url, dataDir };
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
