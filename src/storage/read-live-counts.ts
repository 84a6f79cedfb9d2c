import type { Pool } from 'pg';
import { addCounts, type DeliveryCounts, type LiveCounts, NO_COUNTS, type Waiting } from '../domain/delivery-stats.ts';
import { OLDEST_WAITING_AT, WAITING } from './read-waiting.ts';
import { CHANGE_COUNTS, type CountsRow, DURATION_CLASS, toCounts } from './stats-counts.ts';

/** Where there is no place to begin, so many changes of the environment are looked back over at the most. */
const LOOK_BACK_MAX = 50_000;

/** What to count of an environment's change log. */
export interface LiveRange {
  environmentId: string;
  /** Place behind what was counted before; null: there is none, count what is not older than `since`. */
  from: bigint | null;
  since: Date;
  /** UUIDs of the endpoints whose waiting deliveries are wanted, `WHOLE_ENVIRONMENT_ID` for the environment's. */
  waitingIds: string[];
}

/**
 * What is counted are whole transactions that nobody can add anything to, as in the change feed. The position behind
 * them is that of the last one, not the bound: after a crash, Postgres gives transaction IDs out again that no committed
 * transaction had. A position that the database has not reached is one of before a restore: it counts as none.
 */
const SQL = `
with known as materialized (
  select case when $2::xid8 <= pg_snapshot_xmin(pg_current_snapshot()) then $2::xid8 end as xid
), range as materialized (
  select pg_snapshot_xmin(pg_current_snapshot()) as until, coalesce(
    (select xid from known),
    (select xid from (
      select xid, changed_at from delivery_changes where environment_id = $1
      order by delivery_changes.xid desc, delivery_changes.id desc limit ${LOOK_BACK_MAX}) newest
      where changed_at < $3 limit 1),
    (select xid from delivery_changes where environment_id = $1
      order by delivery_changes.xid desc, delivery_changes.id desc offset ${LOOK_BACK_MAX - 1} limit 1),
    '0') as begin
), changes as (
  select endpoint_id, ${DURATION_CLASS} as class, ${CHANGE_COUNTS}, count(duration_ms) as durations
  from delivery_changes
  where environment_id = $1 and xid >= (select begin from range) and xid < (select until from range)
    and ((select xid from known) is not null or changed_at >= $3)
  group by 1, 2
)
select begin::text, (select xid::text from (
    (select xid from delivery_changes where environment_id = $1 and xid < (select until from range)
      order by delivery_changes.xid desc, delivery_changes.id desc limit 1)
    union all
    (select xid from publications where environment_id = $1 and xid >= (select begin from range)
      and xid < (select until from range) order by publications.xid desc limit 1)) counted
  order by counted.xid desc limit 1) as last,
  (select coalesce(json_agg(c), '[]') from changes c) as changes,
  (select coalesce(sum(events), 0)::float8 from publications
    where environment_id = $1 and xid >= (select begin from range) and xid < (select until from range)
      and ((select xid from known) is not null or published_at >= $3)) as published,
  (select coalesce(json_agg(json_build_array(g.endpoint_id, ${WAITING}, ${OLDEST_WAITING_AT})), '[]')
    from delivery_gauges g where g.environment_id = $1 and g.endpoint_id = any($4)) as waiting
from range`;

/** Counts what an environment's change log tells behind a place, and what waits, in one query. */
export async function readLiveCounts(pool: Pool, range: LiveRange): Promise<LiveCounts> {
  const from = range.from === null ? null : String(range.from);
  const { rows } = await pool.query({
    name: 'read-live-counts',
    text: SQL,
    values: [range.environmentId, from, range.since, range.waitingIds],
  });
  const { begin, last, changes, published, waiting } = rows[0];
  const endpoints = sumByEndpoint(changes);
  const deliveries = [...endpoints.values()].reduce(addCounts, NO_COUNTS);
  return {
    until: last === null || BigInt(last) < BigInt(begin) ? BigInt(begin) : BigInt(last) + 1n,
    environment: { ...deliveries, published },
    endpoints,
    waiting: new Map((waiting as WaitingRow[]).map(([id, count, at]) => [id, toWaiting(count, at)])),
  };
}

type WaitingRow = [id: string, waiting: number, oldestWaitingAt: string | null];

const toWaiting = (waiting: number, oldest: string | null): Waiting => ({
  waiting,
  oldestWaitingAt: oldest === null ? null : new Date(oldest),
});

/** A row for each class of duration. */
interface ClassRow extends Omit<CountsRow, 'durations'> {
  endpoint_id: string;
  class: number | null;
  durations: number;
}

function sumByEndpoint(rows: ClassRow[]): Map<string, DeliveryCounts> {
  const endpoints = new Map<string, DeliveryCounts>();
  for (const row of rows) {
    const durations = row.class === null ? [] : [...new Array<number>(row.class).fill(0), row.durations];
    const before = endpoints.get(row.endpoint_id) ?? NO_COUNTS;
    endpoints.set(row.endpoint_id, addCounts(before, toCounts({ ...row, durations })));
  }
  return endpoints;
}
