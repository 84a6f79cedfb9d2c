import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { ENCRYPTION_KEY_BYTES } from '../config.ts';
import { StartupError } from '../errors.ts';
import { lockFolder } from './folder-lock.ts';

const KEYS_FILE = 'keys.json';

const base64Key = z.string().refine((text) => Buffer.from(text, 'base64').length === ENCRYPTION_KEY_BYTES);

const generatedKeysSchema = z.object({
  rootKey: z.string().min(1),
  /** False until a terminal has shown the operator's key. */
  isRootKeyShown: z.boolean().default(false),
  /** 32 bytes in base64. */
  encryptionKey: base64Key,
  /** The keys before it while a rotation is under way, else absent. */
  oldEncryptionKeys: z.array(base64Key).optional(),
  /** The keys of finished rotations, the latest first. Nothing reads them, but backups from before may need them. */
  retiredEncryptionKeys: z.array(base64Key).optional(),
  databasePassword: z.string().min(1),
});

/** The keys that the embedded default generates at its first start, as its file keeps them. */
export type GeneratedKeys = z.output<typeof generatedKeysSchema>;

/** The folder of the embedded default, with the keys in it. */
export class DataDir {
  /** Absolute. */
  readonly path: string;
  keys: GeneratedKeys;
  /** Gives the folder free for another Posthorn. */
  readonly release: () => Promise<void>;

  constructor({ path, keys, release }: Pick<DataDir, 'path' | 'keys' | 'release'>) {
    this.path = path;
    this.keys = keys;
    this.release = release;
  }

  /** Absolute path of the file with the keys. */
  get keysFile(): string {
    return join(this.path, KEYS_FILE);
  }

  /** Generates a new encryption key and keeps the current one as an old one. Does nothing if a rotation is under way. */
  async startRotation(): Promise<void> {
    if (this.keys.oldEncryptionKeys) return;
    await this.#save({
      ...this.keys,
      encryptionKey: makeEncryptionKey(),
      oldEncryptionKeys: [this.keys.encryptionKey],
    });
  }

  /** Retires the old keys: they stay in the file, and nothing is accepted that was made with them. */
  async finishRotation(): Promise<void> {
    const { oldEncryptionKeys = [], retiredEncryptionKeys = [], ...keys } = this.keys;
    await this.#save({ ...keys, retiredEncryptionKeys: [...oldEncryptionKeys, ...retiredEncryptionKeys] });
  }

  /** Records that the operator has seen their key. */
  async confirmRootKeyShown(): Promise<void> {
    if (!this.keys.isRootKeyShown) await this.#save({ ...this.keys, isRootKeyShown: true });
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
  // Node's mkdir does not return for folders in there.
  if (/^\/proc(\/|$)/.test(absolutePath)) {
    throw new StartupError(
      `The data directory ${absolutePath} cannot be used: /proc stores no files. Set POSTHORN_DATA_DIR to another folder.`,
    );
  }
  try {
    await mkdir(absolutePath, { recursive: true, mode: 0o700 });
    const release = await lockFolder(absolutePath);
    try {
      return new DataDir({ path: absolutePath, release, keys: await openKeys(absolutePath) });
    } catch (error) {
      await release();
      throw error;
    }
  } catch (error) {
    throw describeFolderError(error as NodeJS.ErrnoException, absolutePath);
  }
}

const OTHER_FOLDER = 'or set POSTHORN_DATA_DIR to another folder';

/** What to do about an error of the file system, by its code. */
const FOLDER_ERRORS: Record<string, string> = {
  EACCES: `permission denied. Give this user access to it, ${OTHER_FOLDER}.`,
  EPERM: `permission denied. Give this user access to it, ${OTHER_FOLDER}.`,
  EROFS: `its file system is read-only. Mount it writable, ${OTHER_FOLDER}.`,
  ENOSPC: `its disk is full. Free some space, ${OTHER_FOLDER}.`,
  EDQUOT: `the disk quota is exceeded. Free some space, ${OTHER_FOLDER}.`,
  EEXIST: `a file is in its place. Remove that, ${OTHER_FOLDER}.`,
  ENOTDIR: `a file is in place of a folder of this path. Remove that, ${OTHER_FOLDER}.`,
};

function describeFolderError(error: NodeJS.ErrnoException, path: string): Error {
  if (error instanceof StartupError || error.code === undefined) return error;
  const advice = FOLDER_ERRORS[error.code] ?? `${error.message}. Repair that, ${OTHER_FOLDER}.`;
  return new StartupError(`The data directory ${path} cannot be used: ${advice}`, { cause: error });
}

async function openKeys(path: string): Promise<GeneratedKeys> {
  const file = join(path, KEYS_FILE);
  const stored = await readFile(file, 'utf8').catch(rethrowUnlessMissing);
  if (stored !== null) return parseKeys(stored, file);
  if (await hasCluster(path)) {
    throw new StartupError(
      `${file} is missing, and the data in ${path} cannot be decrypted without it. Restore it from a backup, ${OTHER_FOLDER}.`,
    );
  }
  const keys = generateKeys();
  await writeKeys(path, keys);
  return keys;
}

function parseKeys(text: string, file: string): GeneratedKeys {
  const refuse = (reason: string) =>
    new StartupError(
      `${file} is damaged (${reason}). Restore it from a backup: the data beside it cannot be decrypted without it. To start over, move the whole folder away.`,
    );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's message may quote a key.
    throw refuse('not valid JSON');
  }
  const { data, error } = generatedKeysSchema.safeParse(json);
  if (data) return data;
  throw refuse(`no valid ${String(error.issues[0]?.path[0] ?? 'content')}`);
}

/** Whether a database is in the folder. */
const hasCluster = (path: string): Promise<boolean> =>
  stat(join(path, 'cluster', 'PG_VERSION')).then(
    () => true,
    () => false,
  );

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
    isRootKeyShown: false,
    encryptionKey: makeEncryptionKey(),
    databasePassword: randomBytes(24).toString('base64url'),
  };
}

function rethrowUnlessMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
