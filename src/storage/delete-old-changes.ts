import type { Pool } from 'pg';

/** Rows of one statement: short enough to disturb nobody. */
const BATCH_MAX = 5_000;

/** Deletes the oldest changes of the live feed, as far as they are older than a time. @returns whether there may be more */
export async function deleteOldChanges(pool: Pool, before: Date): Promise<boolean> {
  // The oldest stand first in the key, so no index on the time is needed.
  const { rowCount } = await pool.query({
    name: 'delete-old-changes',
    text: `delete from delivery_changes where (xid, id) in (
      select xid, id from (select * from delivery_changes order by xid, id limit ${BATCH_MAX}) oldest
      where changed_at < $1)`,
    values: [before],
  });
  return rowCount === BATCH_MAX;
}
