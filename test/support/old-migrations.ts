import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { splitStatements } from '../../src/storage/migrations/continue-interrupted.ts';
import { type Migration, readMigrations } from '../../src/storage/migrations/read-migrations.ts';

type Query = (sql: string, values?: unknown[]) => Promise<unknown>;

/** Texts of version 0.1.0 that have changed since. */
const OLD_TEXTS = join(import.meta.dirname, 'version-0.1.0');
const LAST_NAME = '20261130100000_event_types';

/** A migration as version 0.1.0 executed it: statement by statement, each committed separately. */
export interface OldMigration {
  name: string;
  statements: string[];
}

/** The migrations of version 0.1.0, in order. */
export async function readOldMigrations(): Promise<OldMigration[]> {
  const migrations = (await readMigrations()).filter(({ name }) => name <= LAST_NAME);
  return migrations.map((migration) => ({
    name: migration.name,
    statements: splitStatements(readOldText(migration)),
  }));
}

function readOldText({ name, sql }: Migration): string {
  const path = join(OLD_TEXTS, `${name}.sql`);
  return existsSync(path) ? readFileSync(path, 'utf8') : sql;
}

/** Does what version 0.1.0 did before it was killed: all migrations before `name`, and the first statements of that one. */
export async function applyAsVersion010(
  query: Query,
  migrations: OldMigration[],
  { name, statementCount }: { name: string; statementCount: number },
): Promise<void> {
  await query(`create table if not exists _prisma_migrations (
    id varchar(36) primary key not null, checksum varchar(64) not null, finished_at timestamptz,
    migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,
    started_at timestamptz not null default now(), applied_steps_count integer not null default 0)`);
  for (const migration of migrations) {
    const isInterrupted = migration.name === name;
    await query(
      `insert into _prisma_migrations (id, checksum, migration_name, started_at) values ($1, 'old', $2, clock_timestamp())`,
      [randomUUID(), migration.name],
    );
    const statements = isInterrupted ? migration.statements.slice(0, statementCount) : migration.statements;
    for (const statement of statements) await query(statement);
    if (isInterrupted) return;
    await query(
      'update _prisma_migrations set finished_at = clock_timestamp(), applied_steps_count = 1 where migration_name = $1',
      [migration.name],
    );
  }
}

/** Everything that migrations define, in words, to compare databases. */
export async function describeSchema(query: <Row>(sql: string) => Promise<Row[]>): Promise<string[]> {
  const rows = await query<{ line: string }>(`
    with tables as (select c.oid, c.relname, c.reloptions from pg_class c where relnamespace = 'public'::regnamespace and relkind = 'r')
    select 'table ' || relname || ' ' || coalesce((select string_agg(o, ' ' order by o) from unnest(reloptions) o), '') as line from tables
    union all
    select format('column %s.%s %s %s %s', t.relname, a.attname, format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then 'not null' end, pg_get_expr(d.adbin, d.adrelid))
    from tables t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = t.oid and d.adnum = a.attnum
    union all
    select format('index %s %s', pg_get_indexdef(i.indexrelid), i.indisvalid) from tables t join pg_index i on i.indrelid = t.oid
    union all
    select format('constraint %s %s %s', t.relname, c.conname, pg_get_constraintdef(c.oid))
    from tables t join pg_constraint c on c.conrelid = t.oid
    union all
    select format('enum %s %s', t.typname, (select string_agg(enumlabel, ' ' order by enumsortorder) from pg_enum where enumtypid = t.oid))
    from pg_type t where typnamespace = 'public'::regnamespace and typtype = 'e'
    order by 1`);
  return rows.map(({ line }) => line);
}
