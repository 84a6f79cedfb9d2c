import type { Pool } from 'pg';

/** Rows of one statement: short enough to disturb nobody. */
const BATCH_MAX = 2_000;

/** Deletes the oldest statistics of one resolution that begin before a time. @returns whether there may be more */
export async function deleteOldStats(pool: Pool, resolutionSeconds: number, before: Date): Promise<boolean> {
  const { rowCount } = await pool.query({
    name: 'delete-old-stats',
    text: `delete from delivery_stats where (environment_id, endpoint_id, resolution_seconds, starts_at) in (
      select environment_id, endpoint_id, resolution_seconds, starts_at from delivery_stats
      where resolution_seconds = $1 and starts_at < $2 order by starts_at limit ${BATCH_MAX})`,
    values: [resolutionSeconds, before],
  });
  return rowCount === BATCH_MAX;
}
