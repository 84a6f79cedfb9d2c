import type { Client, Pool } from 'pg';
import type { Log } from '../../log.ts';
import { isLockError, limitLockWaits } from './lock-waiting.ts';
import type { IndexStep } from './online-steps.ts';

const PROGRESS_INTERVAL_MS = 5_000;

export interface StepContext {
  /** A session of this work's own. Ending it ends the work: what Postgres has begun, it finishes or rolls back. */
  client: Client;
  /** For looking at progress meanwhile. */
  pool: Pool;
  log: Log;
  signal: AbortSignal;
}

/**
 * What came of a step: `done`; `busy` if another process, or one that was killed and whose statement Postgres still
 * executes, is working on it.
 */
export type StepResult = 'done' | 'busy';

/**
 * Builds an index without blocking writes. An invalid index, left by a process or a Postgres that was killed, is dropped and
 * built again.
 */
export async function buildIndex(step: IndexStep, { client, pool, log }: StepContext): Promise<StepResult> {
  const before = await readIndexState(client, step);
  if (before === 'valid') return 'done';
  if (before === 'invalid' && !(await dropInvalidIndex(client, step))) return 'busy';
  const startedAt = performance.now();
  log.info({ index: step.name, table: step.table, rebuilt: before === 'invalid' }, 'migrations.index_started');
  const { rows } = await client.query('select pg_backend_pid() as pid');
  const timer = setInterval(() => void logProgress(step, { pool, log, pid: rows[0].pid }), PROGRESS_INTERVAL_MS);
  try {
    // Waits for transactions that began earlier, however long they last: nothing waits behind it meanwhile.
    await client.query(`create index concurrently if not exists ${step.name} on ${step.table} ${step.definition}`);
  } catch (error) {
    // Somebody else changes the table, for example with a CREATE INDEX CONCURRENTLY of an operator. What is left is dropped later.
    if (isLockError(error)) return 'busy';
    throw error;
  } finally {
    clearInterval(timer);
  }
  // Another process may have begun it in between.
  if ((await readIndexState(client, step)) !== 'valid') return 'busy';
  const durationMs = Math.round(performance.now() - startedAt);
  log.info({ index: step.name, durationMs }, 'migrations.index_built');
  return 'done';
}

async function readIndexState(client: Client, { name }: IndexStep): Promise<'missing' | 'invalid' | 'valid'> {
  const { rows } = await client.query(
    'select indisvalid as "isValid" from pg_index where indexrelid = to_regclass($1)',
    [name],
  );
  if (!rows[0]) return 'missing';
  return rows[0].isValid ? 'valid' : 'invalid';
}

/**
 * Whoever builds an index holds this lock on its table from the first to the last moment, so with it, an invalid index is one
 * that nobody works on.
 *
 * @returns false if the lock was not available
 */
async function dropInvalidIndex(client: Client, step: IndexStep): Promise<boolean> {
  await client.query('begin');
  try {
    await limitLockWaits(client);
    await client.query(`lock table ${step.table} in share update exclusive mode`);
    if ((await readIndexState(client, step)) === 'invalid') await client.query(`drop index ${step.name}`);
    await client.query('commit');
    return true;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    if (isLockError(error)) return false;
    throw error;
  }
}

async function logProgress({ name }: IndexStep, { pool, log, pid }: { pool: Pool; log: Log; pid: number }) {
  const { rows } = await pool
    .query(
      `select phase, blocks_done as "blocksDone", blocks_total as "blocksTotal", current_locker_pid as "waitsForPid"
       from pg_stat_progress_create_index where pid = $1`,
      [pid],
    )
    .catch(() => ({ rows: [] }));
  if (rows[0]) log.info({ index: name, ...rows[0] }, 'migrations.index_progress');
}
