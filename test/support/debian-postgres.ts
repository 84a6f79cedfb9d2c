import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { findFreePort } from '../../src/storage/embedded-postgres.ts';

const run = promisify(execFile);

const ROOT = '/usr/lib/postgresql';
const NEEDED = ['initdb', 'postgres', 'pg_dump', 'pg_restore', 'pg_resetwal'];
/** `nobody`: Postgres refuses to run as root. */
const UNPRIVILEGED_ID = 65_534;
const START_MS_MAX = 30_000;
const EXIT_POLL_MS = 50;

/** Folder of the programs of the newest PostgreSQL that Debian's packages installed. `null`: there is none. */
function findBinaries(): string | null {
  const versions = existsSync(ROOT) ? readdirSync(ROOT).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = versions.map((version) => join(ROOT, version, 'bin'));
  return folders.find((folder) => NEEDED.every((name) => existsSync(join(folder, name)))) ?? null;
}

/** Why dumps can't be made on this machine. `null`: they can. The embedded Postgres comes without `pg_dump`. */
export const findDumpObstacle = (): string | null =>
  findBinaries() === null ? 'a PostgreSQL server with pg_dump is not installed (apt-get install postgresql)' : null;

const asNobody = () => (process.getuid?.() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {});

export interface DebianPostgresOptions {
  /** Epoch of transaction IDs: each is four thousand million IDs. @default 0, as in every new cluster */
  epoch?: number;
}

/** A cluster of the machine's own PostgreSQL, with the programs that dump and restore it. */
export class DebianPostgres {
  readonly #folder: string;
  readonly #port: number;
  #child!: ReturnType<typeof spawn>;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  static async start({ epoch = 0 }: DebianPostgresOptions = {}): Promise<DebianPostgres> {
    const folder = await mkdtemp(join(tmpdir(), 'posthorn-debian-'));
    if (process.getuid?.() === 0) await chown(folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    const cluster = new DebianPostgres(folder, await findFreePort());
    await cluster.#run(
      'initdb',
      '-D',
      cluster.#data,
      '-U',
      'posthorn',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--locale',
      'C',
      '-N',
    );
    if (epoch > 0) await cluster.#run('pg_resetwal', '-e', String(epoch), '-D', cluster.#data);
    await cluster.start();
    return cluster;
  }

  get #data(): string {
    return join(this.#folder, 'cluster');
  }

  get url(): string {
    return `postgresql://posthorn@127.0.0.1:${this.#port}/postgres`;
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const settings = ['listen_addresses=127.0.0.1', `port=${this.#port}`, 'unix_socket_directories=', 'fsync=off'];
    this.#child = spawn(
      join(findBinaries() as string, 'postgres'),
      ['-D', this.#data, ...settings.flatMap((setting) => ['-c', setting])],
      { stdio: 'ignore', ...asNobody() },
    );
    const deadline = performance.now() + START_MS_MAX;
    while (performance.now() < deadline) {
      const isReady = await this.query('select 1').then(
        () => true,
        () => false,
      );
      if (isReady) return;
      await sleep(EXIT_POLL_MS);
    }
    throw new Error('The PostgreSQL server of this machine did not start.');
  }

  async query<Row = Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.url, application_name: 'test' });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(sql, values)).rows as Row[];
    } finally {
      await client.end();
    }
  }

  /** Dumps the database into a file with `pg_dump`. @returns its path */
  async dump(): Promise<string> {
    const path = join(this.#folder, 'dump');
    await this.#run('pg_dump', '--format', 'custom', '--file', path, this.url);
    return path;
  }

  /** Restores a dump with `pg_restore`, replacing what is there. */
  async restore(path: string): Promise<void> {
    await this.#run('pg_restore', '--exit-on-error', '--clean', '--if-exists', '--dbname', this.url, path);
  }

  async remove(): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGINT');
      await exited;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #run(program: string, ...words: string[]) {
    await run(join(findBinaries() as string, program), words, asNobody());
  }
}
