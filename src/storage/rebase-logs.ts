import type { Pool, PoolClient, QueryConfig } from 'pg';
import { inTransaction } from './transaction.ts';

/** Rebasing may rewrite all changes of a day, so its statements have this time instead of that of other statements. */
const TIMEOUT_MS = 6 * 3_600_000;
/** Unread changes that get the same transaction ID, and so are read at once. */
const CHUNK_ROWS = 20_000;
/** Transaction IDs of rows and positions after rebasing. No transaction of a cluster has so low an ID. */
const READ = 1;
const READ_BY_ONE = 2;
const UNREAD = 3;

/** `xid8` has no arithmetic of its own. */
const toXid8 = (expression: string) => `(${expression})::text::xid8`;

/**
 * Transaction IDs are those of a database cluster. In one that a dump was restored into, the logs come with IDs that this
 * cluster has not reached: nothing new would be read, as it sorts before what was restored.
 */
const IS_FOREIGN = `
  exists (select from stats_position where xid > pg_snapshot_xmax(pg_current_snapshot()))
  or exists (select from announcements_position where xid > pg_snapshot_xmax(pg_current_snapshot()))
  or exists (select from delivery_changes where xid >= pg_snapshot_xmax(pg_current_snapshot()))
  or exists (select from publications where xid >= pg_snapshot_xmax(pg_current_snapshot()))
  or exists (select from endpoint_changes where xid >= pg_snapshot_xmax(pg_current_snapshot()))`;

/** Whether the logs come from another database cluster, or from a later time of this one, and must be rebased. */
export async function areLogsForeign(pool: Pool | PoolClient): Promise<boolean> {
  const { rows } = await pool.query({ name: 'are-logs-foreign', text: `select ${IS_FOREIGN} as "isForeign"` });
  return rows[0].isForeign;
}

/** What rebasing did, in rows. */
export interface RebasedLogs {
  /** Changes of deliveries that statistics or operational events have yet to read. */
  movedChanges: number;
  /** Changes of deliveries that were read by both. Cursors that lead to them end as CURSOR_EXPIRED. */
  deletedChanges: number;
  movedEndpointChanges: number;
  /** Publications that statistics have yet to count, by minute. */
  movedPublications: number;
}

/**
 * Moves logs of another cluster before everything that this cluster writes, in their order, and the positions of their
 * readers with them: each change is still read once. One transaction, which does nothing if another process was faster.
 * Meanwhile no process can write to the logs.
 *
 * @returns `null` if the logs are of this cluster
 */
export const rebaseLogs = (pool: Pool): Promise<RebasedLogs | null> =>
  inTransaction(pool, async (client) => {
    await client.query('set local statement_timeout = 0');
    await run(
      client,
      `lock table stats_position, announcements_position, delivery_changes, publications, endpoint_changes
       in share row exclusive mode`,
    );
    return (await areLogsForeign(client)) ? moveLogs(client) : null;
  });

/** `pg` reads the time limit of a single query, though its types don't list it. */
const run = (client: PoolClient, text: string, values: unknown[] = []) =>
  client.query({ text, values, query_timeout: TIMEOUT_MS } as QueryConfig);

interface Origin {
  /** Next transaction ID of this cluster. */
  next: string;
  /** Time of the last change that was restored. `null`: none has an ID that tells. */
  lastAt: Date | null;
  stats: string;
  announcements: string;
}

async function findOrigin(client: PoolClient): Promise<Origin> {
  const { rows } = await run(
    client,
    `with bound as materialized (select pg_snapshot_xmax(pg_current_snapshot()) as next)
     select b.next::text, p.xid::text as stats, a.xid::text as announcements, greatest(
       (select max(changed_at) from delivery_changes where xid >= b.next),
       (select max(changed_at) from endpoint_changes where xid >= b.next),
       (select max(published_at) from publications where xid >= b.next)) as "lastAt"
     from bound b, stats_position p, announcements_position a`,
  );
  return rows[0];
}

/** Restored rows: a row that this cluster wrote has an ID that it has reached, and is younger than all that were restored. */
const isRestored = (time: string) => `(xid >= $1::xid8 or $2::timestamptz is null or ${time} <= $2)`;

async function moveLogs(client: PoolClient): Promise<RebasedLogs> {
  const { next, lastAt, stats, announcements } = await findOrigin(client);
  const [low, high] = BigInt(stats) <= BigInt(announcements) ? [stats, announcements] : [announcements, stats];
  const deleted = await run(
    client,
    // The newest one stays: a cursor of a place after it is found to be of another log.
    `delete from delivery_changes where ${isRestored('changed_at')} and xid < $3::xid8 and (xid, id) <> (
       select xid, id from delivery_changes where ${isRestored('changed_at')} and xid < $3::xid8
       order by xid desc, id desc limit 1)`,
    [next, lastAt, low],
  );
  const moved = await run(
    client,
    `update delivery_changes c set id = o.place, xid = ${toXid8(`
       case when o.xid < $3::xid8 then ${READ} when o.xid < $4::xid8 then ${READ_BY_ONE}
       else least(${UNREAD} + o.unread / ${CHUNK_ROWS}, ${firstOwn('delivery_changes', 'changed_at')} - 1) end`)}
     from (
       select ctid as row, xid, row_number() over (order by xid, id) as place,
         count(*) filter (where xid >= $4::xid8) over (order by xid, id) as unread
       from delivery_changes where ${isRestored('changed_at')}) o
     where c.ctid = o.row`,
    [next, lastAt, low, high],
  );
  const endpoints = await run(
    client,
    `update endpoint_changes c set id = o.place, xid = ${toXid8(
      `case when o.xid < $3::xid8 then ${READ} else ${UNREAD} end`,
    )}
     from (
       select ctid as row, xid, row_number() over (order by xid, id) as place
       from endpoint_changes where ${isRestored('changed_at')}) o
     where c.ctid = o.row`,
    [next, lastAt, announcements],
  );
  const publications = await movePublications(client, { next, lastAt, stats });
  await run(client, 'update stats_position set xid = $1::xid8', [low === stats ? READ_BY_ONE : UNREAD]);
  await run(client, 'update announcements_position set xid = $1::xid8', [low === announcements ? READ_BY_ONE : UNREAD]);
  return {
    movedChanges: moved.rowCount ?? 0,
    deletedChanges: deleted.rowCount ?? 0,
    movedEndpointChanges: endpoints.rowCount ?? 0,
    movedPublications: publications,
  };
}

/** The lowest ID that this cluster has written into a log: all that was restored must come before it. */
const firstOwn = (log: string, time: string) => `(select coalesce(min(xid::text::numeric), $1::xid8::text::numeric)
  from ${log} where not ${isRestored(time)})`;

/** Their key has the transaction ID, so those of a minute become one. Those that were counted are of no use. */
async function movePublications(
  client: PoolClient,
  { next, lastAt, stats }: Omit<Origin, 'announcements'>,
): Promise<number> {
  const { rows: unread } = await run(
    client,
    `select environment_id, sum(events)::int as events, min(published_at) as published_at,
       dense_rank() over (order by date_bin('1 minute', published_at, 'epoch')) as minute
     from publications where ${isRestored('published_at')} and xid >= $3::xid8
     group by environment_id, date_bin('1 minute', published_at, 'epoch')`,
    [next, lastAt, stats],
  );
  await run(client, `delete from publications where ${isRestored('published_at')}`, [next, lastAt]);
  const { rowCount } = await run(
    client,
    `insert into publications (xid, environment_id, events, published_at)
     select ${toXid8('place')}, environment_id, sum(events), min(published_at)
     from (
       select environment_id, events, published_at, least(${UNREAD - 1} + minute,
         (select coalesce(min(xid::text::numeric), $5::xid8::text::numeric) from publications) - 1) as place
       from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::int[]) as p(environment_id, events, published_at, minute)) p
     group by place, environment_id`,
    [
      unread.map((row) => row.environment_id),
      unread.map((row) => row.events),
      unread.map((row) => row.published_at),
      unread.map((row) => row.minute),
      next,
    ],
  );
  return rowCount ?? 0;
}
