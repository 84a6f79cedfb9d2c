import type { Pool } from 'pg';
import { type DeliveryCounts, WHOLE_ENVIRONMENT_ID } from '../domain/delivery-stats.ts';
import { COUNTS, SUMMED_COUNTS, SUMMED_DURATIONS, toCounts } from './stats-counts.ts';

/** A time that statistics are read of, and how fine. */
export interface BucketedWindow {
  /** Where the first bucket begins, and the last one ends. */
  from: Date;
  to: Date;
  /** Divides the window, and is a multiple of the resolution. */
  bucketSeconds: number;
  /** Of the rows to read. */
  resolutionSeconds: number;
}

/** A window of the statistics of an endpoint or an environment. */
export interface StatsWindow extends BucketedWindow {
  environmentId: string;
  /** Null: the environment as a whole. */
  endpointId: string | null;
}

export interface BucketsOptions {
  environmentId: string;
  /** Null among them: the environment as a whole. */
  endpointIds: readonly (string | null)[];
  window: BucketedWindow;
  /** Whether to read histograms too, which takes most of the time. */
  withDurations: boolean;
}

/** Counts of a window's buckets by their place, from 0. Those in which nothing happened are missing. */
export type Buckets = ReadonlyMap<number, DeliveryCounts>;

const ROWS = `
  from delivery_stats s
  where s.environment_id = $1 and s.endpoint_id = any($2) and s.resolution_seconds = $3
    and s.starts_at >= $4 and s.starts_at < $5`;

const KEYS = `s.endpoint_id as "endpointId", floor(extract(epoch from s.starts_at - $4::timestamptz) / $6)::int as bucket`;

/** Where a bucket has one row there is nothing to sum up. */
const STATEMENTS = {
  'read-stats-rows': `select ${KEYS}, ${COUNTS} ${ROWS}`,
  'read-stats-rows-with-durations': `select ${KEYS}, ${COUNTS}, array_to_json(s.durations) as durations ${ROWS}`,
  'read-stats-buckets': `select ${KEYS}, ${SUMMED_COUNTS} ${ROWS} group by 1, 2`,
  'read-stats-buckets-with-durations': `select ${KEYS}, ${SUMMED_COUNTS}, ${SUMMED_DURATIONS} ${ROWS} group by 1, 2`,
};

/** Reads one window of many endpoints with one statement. @returns those asked for, in their order */
export async function readStatsBuckets(pool: Pool, options: BucketsOptions): Promise<Buckets[]> {
  const { environmentId, window, withDurations } = options;
  const what = window.bucketSeconds === window.resolutionSeconds ? 'rows' : 'buckets';
  const name = `read-stats-${what}${withDurations ? '-with-durations' : ''}` as keyof typeof STATEMENTS;
  const ids = options.endpointIds.map((id) => id ?? WHOLE_ENVIRONMENT_ID);
  const { rows } = await pool.query({
    name,
    text: STATEMENTS[name],
    values: [environmentId, ids, window.resolutionSeconds, window.from, window.to, window.bucketSeconds],
  });
  const found = new Map(ids.map((id) => [id, new Map<number, DeliveryCounts>()]));
  for (const row of rows) found.get(row.endpointId)?.set(row.bucket, toCounts(row));
  return ids.map((id) => found.get(id) as Buckets);
}
