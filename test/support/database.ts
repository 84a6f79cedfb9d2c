import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** A database of a test's own. */
export interface TestDatabase {
  url: string;
  query: <Row = Record<string, unknown>>(sql: string, values?: unknown[]) => Promise<Row[]>;
  /** Drops it. Throws where a connection was left open: something was not stopped. */
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** An empty database instead of a copy of the migrated one. @default false */
  isEmpty?: boolean;
  /** Options of CREATE DATABASE, for an empty one. @default UTF8 and the collation of the C locale */
  create?: string;
  /** Defaults of every session, as ALTER DATABASE … SET makes them, by name. */
  settings?: Record<string, string>;
}

/** Clones the migrated template, or creates an empty database. */
export async function createTestDatabase({
  isEmpty = false,
  create = '',
  settings = {},
}: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asAdmin(async (client) => {
    await client.query(`create database ${name} template ${isEmpty ? `template0 ${create}` : 'posthorn'}`);
    for (const [setting, value] of Object.entries(settings)) {
      await client.query(`alter database ${name} set ${setting} = ${value}`);
    }
  });
  const url = new URL(inject('templateUrl'));
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 2, application_name: 'test' });
  return {
    url: url.href,
    query: async (sql, values) => (await pool.query(sql, values)).rows,
    drop: async () => {
      await pool.end();
      await asAdmin(async (client) => {
        const leaked = await findConnections(client, name);
        await client.query(`drop database ${name} with (force)`);
        if (leaked.length > 0) throw new Error(`Connections were left open: ${leaked.join('; ')}`);
      });
    },
  };
}

/** Ends the connections that Posthorn has to a database, or those with such a name. @returns the backends ended */
export async function cutConnections(database: TestDatabase, nameLike = 'posthorn%'): Promise<number[]> {
  const rows = await database.query<{ pid: number }>(
    `select pid, pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like $1`,
    [nameLike],
  );
  return rows.map(({ pid }) => pid);
}

/** Connections that are still there after they had time to close. */
async function findConnections(client: pg.Client, name: string): Promise<string[]> {
  const sql = 'select application_name, state, query from pg_stat_activity where datname = $1';
  for (let left = 100; ; left -= 1) {
    const { rows } = await client.query(sql, [name]);
    if (rows.length === 0 || left === 0) return rows.map((row) => `${row.application_name} ${row.state} ${row.query}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function asAdmin<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const url = new URL(inject('templateUrl'));
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
