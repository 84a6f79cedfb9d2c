import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { access, chown, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { StartupError } from '../errors.ts';

const run = promisify(execFile);

/** The smallest ID that Postgres gives to a database that somebody created. */
const OWN_DATABASE_ID_MIN = 16_384;

/** Paths of programs of Postgres. */
export interface Binaries {
  postgres: string;
  initdb: string;
}

/** How to start a program of Postgres: words before its command line, and the user that runs it. */
export interface Launcher {
  prefix: string[];
  uid?: number;
}

export interface ClusterOptions {
  binaries: Binaries;
  launcher: Launcher;
  /** Folder of the cluster. Others with its name and a suffix may be created and removed next to it. */
  dataPath: string;
  user: string;
  password: string;
  signal?: AbortSignal;
}

/**
 * Creates the cluster if it is missing. It is complete or missing: it is created under another name and then renamed, so a
 * process may be killed at any point. What version 0.1.0 left of a cluster in that case is replaced.
 *
 * @throws {StartupError} if initdb fails, or the disk is full
 */
export async function createCluster(options: ClusterOptions): Promise<void> {
  const { dataPath, signal } = options;
  const passwordFile = join(dirname(dataPath), 'initial-password');
  if ((await exists(join(dataPath, 'PG_VERSION'))) && !(await isUnfinished(dataPath, passwordFile))) return;
  await removeLeftovers(dataPath);
  // A name of its own, because the initdb of a killed process may still be running.
  const newPath = `${dataPath}.${randomUUID()}`;
  try {
    await initialise(options, newPath, passwordFile);
    await rm(passwordFile, { force: true });
    await rm(dataPath, { recursive: true, force: true });
    await rename(newPath, dataPath);
  } catch (error) {
    await rm(newPath, { recursive: true, force: true }).catch(() => {});
    const diskFault = describeDiskFault((error as Error).message, dataPath);
    throw diskFault === null || signal?.aborted ? error : new StartupError(diskFault, { cause: error });
  }
}

/**
 * Version 0.1.0 created the cluster in place. It removed the file with the password afterwards, and created a database when
 * the cluster was complete. If the file is there and that database is not, the cluster holds nothing.
 */
async function isUnfinished(dataPath: string, passwordFile: string): Promise<boolean> {
  if (!(await exists(passwordFile))) return false;
  const names = await readdir(join(dataPath, 'base')).catch((error: NodeJS.ErrnoException) => {
    // Whatever can't be read may hold a database.
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return !names.some((name) => Number(name) >= OWN_DATABASE_ID_MIN);
}

/** Of starts that were killed. What can't be removed because it is still being written is left for the next start. */
async function removeLeftovers(dataPath: string) {
  const folder = dirname(dataPath);
  const names = (await readdir(folder)).filter((name) => name.startsWith(`${basename(dataPath)}.`));
  await Promise.allSettled(names.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

async function initialise(options: ClusterOptions, newPath: string, passwordFile: string) {
  const { binaries, launcher, user, password, signal } = options;
  const { uid } = launcher;
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (uid !== undefined) await chown(passwordFile, uid, uid);
  const words = [...launcher.prefix, binaries.initdb, '--pgdata', newPath, '--username', user];
  words.push('--auth', 'scram-sha-256', '--pwfile', passwordFile, '--encoding', 'UTF8', '--locale', 'C');
  try {
    await run(words[0] as string, words.slice(1), { uid, gid: uid, signal });
  } catch (cause) {
    signal?.throwIfAborted();
    const { stderr = '' } = cause as { stderr?: string };
    const reason = stderr.split('\n').find((line) => IS_DISK_FULL.test(line)) ?? lastLineOf(stderr) ?? String(cause);
    throw new StartupError(
      `The embedded Postgres could not be set up (${reason}). Run as another user, or set DATABASE_URL.`,
      { cause },
    );
  }
}

/** Words of the C library for ENOSPC and EDQUOT, which Postgres repeats, and codes of Node. */
const IS_DISK_FULL = /No space left on device|Disk quota exceeded|\b(ENOSPC|EDQUOT)\b/;

/** @returns what to do, if a message says that the disk of the cluster is full; otherwise null */
export function describeDiskFault(message: string, dataPath: string): string | null {
  if (!IS_DISK_FULL.test(message)) return null;
  return `The embedded Postgres could not start, because the disk of ${dataPath} is full or its quota is exceeded. Free some space, or set POSTHORN_DATA_DIR to a folder on another disk.`;
}

const lastLineOf = (text: string): string | undefined => text.trim().split('\n').at(-1) || undefined;

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
