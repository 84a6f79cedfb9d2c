import type { DeliveryCounts } from '../domain/delivery-stats.ts';
import { DURATION_BOUNDS_MS, DURATION_CLASSES } from '../domain/duration-histogram.ts';

/** Select list: what changes count for, from any group of rows of `delivery_changes`. */
export const CHANGE_COUNTS = `
  count(*) filter (where previous_status is null) as published,
  count(*) filter (
    where status = 'DELIVERED' and status is distinct from previous_status and attempt_status = 'SUCCEEDED'
  ) as delivered,
  count(*) filter (where status = 'FAILED' and status is distinct from previous_status) as failed,
  count(*) filter (where attempt_trigger in ('RETRY', 'MANUAL')) as retried,
  count(*) filter (where attempt_status = 'SUCCEEDED') as attempts_succeeded,
  count(*) filter (where attempt_status = 'FAILED') as attempts_failed`;

/** Class of a change's duration, from 0; null: it has none. */
export const DURATION_CLASS = `width_bucket(duration_ms - 1, '{${DURATION_BOUNDS_MS.join(',')}}'::int[])`;

const eachClass = (write: (index: number) => string) =>
  Array.from({ length: DURATION_CLASSES }, (_, index) => write(index)).join(', ');

/** The histogram of rows that have a class and a number of durations; classes at the end without any are left out. */
export const HISTOGRAM_OF_CLASSES = `coalesce((array[
  ${eachClass((index) => `coalesce(sum(durations) filter (where class = ${index}), 0)::int`)}
])[1:max(class) + 1], '{}')`;

/** Columns of `delivery_stats` that count, durations aside. */
export const COUNT_NAMES = [
  'published',
  'delivered',
  'failed',
  'retried',
  'attempts_succeeded',
  'attempts_failed',
] as const;

/** Select list: counts summed up over rows of `delivery_stats s`, as {@link toCounts} reads them, durations aside. */
export const SUMMED_COUNTS = COUNT_NAMES.map((name) => `coalesce(sum(s.${name}), 0)::float8 as ${name}`).join(', ');

/** Select list: durations summed up over rows of `delivery_stats s`, as {@link toCounts} reads them. */
export const SUMMED_DURATIONS = `to_json((array[
    ${eachClass((index) => `coalesce(sum(s.durations[${index + 1}]), 0)`)}
  ])[1:max(cardinality(s.durations))]) as durations`;

/** A row of counts. Its numbers are below 2^53: they come as JSON, or as floats. */
export interface CountsRow {
  published: number;
  delivered: number;
  failed: number;
  retried: number;
  attempts_succeeded: number;
  attempts_failed: number;
  /** Null: there is nothing to sum up, or it was not read. */
  durations?: number[] | null;
}

export const toCounts = (row: CountsRow): DeliveryCounts => ({
  published: row.published,
  delivered: row.delivered,
  failed: row.failed,
  retried: row.retried,
  attemptsSucceeded: row.attempts_succeeded,
  attemptsFailed: row.attempts_failed,
  durations: row.durations ?? [],
});
