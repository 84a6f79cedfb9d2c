import type { ClientBase } from 'pg';
import {
  BACK_OFF_AFTER,
  FAILURE_SPACING_SECONDS,
  type FailureStreak,
  PROBE_REST_SECONDS_MAX,
  PROBE_REST_SECONDS_MIN,
} from '../domain/failure-streak.ts';

/** Select list of what attempts of an endpoint need to know, from `endpoints e left join failure_streaks f`. */
export const BACK_OFF_COLUMNS = `
  f.next_probe_at is not null as "isBackedOff", f.next_probe_at as "nextProbeAt"`;

/** An endpoint's back-off, as the statements select it. */
export interface BackOffColumns {
  isBackedOff: boolean;
  /** When its next attempt may begin; null: it is not backed off. */
  nextProbeAt: Date | null;
}

/** What a batch of attempts brought to an endpoint. */
export interface AttemptCounts {
  endpointId: string;
  /** Where they were sent. */
  url: string;
  succeeded: number;
  failed: number;
}

/** In one order, so that two transactions with the same endpoints wait for each other instead of deadlocking. */
const LOCK = 'select endpoint_id from failure_streaks where endpoint_id = any($1) order by endpoint_id for update';

/** Of an array whose length is not looked at, so that the plan is kept and not made anew for each. */
const FIND = 'select 1 from failure_streaks where endpoint_id = any(array(select unnest($1::uuid[])))';

const END = `
with locked as materialized (${LOCK}), ended as (
  delete from failure_streaks f using locked l, unnest($1::uuid[], $3::text[]) as x(endpoint_id, url), endpoints e
  where f.endpoint_id = l.endpoint_id and x.endpoint_id = l.endpoint_id and e.id = l.endpoint_id and e.url = x.url
  returning f.endpoint_id, f.next_probe_at
)
insert into endpoint_changes (environment_id, endpoint_id, kind, status, changed_at)
select e.environment_id, e.id, 'RECOVERED', e.status, $2 from ended s join endpoints e on e.id = s.endpoint_id
where s.next_probe_at is not null`;

const MAX_REST = `make_interval(secs => ${PROBE_REST_SECONDS_MAX})`;
/** An attempt that was made during the rest, in flight since before it or by hand, leaves the rest as it is. */
const IS_RESTING = `s.next_probe_at > $3 and s.next_probe_at <= $3 + ${MAX_REST}`;
const IS_SPACED = `s.spaced_at <= $3 - interval '${FAILURE_SPACING_SECONDS} seconds'`;

const LENGTHEN = `
with added as materialized (
  select x.endpoint_id, x.failed, x.url from unnest($1::uuid[], $2::int[], $4::text[]) as x(endpoint_id, failed, url)
  join endpoints e on e.id = x.endpoint_id and e.url = x.url
), lengthened as (
  insert into failure_streaks as s (endpoint_id, failures, began_at, spaced_failures, spaced_at, next_probe_at)
  select endpoint_id, failed, $3::timestamptz, 1, $3,
    case when failed >= ${BACK_OFF_AFTER} then $3 + interval '${PROBE_REST_SECONDS_MIN} seconds' end
  from added order by endpoint_id
  on conflict (endpoint_id) do update set
    failures = s.failures + excluded.failures,
    spaced_failures = s.spaced_failures + (${IS_SPACED})::int,
    spaced_at = case when ${IS_SPACED} then $3 else s.spaced_at end,
    probes = s.probes + (s.next_probe_at is not null and not (${IS_RESTING}))::int,
    next_probe_at = case
      when s.failures + excluded.failures < ${BACK_OFF_AFTER} then null
      when ${IS_RESTING} then s.next_probe_at
      when s.next_probe_at is null then $3 + interval '${PROBE_REST_SECONDS_MIN} seconds'
      -- Bounded, so that it does not overflow: the rest is at its longest long before.
      else $3 + least(${MAX_REST}, make_interval(secs => ${PROBE_REST_SECONDS_MIN} * power(2, least(s.probes + 1, 20))))
    end
  returning endpoint_id, failures, began_at, spaced_failures
), backed_off as (
  insert into endpoint_changes (environment_id, endpoint_id, kind, status, reason, changed_at)
  select e.environment_id, e.id, 'BACKED_OFF', e.status, 'The last ' || l.failures || ' attempts failed.', $3
  from lengthened l join added a using (endpoint_id) join endpoints e on e.id = l.endpoint_id
  where l.failures >= ${BACK_OFF_AFTER} and l.failures - a.failed < ${BACK_OFF_AFTER}
)
select endpoint_id as "endpointId", a.url, l.failures, l.began_at as "beganAt", l.spaced_failures as "spacedFailures"
from lengthened l join added a using (endpoint_id)`;

/**
 * Counts attempts into the streaks of their endpoints: one that succeeded ends a streak, those that failed begin or
 * lengthen one. Endpoints that are backed off by that, or recover, have a change that tells of it. Attempts that were sent
 * to another address than the endpoint has now say nothing of it.
 *
 * @returns the streaks that grew
 */
export async function saveStreaks(client: ClientBase, counts: AttemptCounts[], now: Date): Promise<FailureStreak[]> {
  if (counts.length === 0) return [];
  const succeeded = counts.filter((count) => count.succeeded > 0);
  const failed = counts.filter((count) => count.succeeded === 0);
  // Mostly there is nothing to end, which is cheap to see.
  if (failed.length === 0 && !(await hasStreaks(client, succeeded))) return [];
  const [, , lengthened] = await Promise.all([
    failed.length > 0 && client.query({ name: 'lock-streaks', text: LOCK, values: [idsOf(counts)] }),
    succeeded.length > 0 &&
      client.query({ name: 'end-streaks', text: END, values: [idsOf(succeeded), now, urlsOf(succeeded)] }),
    failed.length > 0 &&
      client.query({
        name: 'lengthen-streaks',
        text: LENGTHEN,
        values: [idsOf(failed), failed.map((count) => count.failed), now, urlsOf(failed)],
      }),
  ]);
  return lengthened ? lengthened.rows : [];
}

async function hasStreaks(client: ClientBase, counts: AttemptCounts[]): Promise<boolean> {
  const { rows } = await client.query({ name: 'find-streaks', text: FIND, values: [idsOf(counts)] });
  return rows.length > 0;
}

const idsOf = (counts: AttemptCounts[]) => counts.map((count) => count.endpointId);
const urlsOf = (counts: AttemptCounts[]) => counts.map((count) => count.url);
