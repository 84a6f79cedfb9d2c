import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { StepContext, StepResult } from './build-index.ts';
import { isLockError, limitLockWaits } from './lock-waiting.ts';
import type { FillStep } from './online-steps.ts';

/** Rows of a transaction: their locks are held for some 50 ms. */
const BATCH_ROWS = 1_000;
/** Rests between batches are as long as the batch took, within these bounds. */
const REST_MS = { min: 20, max: 1_000 };
const PROGRESS_INTERVAL_MS = 5_000;
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

interface Batch {
  /** Rows that lacked the values. */
  found: number;
  /** Those that have them now: without rows that were locked. */
  filled: number;
  /** ID of the oldest row that was found. */
  lastId: string;
}

/** Fills rows from the newest to the oldest, until a walk over all of them finds nothing that it can fill. */
export async function fillRows(step: FillStep, context: StepContext): Promise<StepResult> {
  const { log, signal } = context;
  let total = 0;
  let loggedAt = performance.now();
  for (let filledByWalk = -1; filledByWalk !== 0; ) {
    filledByWalk = 0;
    for (let beforeId = LAST_ID; ; ) {
      const startedAt = performance.now();
      const batch = await fillBatch(context.client, step, beforeId);
      if (batch === null) return 'busy';
      if (batch.found === 0) break;
      filledByWalk += batch.filled;
      total += batch.filled;
      beforeId = batch.lastId;
      if (performance.now() - loggedAt >= PROGRESS_INTERVAL_MS) {
        loggedAt = performance.now();
        log.info({ step: step.name, rows: total }, 'migrations.fill_progress');
      }
      const tookMs = performance.now() - startedAt;
      await sleep(Math.min(Math.max(tookMs, REST_MS.min), REST_MS.max), undefined, { signal });
    }
  }
  if (total > 0) log.info({ step: step.name, rows: total }, 'migrations.filled');
  return 'done';
}

/** @returns null if somebody else holds a lock that this needs */
async function fillBatch(client: Client, step: FillStep, beforeId: string): Promise<Batch | null> {
  await client.query('begin');
  try {
    await limitLockWaits(client);
    const { rows } = await client.query(fillSql(step), [beforeId, BATCH_ROWS]);
    await client.query('commit');
    return rows[0];
  } catch (error) {
    await client.query('rollback').catch(() => {});
    if (isLockError(error)) return null;
    throw error;
  }
}

/** Rows that somebody else has locked are left for the next walk, so neither waits for the other. */
const fillSql = ({ table, condition, fill }: FillStep) => `
with found as materialized (
  select id from ${table} where ${condition} and id < $1 order by id desc limit $2
), page as materialized (
  select * from ${table} where id in (select id from found) and ${condition} order by id for no key update skip locked
), filled as (
  update ${table} t set ${fill} returning t.id
)
select (select count(*)::int from found) as found, (select count(*)::int from filled) as filled,
  (select id from found order by id limit 1) as "lastId"`;
