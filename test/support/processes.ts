import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, vi } from 'vitest';
import { ENCRYPTION_KEY, ROOT_KEY } from './posthorn.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Time to spare on a busy machine. */
const START = { timeout: 45_000, interval: 50 };

/** A Posthorn as a process of its own. */
export interface Process {
  child: ChildProcess;
  stdout: () => string;
  stderr: () => string;
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Starts processes for the tests of a file. Those that a test left are killed when it ends, before what was set up earlier is undone. */
export function useProcesses() {
  const processes: Process[] = [];
  afterEach(async () => {
    for (const { child, exited } of processes.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    }
  });
  /** Starts Posthorn as people do, with nothing but the environment given. */
  const spawnPosthorn = (
    env: Record<string, string>,
    path = 'src/main.ts',
    { descriptors }: { /** Files that it may have open. @default as many as this process */ descriptors?: number } = {},
  ): Process => {
    const started = spawnProgram(path, env, descriptors);
    processes.push(started);
    return started;
  };
  /** Starts it on a database, with the keys of the tests. */
  const spawnOn = (
    databaseUrl: string,
    env: Record<string, string> = {},
    options: { descriptors?: number } = {},
  ): Process => spawnPosthorn({ ...settingsFor(databaseUrl), ...env }, 'src/main.ts', options);
  /** Starts `npm run migrate` on a database. */
  const spawnMigrate = (databaseUrl: string, env: Record<string, string> = {}): Process =>
    spawnPosthorn({ ...settingsFor(databaseUrl), ...env }, 'src/migrate.ts');
  return { spawnPosthorn, spawnOn, spawnMigrate };
}

const settingsFor = (databaseUrl: string) => ({
  DATABASE_URL: databaseUrl,
  POSTHORN_ROOT_KEY: ROOT_KEY,
  POSTHORN_ENCRYPTION_KEY: ENCRYPTION_KEY.toString('base64'),
  POSTHORN_ALLOWED_NETWORKS: '127.0.0.0/8',
});

function spawnProgram(path: string, env: Record<string, string>, descriptors?: number): Process {
  const program = [process.execPath, path];
  const limit = ['sh', '-c', `ulimit -n ${descriptors} && exec "$@"`, 'sh'];
  const [command = '', ...args] = descriptors ? [...limit, ...program] : program;
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output.stderr += text;
  });
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  return { child, stdout: () => output.stdout, stderr: () => output.stderr, exited };
}

/** Waits until it says that it is there. @returns where it answers, without a path */
export async function waitUntilStarted({ child, stdout, stderr }: Process): Promise<string> {
  const line = await vi.waitFor(() => {
    if (child.exitCode !== null) return { url: null };
    return findLogLine(stdout(), 'posthorn.started') ?? fail('it has not started');
  }, START);
  if (!line.url) throw new Error(`It ended instead of starting: ${stderr()}`);
  return new URL(String(line.url)).origin;
}

/** The first line of the log with such an event. */
export function findLogLine(stdout: string, event: string): Record<string, unknown> | undefined {
  const whole = stdout.split('\n').slice(0, -1);
  return whole.map((line) => JSON.parse(line)).find((line) => line.event === event);
}

function fail(message: string): never {
  throw new Error(message);
}
