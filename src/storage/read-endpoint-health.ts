import type { Pool } from 'pg';
import { MINUTE_SECONDS, toStats } from '../domain/delivery-stats.ts';
import { type EndpointHealth, HEALTH_ATTEMPTS_MAX, HEALTH_WINDOW_MS, judgeHealth } from '../domain/endpoint-health.ts';
import { OLDEST_WAITING_AT, WAITING } from './read-waiting.ts';
import { SUMMED_COUNTS, SUMMED_DURATIONS, toCounts } from './stats-counts.ts';

const SQL = `
select e.id as "endpointId", e.environment_id as "environmentId", e.status, e.deleted_at is not null as "isDeleted",
  e.updated_at as "updatedAt", exists (select 1 from lanes l where l.endpoint_id = e.id) as "hasOwnLane",
  f.began_at as "failingSince", f.next_probe_at as "nextProbeAt",
  coalesce(w.waiting, 0)::float8 as waiting, w.oldest as "oldestWaitingAt",
  a.failures as "failuresInARow", a.last_at as "lastAttemptAt", a.last_succeeded_at as "lastSucceededAt",
  a.last_failed_at as "lastFailedAt", r.*
from endpoints e left join failure_streaks f on f.endpoint_id = e.id left join lateral (
  select ${WAITING} as waiting, ${OLDEST_WAITING_AT} as oldest from delivery_gauges g
  where g.environment_id = e.environment_id and g.endpoint_id = e.id
) w on true cross join lateral (
  select coalesce(min(place) filter (where status = 'SUCCEEDED') - 1, count(*))::int as failures,
    max(created_at) as last_at, max(created_at) filter (where status = 'SUCCEEDED') as last_succeeded_at,
    max(created_at) filter (where status = 'FAILED') as last_failed_at
  from (
    select status, created_at, row_number() over (order by id desc) as place from delivery_attempts
    where endpoint_id = e.id order by id desc limit ${HEALTH_ATTEMPTS_MAX}
  ) newest
) a cross join lateral (
  select ${SUMMED_COUNTS}, ${SUMMED_DURATIONS} from delivery_stats s
  where s.environment_id = e.environment_id and s.endpoint_id = e.id
    and s.resolution_seconds = ${MINUTE_SECONDS} and s.starts_at >= $2
) r
where e.id = any($1)`;

/** Reads how endpoints fare, deleted ones too, by their UUIDs. Those that never were are missing. */
export async function readEndpointHealth(
  pool: Pool,
  endpointIds: readonly string[],
): Promise<Map<string, EndpointHealth>> {
  const now = new Date();
  const minuteMs = MINUTE_SECONDS * 1_000;
  const from = new Date(Math.floor((now.getTime() - HEALTH_WINDOW_MS) / minuteMs) * minuteMs);
  const { rows } = await pool.query({ name: 'read-endpoint-health', text: SQL, values: [endpointIds, from] });
  return new Map(
    rows.map((row) => {
      const facts = { ...row, recent: toStats(toCounts(row), { from, to: now, now }) };
      return [row.endpointId, { ...facts, state: judgeHealth(facts, now) }];
    }),
  );
}
