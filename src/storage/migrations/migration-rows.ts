import { randomUUID } from 'node:crypto';
import type { ClientBase } from 'pg';
import type { Migration } from './read-migrations.ts';

/** What `_prisma_migrations` says about migrations. */
export interface MigrationRows {
  /** Names of the migrations that are applied completely. */
  applied: Set<string>;
  /**
   * Names of the migrations that were started and not finished. Version 0.1.0 committed each statement separately, so any
   * number of their statements may have been executed.
   */
  interrupted: Set<string>;
}

/** As Prisma's tools create it, so that they and version 0.1.0 can read it. */
const CREATE_TABLE = `create table _prisma_migrations (
  id varchar(36) primary key not null,
  checksum varchar(64) not null,
  finished_at timestamptz,
  migration_name varchar(255) not null,
  logs text,
  rolled_back_at timestamptz,
  started_at timestamptz not null default now(),
  applied_steps_count integer not null default 0
)`;

const hasTable = async (client: ClientBase): Promise<boolean> =>
  (await client.query("select to_regclass('_prisma_migrations') is not null as present")).rows[0].present;

/** Reads the table, which may be missing. */
export async function readMigrationRows(client: ClientBase): Promise<MigrationRows> {
  const rows: { name: string; isApplied: boolean }[] = (await hasTable(client))
    ? (
        await client.query(
          `select migration_name as name, bool_or(finished_at is not null and rolled_back_at is null) as "isApplied"
           from _prisma_migrations group by 1`,
        )
      ).rows
    : [];
  const namesOf = (isApplied: boolean) =>
    new Set(rows.filter((row) => row.isApplied === isApplied).map(({ name }) => name));
  return { applied: namesOf(true), interrupted: namesOf(false) };
}

/** Creates the table if it is missing. For the holder of the migration lock. */
export async function createMigrationTable(client: ClientBase): Promise<void> {
  if (!(await hasTable(client))) await client.query(CREATE_TABLE);
}

/** Records that a migration is applied. Rows of interrupted starts are kept, marked as rolled back. */
export async function recordMigration(client: ClientBase, { name, checksum }: Migration): Promise<void> {
  await client.query(
    `update _prisma_migrations set rolled_back_at = now()
     where migration_name = $1 and finished_at is null and rolled_back_at is null`,
    [name],
  );
  await client.query(
    `insert into _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
     values ($1, $2, $3, now(), clock_timestamp(), 1)`,
    [randomUUID(), checksum, name],
  );
}
