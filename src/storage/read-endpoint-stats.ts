import type { Pool } from 'pg';
import { type DeliveryCounts, HOUR_SECONDS, MINUTE_SECONDS } from '../domain/delivery-stats.ts';
import type { StatsWindow } from './read-stats-buckets.ts';
import { SUMMED_COUNTS, SUMMED_DURATIONS, toCounts } from './stats-counts.ts';

/** One of an environment's endpoints with what happened there. */
export interface EndpointCounts {
  endpointId: string;
  counts: DeliveryCounts;
}

/** Rows of some endpoints in some ranges of time: by the key, an endpoint and a range at a time. */
const rowsOf = (endpoints: string) => `
  ${endpoints} e cross join ranges r cross join lateral (
    select * from delivery_stats s where s.environment_id = $1 and s.endpoint_id = e.id
      and s.resolution_seconds = r.resolution_seconds and s.starts_at >= r.starts_at and s.starts_at < r.ends_at
  ) s`;

const SQL = `
with ranges as materialized (
  select * from unnest($3::int[], $4::timestamptz[], $5::timestamptz[]) as x(resolution_seconds, starts_at, ends_at)
), worst as materialized (
  select e.id from ${rowsOf('endpoints')}
  where e.environment_id = $1 and ($2::uuid is null or e.id = $2)
  group by e.id order by sum(s.attempts_failed) desc, sum(s.attempts_succeeded) desc, e.id desc limit $6
)
select e.id as "endpointId", ${SUMMED_COUNTS}, ${SUMMED_DURATIONS} from ${rowsOf('worst')} group by e.id
order by sum(s.attempts_failed) desc, sum(s.attempts_succeeded) desc, e.id desc`;

/**
 * Reads what happened in a whole window at each endpoint, or at the one that the window is of: those with the most
 * failed attempts first. Endpoints where nothing happened are missing.
 */
export async function readEndpointStats(pool: Pool, window: StatsWindow, max: number): Promise<EndpointCounts[]> {
  const ranges = splitByResolution(window);
  const { rows } = await pool.query({
    name: 'read-endpoint-stats',
    text: SQL,
    values: [
      window.environmentId,
      window.endpointId,
      ranges.map((range) => range.resolutionSeconds),
      ranges.map((range) => range.from),
      ranges.map((range) => range.to),
      max,
    ],
  });
  return rows.map((row) => ({ endpointId: row.endpointId, counts: toCounts(row) }));
}

interface StatsRange {
  resolutionSeconds: number;
  from: Date;
  to: Date;
}

/** Whole hours are read as such, so that a day of many endpoints is few rows; what is left at the ends by minutes. */
function splitByResolution({ from, to, resolutionSeconds }: StatsWindow): StatsRange[] {
  const hourMs = HOUR_SECONDS * 1_000;
  const hoursFrom = new Date(Math.ceil(from.getTime() / hourMs) * hourMs);
  const hoursTo = new Date(Math.floor(to.getTime() / hourMs) * hourMs);
  if (hoursFrom >= hoursTo) return [{ resolutionSeconds, from, to }];
  const ranges = [
    { resolutionSeconds: MINUTE_SECONDS, from, to: hoursFrom },
    { resolutionSeconds: HOUR_SECONDS, from: hoursFrom, to: hoursTo },
    { resolutionSeconds: MINUTE_SECONDS, from: hoursTo, to },
  ];
  return ranges.filter((range) => range.from < range.to);
}
