import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/storage/embedded-postgres.ts';

/** A Postgres for one run of the benchmarks, set up as `npm start` sets it up: every commit reaches the disk. */
export interface Databases {
  /** A new, empty database. @returns its connection string */
  create(name: string): Promise<string>;
  /** A copy of a database that nobody is connected to. @returns its connection string */
  clone(name: string, from: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startDatabases(): Promise<Databases> {
  const path = await mkdtemp(join(tmpdir(), 'posthorn-bench-'));
  const postgres = await startEmbeddedPostgres({ path, password: 'bench' });
  const execute = async (sql: string) => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  const urlOf = (name: string) => Object.assign(new URL(postgres.url), { pathname: `/${name}` }).href;
  return {
    create: async (name) => {
      await execute(`create database ${name}`);
      return urlOf(name);
    },
    clone: async (name, from) => {
      await execute(`create database ${name} template ${from}`);
      return urlOf(name);
    },
    stop: async () => {
      await postgres.stop();
      await rm(path, { recursive: true, force: true });
    },
  };
}
