import type { ClientBase, Pool } from 'pg';

/** Who goes through the logs, transaction by transaction, each once: the row with the reader's place, and its logs. */
const READERS = {
  statistics: { place: 'stats_position', logs: ['delivery_changes', 'publications'] },
  announcements: { place: 'announcements_position', logs: ['delivery_changes', 'endpoint_changes'] },
} as const;

export type LogReader = keyof typeof READERS;

/**
 * Tells whether there is anything that a reader has not read yet. Only reads, where {@link takeLogPosition} uses up a
 * transaction ID.
 */
export async function hasUnread(pool: Pool, reader: LogReader): Promise<boolean> {
  const { place, logs } = READERS[reader];
  const unread = logs.map(
    (log) => `exists (
      select 1 from ${log} l where l.xid >= p.xid and l.xid < pg_snapshot_xmin(pg_current_snapshot()))`,
  );
  const { rows } = await pool.query({
    name: `has-unread-${reader}`,
    text: `select ${unread.join(' or ')} as has from ${place} p`,
  });
  return rows[0].has;
}

/** Transactions that are to be read: none of them runs any more. */
export interface UnreadRange {
  from: bigint;
  /** The first one behind them. */
  until: bigint;
  /** There are more behind them that could be read. */
  hasMore: boolean;
}

/**
 * Takes the right to read until the transaction ends, and finds what to read: whole transactions, with about
 * `rowsMax` rows of each log at the most.
 *
 * @returns null where there is nothing, or somebody else has that right
 */
export async function takeLogPosition(
  client: ClientBase,
  reader: LogReader,
  rowsMax: number,
): Promise<UnreadRange | null> {
  const { place, logs } = READERS[reader];
  const taken = await client.query({
    name: `take-position-${reader}`,
    text: `select xid::text from ${place} for update skip locked`,
  });
  if (taken.rows.length === 0) return null;
  const from = BigInt(taken.rows[0].xid);
  const lasts = logs.map(
    (log) => `(select l.xid::text from ${log} l where l.xid >= $1::xid8 order by l.xid offset $2 limit 1)`,
  );
  const { rows } = await client.query({
    name: `find-unread-${reader}`,
    // The last one that is taken, of each log; null: there are not so many.
    text: `select pg_snapshot_xmin(pg_current_snapshot())::text as settled, array[${lasts.join(', ')}] as lasts`,
    values: [String(from), rowsMax - 1],
  });
  const settled = BigInt(rows[0].settled);
  const ends = (rows[0].lasts as (string | null)[]).flatMap((xid) => (xid === null ? [] : BigInt(xid) + 1n));
  const until = [settled, ...ends].reduce((a, b) => (a < b ? a : b));
  return until > from ? { from, until, hasMore: until < settled } : null;
}

/** Moves a reader's place. Must run in the transaction that has done what the rows before it ask for. */
export async function moveLogPosition(client: ClientBase, reader: LogReader, until: bigint): Promise<void> {
  await client.query({
    name: `move-position-${reader}`,
    text: `update ${READERS[reader].place} set xid = $1::xid8`,
    values: [String(until)],
  });
}
