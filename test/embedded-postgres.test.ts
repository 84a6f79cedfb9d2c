import { execFileSync } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { StartupError } from '../src/errors.ts';
import { startEmbeddedPostgres } from '../src/storage/embedded-postgres.ts';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function makeFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'posthorn-embedded-'));
  cleanUps.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

const start = (path: string) => startEmbeddedPostgres({ path, password: 'test' });

/** Starts the server and expects a refusal. @returns its message, which is one line */
async function expectRefusal(path: string): Promise<string> {
  const error = await start(path).then(
    async (postgres) => {
      await postgres.stop();
      return null;
    },
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(StartupError);
  expect(error.message).not.toContain('\n');
  return error.message;
}

describe('the embedded Postgres', () => {
  it('refuses a database that another major version created, and says what to do', async () => {
    const path = await makeFolder();
    await (await start(path)).stop();
    await writeFile(join(path, 'cluster/PG_VERSION'), '17\n');
    const message = await expectRefusal(path);
    expect(message).toContain(`The database in ${join(path, 'cluster')} was created by PostgreSQL 17`);
    expect(message).toMatch(
      /the embedded Postgres is version \d+\.\d+, which cannot read it\. Dump it with PostgreSQL 17/,
    );
    expect(message).toContain('POSTHORN_DATA_DIR');
    await writeFile(join(path, 'cluster/PG_VERSION'), '18\n');
    await (await start(path)).stop();
  }, 60_000);
});

/** A file system of this size in memory, which only root can mount. @returns its path; null if it can't be mounted */
async function mountDisk(megabytes: number): Promise<string | null> {
  const path = await makeFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'posthorn-test', path], { stdio: 'ignore' });
  } catch {
    return null;
  }
  cleanUps.push(() => execFileSync('umount', ['--lazy', path]));
  return path;
}

async function fill(path: string) {
  const file = await open(join(path, 'filler'), 'w');
  const block = Buffer.alloc(65_536);
  try {
    for (;;) await file.write(block);
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
  } finally {
    await file.close();
  }
}

const DISK_FULL =
  /^The embedded Postgres could not start, because the disk of \S+ is full .+ set POSTHORN_DATA_DIR to /;

describe('the embedded Postgres on a disk that is full', () => {
  it('says so if the database can not be created, and leaves nothing of it', async ({ skip }) => {
    const path = await mountDisk(8);
    if (path === null) return skip('This user may not mount a file system.');
    expect(await expectRefusal(path)).toMatch(DISK_FULL);
    execFileSync('mount', ['-o', 'remount,size=256m', path]);
    await (await start(path)).stop();
  }, 60_000);

  it('says so if an existing database can not be started, and starts when there is space', async ({ skip }) => {
    const path = await mountDisk(256);
    if (path === null) return skip('This user may not mount a file system.');
    await (await start(path)).stop();
    await fill(path);
    expect(await expectRefusal(path)).toMatch(DISK_FULL);
    await rm(join(path, 'filler'));
    await (await start(path)).stop();
  }, 60_000);
});
