import type { Pool } from 'pg';

/** Rows of one statement: short enough to disturb nobody. */
const BATCH_MAX = 5_000;
/** What statistics don't count yet stays, but not without end: should nobody count any more, the log must not fill the disk. */
const UNCOUNTED_EXTRA = "interval '6 days'";

/** The logs that are kept for a while, each with the rest of its key and its time. */
const LOGS = {
  delivery_changes: { id: 'id', time: 'changed_at' },
  publications: { id: 'environment_id', time: 'published_at' },
} as const;

/**
 * Deletes the oldest changes of the live feed, or publications, as far as they are older than a time and statistics
 * have counted them.
 *
 * @returns whether there may be more
 */
export async function deleteOldChanges(
  pool: Pool,
  before: Date,
  table: keyof typeof LOGS = 'delivery_changes',
): Promise<boolean> {
  const { id, time } = LOGS[table];
  // The oldest stand first in the key, so no index on the time is needed.
  const { rowCount } = await pool.query({
    name: `delete-old-${table}`,
    text: `delete from ${table} where (xid, ${id}) in (
      select xid, ${id} from (select * from ${table} order by xid, ${id} limit ${BATCH_MAX}) oldest
      where ${time} < $1
        and (xid < (select xid from stats_position) or ${time} < $1::timestamptz - ${UNCOUNTED_EXTRA}))`,
    values: [before],
  });
  return rowCount === BATCH_MAX;
}
