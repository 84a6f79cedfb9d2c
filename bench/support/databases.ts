import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/storage/embedded-postgres.ts';

/** A Postgres for one run of the benchmarks, set up as `npm start` sets it up: every commit reaches the disk. */
export interface Databases {
  /** The postmaster's process ID. */
  readonly pid: number;
  /** A new, empty database. @returns its connection string */
  create(name: string): Promise<string>;
  /** A copy of a database that nobody is connected to. @returns its connection string */
  clone(name: string, from: string): Promise<string>;
  /** @returns connection string of a database that was made */
  urlOf(name: string): string;
  /** Deletes a database. */
  drop(name: string): Promise<void>;
  /** Takes all databases away, so that what one scenario left does not weigh on the next. */
  dropAll(): Promise<void>;
  /** Stops Postgres and starts it again; connection strings stay good. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startDatabases(): Promise<Databases> {
  const path = await mkdtemp(join(tmpdir(), 'posthorn-bench-'));
  const options = { path, password: 'bench' };
  const removeFolder = () => rm(path, { recursive: true, force: true });
  let running = startEmbeddedPostgres(options);
  const first = await running.catch(async (error) => {
    await removeFolder();
    throw error;
  });
  const { url } = first;
  let { pid } = first;
  const names = new Set<string>();
  const execute = (sql: string) => withClient(url, (client) => client.query(sql));
  const urlOf = (name: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href;
  const make = async (name: string, sql: string) => {
    await execute(sql);
    names.add(name);
    return urlOf(name);
  };
  return {
    get pid() {
      return pid;
    },
    create: (name) => make(name, `create database ${name}`),
    clone: (name, from) => make(name, `create database ${name} template ${from}`),
    urlOf,
    drop: async (name) => {
      await execute(`drop database ${name} with (force)`);
      names.delete(name);
    },
    dropAll: async () => {
      for (const name of names) await execute(`drop database ${name} with (force)`);
      names.clear();
    },
    restart: async () => {
      // Set before anything is waited for: whoever stops meanwhile must stop the one that is about to start.
      running = running.then(async (postgres) => {
        await postgres.stop();
        return startEmbeddedPostgres({ ...options, port: Number(new URL(url).port) });
      });
      ({ pid } = await running);
    },
    stop: async () => {
      await (await running.catch(() => null))?.stop();
      await removeFolder();
    },
  };
}

/** Runs work with a connection of its own. */
export async function withClient<T>(databaseUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl });
  // Where Postgres is stopped, the statement under way fails; what the connection says beside that must not end us.
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
