import type { Client, DatabaseError } from 'pg';
import { schemaOf } from '../session-settings.ts';
import { continueInterrupted, isDivisible } from './continue-interrupted.ts';
import {
  findLockHolder,
  findOldestTransaction,
  type LockWaitOptions,
  limitLockWaits,
  MIGRATION_LOCK,
  waitForLocks,
} from './lock-waiting.ts';
import { openMigrationConnection } from './migration-connection.ts';
import { createMigrationTable, readMigrationRows, recordMigration } from './migration-rows.ts';
import { type Migration, readMigrations } from './read-migrations.ts';

const UNIQUE_VIOLATION = '23505';

/**
 * Brings the tables up to this version: applies the migrations that are missing, each in one transaction together with its
 * row in `_prisma_migrations`. If a process dies at any point, the next call continues. Any number of processes may call it at
 * the same time.
 *
 * Indexes and values of large tables come later, while Posthorn runs: see `online-steps.ts`.
 *
 * @returns names of the migrations that this call applied
 * @throws {StartupError} if the database can't be reached, or a lock is not released in time
 */
export async function migrate(databaseUrl: string, options: LockWaitOptions): Promise<string[]> {
  const { log, signal } = options;
  const client = await openMigrationConnection(databaseUrl);
  // Postgres rolls back what a closed connection leaves.
  const abort = () => client.connection.stream.destroy();
  signal?.addEventListener('abort', abort);
  try {
    await createSchema(client, schemaOf(databaseUrl));
    const migrations = await readMigrations();
    const { applied } = await readMigrationRows(client);
    const unknown = [...applied].filter((name) => !migrations.some((migration) => migration.name === name));
    if (unknown.length > 0) log.warn({ migrations: unknown }, 'migrations.newer_database');
    return migrations.every(({ name }) => applied.has(name)) ? [] : await applyMissing(client, migrations, options);
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', abort);
    await client.end().catch(() => {});
  }
}

/** Looks first: Postgres refuses `if not exists` to a role that may not create schemas, even if the schema exists. */
async function createSchema(client: Client, schema: string) {
  const { rows } = await client.query('select to_regnamespace($1) is null as "isMissing"', [schema]);
  if (!rows[0].isMissing) return;
  await client.query(`create schema if not exists "${schema}"`).catch((error: DatabaseError) => {
    // Another process has created it at the same time.
    if (error.code !== UNIQUE_VIOLATION) throw error;
  });
}

async function applyMissing(client: Client, migrations: Migration[], options: LockWaitOptions): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const startedAt = performance.now();
    const turn = { hasLock: false };
    const findHolder = () => (turn.hasLock ? findOldestTransaction(client) : findLockHolder(client));
    const migration = await waitForLocks(() => applyNext(client, migrations, turn), findHolder, options);
    if (migration === null) return names;
    names.push(migration.name);
    const durationMs = Math.round(performance.now() - startedAt);
    options.log.info({ migration: migration.name, durationMs }, 'migrations.applied');
  }
}

/**
 * Applies the first migration that is missing.
 *
 * @param turn is told whether this process got the lock of migrations
 * @returns the migration; null if none is missing; undefined if another process has the lock
 */
async function applyNext(
  client: Client,
  migrations: Migration[],
  turn: { hasLock: boolean },
): Promise<Migration | null | undefined> {
  await client.query('begin');
  try {
    await limitLockWaits(client);
    // Tried rather than waited for: a statement that waits keeps Postgres from vacuuming.
    const { rows } = await client.query('select pg_try_advisory_xact_lock($1) as "hasLock"', [MIGRATION_LOCK]);
    turn.hasLock = rows[0].hasLock;
    const migration = turn.hasLock ? await applyFirstMissing(client, migrations) : undefined;
    await client.query('commit');
    return migration;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

async function applyFirstMissing(client: Client, migrations: Migration[]): Promise<Migration | null> {
  await createMigrationTable(client);
  const { applied, interrupted } = await readMigrationRows(client);
  const migration = migrations.find(({ name }) => !applied.has(name));
  if (!migration) return null;
  const { name, sql } = migration;
  if (interrupted.has(name) && isDivisible(name)) await continueInterrupted(client, sql);
  else await client.query(sql);
  await recordMigration(client, migration);
  return migration;
}
