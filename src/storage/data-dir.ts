import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ENCRYPTION_KEY_BYTES } from '../config.ts';
import { lockFolder } from './folder-lock.ts';

/** What the embedded default makes for itself at its first start. */
export interface GeneratedKeys {
  rootKey: string;
  /** 32 bytes in base64. */
  encryptionKey: string;
  databasePassword: string;
}

export interface DataDir {
  path: string;
  keys: GeneratedKeys;
  /** True when this call made the keys. */
  isNew: boolean;
  /** Gives the folder free for another Posthorn. */
  release: () => Promise<void>;
}

/**
 * Opens the folder of the embedded default for this process alone; at the first time makes it, with keys that only its
 * owner can read.
 *
 * @throws {StartupError} where another process uses the folder
 */
export async function openDataDir(path: string): Promise<DataDir> {
  const absolutePath = resolve(path);
  await mkdir(absolutePath, { recursive: true, mode: 0o700 });
  const release = await lockFolder(absolutePath);
  return { path: absolutePath, release, ...(await openKeys(join(absolutePath, 'keys.json'))) };
}

async function openKeys(file: string) {
  const stored = await readFile(file, 'utf8').catch(rethrowUnlessMissing);
  if (stored) return { keys: JSON.parse(stored) as GeneratedKeys, isNew: false };
  const keys = generateKeys();
  await writeFile(`${file}.new`, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600 });
  await chmod(`${file}.new`, 0o600);
  await rename(`${file}.new`, file);
  return { keys, isNew: true };
}

function generateKeys(): GeneratedKeys {
  return {
    rootKey: `phr_${randomBytes(32).toString('base64url')}`,
    encryptionKey: randomBytes(ENCRYPTION_KEY_BYTES).toString('base64'),
    databasePassword: randomBytes(24).toString('base64url'),
  };
}

function rethrowUnlessMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
