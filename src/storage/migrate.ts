import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MigrationList } from '@prisma/schema-engine-wasm';
import pg from 'pg';
import { StartupError } from '../errors.ts';
import { openSchemaEngine } from './schema-engine.ts';
import { describeSession, schemaOf } from './session-settings.ts';

const MIGRATIONS_PATH = join(import.meta.dirname, '../../prisma/migrations');
/** A migration takes as long as it takes, whatever limit the role has. */
const UNLIMITED = { settings: { statement_timeout: '0' } };
/** Key of the advisory lock that lets one process migrate at a time: any number that no one else uses. */
const MIGRATION_LOCK = 7_678_467_676;

/**
 * Brings the database up to this version's schema. Safe to call from several processes at once: one works, the
 * others wait and find nothing to do.
 *
 * @returns names of the migrations that this call applied
 * @throws {StartupError} where the database can't be reached, or was migrated by a newer version
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const client = await connect(databaseUrl);
  const pool = new pg.Pool({ ...describeSession(databaseUrl, UNLIMITED), max: 2 });
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await createSchema(client, schemaOf(databaseUrl));
    const migrationsList = await readMigrations();
    await refuseNewerDatabase(client, migrationsList);
    const engine = await openSchemaEngine(pool, schemaOf(databaseUrl));
    const filters = { externalTables: [], externalEnums: [] };
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters });
    return appliedMigrationNames;
  } finally {
    await pool.end();
    await client.end();
  }
}

/** The migrations of this version, in the form that Prisma's engine takes. */
async function readMigrations(): Promise<MigrationList> {
  const entries = await readdir(MIGRATIONS_PATH, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const migrationDirectories = await Promise.all(
    names.sort().map(async (path) => {
      const value = await readFile(join(MIGRATIONS_PATH, path, 'migration.sql'), 'utf8');
      return { path, migrationFile: { path: 'migration.sql', content: { tag: 'ok' as const, value } } };
    }),
  );
  const content = await readFile(join(MIGRATIONS_PATH, 'migration_lock.toml'), 'utf8');
  return {
    baseDir: MIGRATIONS_PATH,
    lockfile: { path: 'migration_lock.toml', content },
    shadowDbInitScript: '',
    migrationDirectories,
  };
}

async function connect(databaseUrl: string): Promise<pg.Client> {
  try {
    const client = new pg.Client({ ...describeSession(databaseUrl, UNLIMITED), connectionTimeoutMillis: 10_000 });
    client.on('error', () => {});
    await client.connect();
    return client;
  } catch (cause) {
    const reason = (cause as Error).message || (cause as NodeJS.ErrnoException).code;
    throw new StartupError(
      `Postgres at DATABASE_URL can't be reached (${reason}). Check host, port, user, password and database name.`,
      { cause },
    );
  }
}

/** Asks first: Postgres refuses `if not exists` to a role that may not create schemas, even if the schema exists. */
async function createSchema(client: pg.Client, schema: string) {
  const { rows } = await client.query('select to_regnamespace($1) is null as "isMissing"', [schema]);
  if (rows[0].isMissing) await client.query(`create schema if not exists "${schema}"`);
}

async function refuseNewerDatabase(client: pg.Client, list: MigrationList) {
  const { rows } = await client.query("select to_regclass('_prisma_migrations') is not null as present");
  if (!rows[0].present) return;
  const known = new Set(list.migrationDirectories.map((directory) => directory.path));
  const applied = await client.query('select migration_name as name from _prisma_migrations order by started_at');
  const unknown = applied.rows.find((row) => !known.has(row.name));
  if (!unknown) return;
  throw new StartupError(
    `The database was migrated by a newer version of Posthorn (migration ${unknown.name} is unknown to this one). Start that version or a later one.`,
  );
}
