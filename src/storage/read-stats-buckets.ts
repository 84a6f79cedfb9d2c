import type { Pool } from 'pg';
import { type DeliveryCounts, WHOLE_ENVIRONMENT_ID } from '../domain/delivery-stats.ts';
import { SUMMED_COUNTS, toCounts } from './stats-counts.ts';

/** A time that statistics are read of, and how fine. */
export interface StatsWindow {
  environmentId: string;
  /** Null: the environment as a whole. */
  endpointId: string | null;
  /** Where the first bucket begins, and the last one ends. */
  from: Date;
  to: Date;
  /** Divides the window, and is a multiple of the resolution. */
  bucketSeconds: number;
  /** Of the rows to read. */
  resolutionSeconds: number;
}

/** Reads the counts of a window's buckets by their place, from 0. Those in which nothing happened are missing. */
export async function readStatsBuckets(pool: Pool, window: StatsWindow): Promise<Map<number, DeliveryCounts>> {
  const { rows } = await pool.query({
    name: 'read-stats-buckets',
    text: `select floor(extract(epoch from s.starts_at - $4::timestamptz) / $6)::int as bucket, ${SUMMED_COUNTS}
      from delivery_stats s
      where s.environment_id = $1 and s.endpoint_id = $2 and s.resolution_seconds = $3
        and s.starts_at >= $4 and s.starts_at < $5
      group by 1`,
    values: [
      window.environmentId,
      window.endpointId ?? WHOLE_ENVIRONMENT_ID,
      window.resolutionSeconds,
      window.from,
      window.to,
      window.bucketSeconds,
    ],
  });
  return new Map(rows.map((row) => [row.bucket, toCounts(row)]));
}
