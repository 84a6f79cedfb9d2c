import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/storage/embedded-postgres.ts';

const OPTIONS = { password: 'faults' };

export interface ClusterOptions {
  /** Folder to live in, which goes with it. @default a new one */
  path?: string;
  /** For the processes of Postgres, on top of this one's. */
  env?: Record<string, string>;
}

/** A Postgres of its own, set up as `npm start` sets it up: every commit reaches the disk. It can be killed, frozen and stopped. */
export class Cluster {
  readonly path: string;
  readonly #env: Record<string, string>;
  #running!: EmbeddedPostgres;
  #port: number | undefined;

  private constructor(path: string, env: Record<string, string>) {
    this.path = path;
    this.#env = env;
  }

  static async start({ path, env = {} }: ClusterOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(path ?? (await mkdtemp(join(tmpdir(), 'posthorn-faults-'))), env);
    try {
      await cluster.start();
      return cluster;
    } catch (error) {
      await cluster.remove();
      throw error;
    }
  }

  get url(): string {
    return this.#running.url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  async start(): Promise<void> {
    this.#running = await withEnv(this.#env, () =>
      startEmbeddedPostgres({ ...OPTIONS, path: this.path, port: this.#port }),
    );
    this.#port = this.port;
  }

  /** As an operator does: open transactions are rolled back. */
  stop(): Promise<void> {
    return this.#running.stop();
  }

  /** Ends the postmaster and every backend at once, as a power cut does, less the disk. */
  async kill(): Promise<void> {
    const pids = this.#pids();
    for (const pid of pids) signal(pid, 'SIGKILL');
    while (pids.some(isRunning)) await sleep(10);
  }

  /** All its processes stand still, with their connections open. */
  freeze(): void {
    for (const pid of this.#pids()) signal(pid, 'SIGSTOP');
  }

  thaw(): void {
    for (const pid of this.#pids()) signal(pid, 'SIGCONT');
  }

  isAlive(): boolean {
    return isRunning(this.#running.pid);
  }

  /** Over a connection of its own. */
  async query<Row = Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.url, application_name: 'faults' });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(sql, values)).rows as Row[];
    } finally {
      await client.end().catch(() => {});
    }
  }

  async remove(): Promise<void> {
    if (this.#running) {
      this.thaw();
      await this.#running.stop();
    }
    await rm(this.path, { recursive: true, force: true });
  }

  /** The postmaster first, so that it can't start others for those that end. */
  #pids(): number[] {
    return [this.#running.pid, ...childrenOf(this.#running.pid)];
  }
}

/** What is started by the work inherits these variables. */
async function withEnv<T>(env: Record<string, string>, work: () => Promise<T>): Promise<T> {
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  try {
    return await work();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => readStat(pid)?.parent === parent).map(Number);
}

function isRunning(pid: number): boolean {
  const found = readStat(pid);
  return found !== null && found.state !== 'Z';
}

/** Of `/proc/PID/stat`: the fields behind the name, which may hold anything. */
function readStat(pid: number | string): { state: string; parent: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return null;
  }
}

function signal(pid: number, name: NodeJS.Signals) {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}
