import { copyFile, link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../errors.ts';

/** How long whoever takes over a folder waits for others that do the same. */
const TAKE_OVER_MS = 200;

/**
 * One Posthorn per folder: its process ID stands in a file, which is there with its text or not at all.
 *
 * @returns a function that gives the folder free
 * @throws {StartupError} where another process has it
 */
export async function lockFolder(path: string): Promise<() => Promise<void>> {
  const file = join(path, 'owner.pid');
  const own = `${file}.${process.pid}`;
  await writeFile(own, String(process.pid), { mode: 0o600 });
  try {
    while (!(await tryLink(own, file))) {
      if ((await readOwner(file, path)) === null) continue;
      // Left over from one that was killed. Of several that take it over at once, the last stays.
      await copyFile(own, `${own}.new`);
      await rename(`${own}.new`, file);
      await sleep(TAKE_OVER_MS);
      if ((await readOwner(file, path)) === process.pid) break;
    }
  } finally {
    await rm(own, { force: true });
  }
  return () => rm(file, { force: true });
}

/**
 * @returns the process ID in the file: of this process, or of one that is dead. Null: there is no file
 * @throws {StartupError} where it is that of another process, and it lives
 */
async function readOwner(file: string, path: string): Promise<number | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  const owner = Number(text);
  if (owner > 0 && owner !== process.pid && isAlive(owner)) {
    throw new StartupError(
      `Another Posthorn (process ${owner}) uses ${path}. Stop it, or set POSTHORN_DATA_DIR to another folder.`,
    );
  }
  return owner;
}

/** @returns false where the file is there already */
async function tryLink(from: string, file: string): Promise<boolean> {
  try {
    await link(from, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether there is a process of that ID. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
