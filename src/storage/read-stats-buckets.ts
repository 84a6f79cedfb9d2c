import type { Pool } from 'pg';
import { type DeliveryCounts, WHOLE_ENVIRONMENT_ID } from '../domain/delivery-stats.ts';
import { COUNT_NAMES, SUMMED_COUNTS, SUMMED_DURATIONS, toCounts } from './stats-counts.ts';

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

const KEYS = `s.endpoint_id,
  floor((date_part('epoch', s.starts_at) - date_part('epoch', $4::timestamptz)) / $6)::int as bucket`;

/** Text of a histogram as JSON has it, which Postgres writes faster than JSON. */
const DURATIONS = `translate(s.durations::text, '{}', '[]') as durations`;

/**
 * A day in minutes is 1,440 rows of nine columns: it comes in half of the time as one row of nine lists, in one order.
 *
 * @param select gives a row for each bucket
 */
const inColumns = (select: string, hasDurations: boolean) => `
  select endpoint_id as "endpointId", ${['bucket', ...COUNT_NAMES].map(listOf).join(', ')}
    ${hasDurations ? `, '[' || string_agg(coalesce(durations::text, '[]'), ',') || ']' as durations` : ''}
  from (${select}) x group by 1`;

const listOf = (name: string) => `array_to_json(array_agg(${name})) as ${name}`;

const COUNTS = COUNT_NAMES.map((name) => `s.${name}`).join(', ');

/** Where a bucket has one row there is nothing to sum up. */
const STATEMENTS = {
  'read-stats-rows': inColumns(`select ${KEYS}, ${COUNTS} ${ROWS}`, false),
  'read-stats-rows-with-durations': inColumns(`select ${KEYS}, ${COUNTS}, ${DURATIONS} ${ROWS}`, true),
  'read-stats-buckets': inColumns(`select ${KEYS}, ${SUMMED_COUNTS} ${ROWS} group by 1, 2`, false),
  'read-stats-buckets-with-durations': inColumns(
    `select ${KEYS}, ${SUMMED_COUNTS}, ${SUMMED_DURATIONS} ${ROWS} group by 1, 2`,
    true,
  ),
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
  const found = new Map(rows.map((row) => [row.endpointId, toBuckets(row)]));
  return ids.map((id) => found.get(id) ?? NO_BUCKETS);
}

const NO_BUCKETS: Buckets = new Map();

/** One endpoint's buckets: what stands at one place of all lists is of one bucket. */
type ColumnsRow = Record<(typeof COUNT_NAMES)[number] | 'bucket', number[]> & {
  /** JSON of a list of histograms. Left out: not read. */
  durations?: string;
};

function toBuckets(row: ColumnsRow): Buckets {
  const durations: number[][] = row.durations === undefined ? [] : JSON.parse(row.durations);
  const countsAt = (place: number) => ({
    published: row.published[place] as number,
    delivered: row.delivered[place] as number,
    failed: row.failed[place] as number,
    retried: row.retried[place] as number,
    attempts_succeeded: row.attempts_succeeded[place] as number,
    attempts_failed: row.attempts_failed[place] as number,
    durations: durations[place] ?? null,
  });
  return new Map(row.bucket.map((bucket, place) => [bucket, toCounts(countsAt(place))]));
}
