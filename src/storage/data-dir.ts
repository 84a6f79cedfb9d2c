import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ENCRYPTION_KEY_BYTES } from '../config.ts';
import { lockFolder } from './folder-lock.ts';

const KEYS_FILE = 'keys.json';

/** What the embedded default makes for itself at its first start. */
export interface GeneratedKeys {
  rootKey: string;
  /** 32 bytes in base64. */
  encryptionKey: string;
  /** Those before it, while there may be something that is sealed with them. */
  oldEncryptionKeys?: string[];
  databasePassword: string;
}

/** The folder of the embedded default, with the keys in it. */
export class DataDir {
  readonly path: string;
  keys: GeneratedKeys;
  /** True when opening it made the keys. */
  readonly isNew: boolean;
  /** Gives the folder free for another Posthorn. */
  readonly release: () => Promise<void>;

  constructor({ path, keys, isNew, release }: Pick<DataDir, 'path' | 'keys' | 'isNew' | 'release'>) {
    this.path = path;
    this.keys = keys;
    this.isNew = isNew;
    this.release = release;
  }

  /** Makes a new encryption key beside the one there is, or leaves the two where that has happened before. */
  async renewEncryptionKey(): Promise<void> {
    if (this.keys.oldEncryptionKeys) return;
    await this.#save({
      ...this.keys,
      encryptionKey: makeEncryptionKey(),
      oldEncryptionKeys: [this.keys.encryptionKey],
    });
  }

  async forgetOldEncryptionKeys(): Promise<void> {
    const { oldEncryptionKeys: _, ...keys } = this.keys;
    await this.#save(keys);
  }

  async #save(keys: GeneratedKeys) {
    await writeKeys(this.path, keys);
    this.keys = keys;
  }
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
  return new DataDir({ path: absolutePath, release, ...(await openKeys(absolutePath)) });
}

async function openKeys(path: string) {
  const stored = await readFile(join(path, KEYS_FILE), 'utf8').catch(rethrowUnlessMissing);
  if (stored) return { keys: JSON.parse(stored) as GeneratedKeys, isNew: false };
  const keys = generateKeys();
  await writeKeys(path, keys);
  return { keys, isNew: true };
}

/** All of them or, where this is cut off, none. */
async function writeKeys(path: string, keys: GeneratedKeys) {
  const file = join(path, KEYS_FILE);
  await writeFile(`${file}.new`, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600, flush: true });
  await chmod(`${file}.new`, 0o600);
  await rename(`${file}.new`, file);
}

const makeEncryptionKey = () => randomBytes(ENCRYPTION_KEY_BYTES).toString('base64');

function generateKeys(): GeneratedKeys {
  return {
    rootKey: `phr_${randomBytes(32).toString('base64url')}`,
    encryptionKey: makeEncryptionKey(),
    databasePassword: randomBytes(24).toString('base64url'),
  };
}

function rethrowUnlessMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
