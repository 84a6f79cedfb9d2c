import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { isAlive } from '../src/storage/folder-lock.ts';

const ROOT = join(import.meta.dirname, '..');
/** Time to spare on a busy machine, which creates a database cluster meanwhile. */
const WAIT = { timeout: 45_000, interval: 50 };

/** `npm start` as a supervisor or a terminal runs it: in a process group of its own. */
interface NpmStart {
  npm: ChildProcess;
  output: () => string;
}

/** One for all tests: only the first start has to create a database cluster. */
let dataDir: string;
const started: ChildProcess[] = [];

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'posthorn-npm-'));
});

afterEach(async () => {
  const pids = [await readPid('owner.pid'), await readPid('cluster/postmaster.pid')];
  pids.push(...started.splice(0).map(({ pid }) => pid ?? null));
  for (const pid of pids) if (pid !== null && isAlive(pid)) process.kill(pid, 'SIGKILL');
});

afterAll(() => rm(dataDir, { recursive: true, force: true }));

function startNpm(): NpmStart {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', POSTHORN_DATA_DIR: dataDir };
  const npm = spawn('npm', ['start'], { cwd: ROOT, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(npm);
  let output = '';
  for (const stream of [npm.stdout, npm.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  return { npm, output: () => output };
}

/** The process ID on the first line of a file, or `null` if there is no such file. */
async function readPid(file: string): Promise<number | null> {
  const text = await readFile(join(dataDir, file), 'utf8').catch(() => '');
  return Number(text.split('\n', 1)[0]) || null;
}

const waitUntil = (isSo: () => unknown) => vi.waitFor(async () => expect(await isSo()).toBeTruthy(), WAIT);

const waitUntilDead = (pid: number) => waitUntil(() => !isAlive(pid));

describe('npm start', () => {
  it.each([
    ['SIGTERM to npm, as a supervisor sends it', (npm: number) => process.kill(npm, 'SIGTERM')],
    ['SIGINT to all of its processes, as Ctrl-C sends it', (npm: number) => process.kill(-npm, 'SIGINT')],
    ['SIGHUP to all of its processes, as a closing terminal sends it', (npm: number) => process.kill(-npm, 'SIGHUP')],
  ])(
    'shuts down cleanly on %s, and leaves neither Node nor Postgres behind',
    async (_, stop) => {
      const { npm, output } = startNpm();
      await waitUntil(() => output().includes('"posthorn.started"'));
      const node = (await readPid('owner.pid')) as number;
      const postgres = (await readPid('cluster/postmaster.pid')) as number;
      expect([node, postgres].every(isAlive)).toBe(true);
      stop(npm.pid as number);
      await waitUntilDead(node);
      await waitUntilDead(postgres);
      await waitUntilDead(npm.pid as number);
      expect(output()).toContain('"posthorn.stopped"');
      expect(await readPid('owner.pid')).toBeNull();
      expect(await readPid('cluster/postmaster.pid')).toBeNull();
    },
    60_000,
  );

  it('stopped while it starts ends the Postgres that it has launched, and releases its data directory', async () => {
    const first = startNpm();
    await waitUntil(() => readPid('cluster/postmaster.pid'));
    const postgres = (await readPid('cluster/postmaster.pid')) as number;
    process.kill(first.npm.pid as number, 'SIGTERM');
    await waitUntilDead(first.npm.pid as number);
    await waitUntilDead(postgres);
    expect(await readPid('owner.pid')).toBeNull();
    expect(first.output()).not.toContain('"posthorn.started"');
  }, 60_000);
});
