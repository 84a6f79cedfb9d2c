import type { ClientBase, Pool } from 'pg';

/**
 * Tells whether there is anything that statistics don't count yet. Only reads, where {@link takeStatsPosition} uses up a
 * transaction ID.
 */
export async function hasUncounted(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query({
    name: 'has-uncounted',
    text: `select
      exists (select 1 from delivery_changes c where c.xid >= p.xid and c.xid < pg_snapshot_xmin(pg_current_snapshot()))
      or exists (select 1 from publications u where u.xid >= p.xid and u.xid < pg_snapshot_xmin(pg_current_snapshot()))
      as has from stats_position p`,
  });
  return rows[0].has;
}

/** Transactions whose changes and publications are to be counted: none of them runs any more. */
export interface UncountedRange {
  from: bigint;
  /** The first one behind them. */
  until: bigint;
  /** There are more behind them that could be counted. */
  hasMore: boolean;
}

/**
 * Takes the right to count until the transaction ends, and finds what to count: whole transactions, with about
 * `rowsMax` changes, and publications, in all.
 *
 * @returns null where somebody else has that right
 */
export async function takeStatsPosition(client: ClientBase, rowsMax: number): Promise<UncountedRange | null> {
  const taken = await client.query({
    name: 'take-stats-position',
    text: 'select xid::text from stats_position for update skip locked',
  });
  if (taken.rows.length === 0) return null;
  const from: string = taken.rows[0].xid;
  const { rows } = await client.query({
    name: 'find-uncounted',
    // The last one that is taken, of either table; null: there are not so many.
    text: `select pg_snapshot_xmin(pg_current_snapshot())::text as settled,
      (select xid::text from delivery_changes where xid >= $1::xid8 order by xid, id offset $2 limit 1) as change,
      (select xid::text from publications where xid >= $1::xid8 order by xid offset $2 limit 1) as publication`,
    values: [from, rowsMax - 1],
  });
  const { settled, change, publication } = rows[0];
  const ends = [change, publication].flatMap((xid) => (xid === null ? [] : BigInt(xid) + 1n));
  const until = [BigInt(settled), ...ends].reduce((a, b) => (a < b ? a : b));
  return { from: BigInt(from), until, hasMore: until < BigInt(settled) };
}

/** Moves the place from where on it is counted. Must run in the transaction that has counted what is before it. */
export async function moveStatsPosition(client: ClientBase, until: bigint): Promise<void> {
  await client.query({
    name: 'move-stats-position',
    text: 'update stats_position set xid = $1::xid8',
    values: [String(until)],
  });
}
