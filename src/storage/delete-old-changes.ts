import type { Pool } from 'pg';

/** Rows of one statement: short enough to disturb nobody. */
const BATCH_MAX = 5_000;
/** What has not been read yet stays, but not without end: should nobody read any more, a log must not fill the disk. */
const UNREAD_EXTRA = "interval '6 days'";

/** The logs that are kept for a while, each with the rest of its key, its time, and the places of its readers. */
const LOGS = {
  delivery_changes: { id: 'id', time: 'changed_at', readers: ['stats_position', 'announcements_position'] },
  publications: { id: 'environment_id', time: 'published_at', readers: ['stats_position'] },
  endpoint_changes: { id: 'id', time: 'changed_at', readers: ['announcements_position'] },
} as const;

/**
 * Deletes the oldest rows of a log, as far as they are older than a time and have been read by those who go through it.
 *
 * @returns whether there may be more
 */
export async function deleteOldChanges(pool: Pool, table: keyof typeof LOGS, before: Date): Promise<boolean> {
  const { id, time, readers } = LOGS[table];
  // A position that the database has not reached says nothing: it came with a dump and is about to be rebased.
  const isRead = readers
    .map((place) => `xid < (select xid from ${place} where xid <= pg_snapshot_xmax(pg_current_snapshot()))`)
    .join(' and ');
  // The oldest stand first in the key, so no index on the time is needed.
  const { rowCount } = await pool.query({
    name: `delete-old-${table}`,
    text: `delete from ${table} where (xid, ${id}) in (
      select xid, ${id} from (select * from ${table} order by xid, ${id} limit ${BATCH_MAX}) oldest
      where ${time} < $1 and (${isRead} or ${time} < $1::timestamptz - ${UNREAD_EXTRA}))`,
    values: [before],
  });
  return rowCount === BATCH_MAX;
}
