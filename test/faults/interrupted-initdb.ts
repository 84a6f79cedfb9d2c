import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StartFault } from './interrupted-starts.ts';

const ROOT = join(import.meta.dirname, '../..');
const POLL_MS = 2;

type Moment = (folder: string) => boolean;

/** Whether a file of the cluster that is being created exists. */
const hasNew =
  (path: string): Moment =>
  (folder) =>
    existsSync(folder) &&
    readdirSync(folder).some((name) => name.startsWith('cluster.') && existsSync(join(folder, name, path)));
const has =
  (path: string): Moment =>
  (folder) =>
    existsSync(join(folder, path));

/** In the order of a first start with the embedded Postgres. */
const MOMENTS: Record<string, Moment> = {
  'its folder exists': existsSync,
  'its keys exist': has('keys.json'),
  'initdb has begun': hasNew(''),
  'the cluster has a version': hasNew('PG_VERSION'),
  'the cluster has a control file': hasNew('global/pg_control'),
  'the cluster has its first database': hasNew('base/1/PG_VERSION'),
  'the cluster has its last database': hasNew('base/5/PG_VERSION'),
  'the cluster is complete': has('cluster/PG_VERSION'),
  'Postgres has started': has('cluster/postmaster.pid'),
};

/** How a process is ended: itself, or with the processes that it has started, as a terminal does. */
const WAYS = [
  { signal: 'SIGKILL', isGroup: false },
  { signal: 'SIGKILL', isGroup: true },
  { signal: 'SIGINT', isGroup: true },
] as const;

export const INITDB_FAULT: StartFault = {
  name: 'initdb-kill',
  title: 'the process ended (SIGKILL, SIGINT) at nine moments while it creates the embedded Postgres',
  run: async (_adminUrl, pointsMax) => {
    const failures: string[] = [];
    const points = Object.entries(MOMENTS).flatMap(([name, moment]) => WAYS.map((way) => ({ name, moment, way })));
    const chosen =
      pointsMax === null ? points : points.filter((_, index) => index % Math.ceil(points.length / pointsMax) === 4);
    for (const { name, moment, way } of chosen) {
      const failure = await withFolder(async (folder) => {
        const child = spawnIn(folder);
        const ended = once(child, 'close');
        while (!moment(folder) && child.exitCode === null) await sleep(POLL_MS);
        process.kill(way.isGroup ? -(child.pid as number) : (child.pid as number), way.signal);
        await ended;
        return startAgain(folder);
      });
      if (failure !== null) failures.push(`After ${way.signal} when ${name}: ${failure}`);
    }
    return { runs: chosen.length, failures };
  },
};

/** What version 0.1.0 left in a data folder if it was killed during initdb. @returns what did not work, or `null` */
export const continueOldInitdb = (): Promise<string | null> =>
  withFolder(async (folder) => {
    await mkdir(join(folder, 'cluster/base/1'), { recursive: true });
    await writeFile(join(folder, 'cluster/PG_VERSION'), '18\n');
    await writeFile(join(folder, 'initial-password'), 'password');
    const keys = {
      rootKey: 'k'.repeat(40),
      encryptionKey: Buffer.alloc(32, 1).toString('base64'),
      databasePassword: 'password',
    };
    await writeFile(join(folder, 'keys.json'), JSON.stringify(keys), { mode: 0o600 });
    return startAgain(folder);
  });

async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const parent = await mkdtemp(join(tmpdir(), 'posthorn-initdb-'));
  try {
    return await work(join(parent, 'data'));
  } finally {
    await rm(parent, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
  }
}

/** @returns what did not work, or `null` */
async function startAgain(folder: string): Promise<string | null> {
  const child = spawnIn(folder);
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) return output;
  const left = readdirSync(folder).filter((name) => name.startsWith('cluster.') || name === 'initial-password');
  return left.length > 0 ? `${left.join()} was left.` : null;
}

/** In a process group of its own. `npm run migrate` starts the embedded Postgres as `npm start` does, and ends. */
const spawnIn = (folder: string): ChildProcess =>
  spawn(process.execPath, ['src/migrate.ts'], {
    cwd: ROOT,
    detached: true,
    env: { PATH: process.env.PATH, POSTHORN_DATA_DIR: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
