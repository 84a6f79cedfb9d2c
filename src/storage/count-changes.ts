import type { ClientBase } from 'pg';
import { HOUR_SECONDS, MINUTE_SECONDS, WHOLE_ENVIRONMENT_ID } from '../domain/delivery-stats.ts';
import type { UnreadRange } from './log-position.ts';
import { CHANGE_COUNTS, DURATION_CLASS, HISTOGRAM_OF_CLASSES } from './stats-counts.ts';

/** Change of a gauge by changes: those that enter a status, less those that leave it. */
const moveOf = (status: string) =>
  `count(*) filter (where status = '${status}') - count(*) filter (where previous_status = '${status}')`;

const COUNTERS = ['published', 'delivered', 'failed', 'retried', 'attempts_succeeded', 'attempts_failed'];
const GAUGES = ['pending', 'retrying', 'held'];

const list = (names: string[], write: (name: string) => string) => names.map(write).join(', ');

/** The log is read once. What comes of it, a few rows for each endpoint, is summed up by endpoint, environment, minute and hour. */
const SQL = `
with changes as materialized (
  select environment_id, endpoint_id, date_bin('1 minute', changed_at, 'epoch') as minute, ${DURATION_CLASS} as class,
    ${CHANGE_COUNTS}, count(duration_ms) as durations,
    ${moveOf('PENDING')} as pending, ${moveOf('RETRYING')} as retrying, ${moveOf('HELD')} as held
  from delivery_changes where xid >= $1::xid8 and xid < $2::xid8 group by 1, 2, 3, 4
), gauged as (
  insert into delivery_gauges (environment_id, endpoint_id, ${GAUGES})
  select environment_id, coalesce(endpoint_id, '${WHOLE_ENVIRONMENT_ID}'), ${list(GAUGES, (name) => `sum(${name})`)}
  from changes group by grouping sets ((environment_id, endpoint_id), (environment_id))
  having ${GAUGES.map((name) => `sum(${name}) <> 0`).join(' or ')} order by 1, 2
  on conflict (environment_id, endpoint_id) do update set
    ${list(GAUGES, (name) => `${name} = delivery_gauges.${name} + excluded.${name}`)}
), counted as (
  select environment_id, endpoint_id, minute, class, ${COUNTERS.join()}, durations from changes
  union all
  select environment_id, '${WHOLE_ENVIRONMENT_ID}'::uuid, minute, class, 0, ${COUNTERS.slice(1)}, durations from changes
  union all
  select environment_id, '${WHOLE_ENVIRONMENT_ID}'::uuid, date_bin('1 minute', published_at, 'epoch'), null,
    sum(events), ${list(COUNTERS.slice(1), () => '0')}, 0
  from publications where xid >= $1::xid8 and xid < $2::xid8 group by 1, 2, 3
)
insert into delivery_stats (environment_id, endpoint_id, resolution_seconds, starts_at, ${COUNTERS.join()}, durations)
select environment_id, endpoint_id, r.seconds, date_bin(make_interval(secs => r.seconds), minute, 'epoch'),
  ${list(COUNTERS, (name) => `sum(${name})`)}, ${HISTOGRAM_OF_CLASSES}
from counted cross join (values (${MINUTE_SECONDS}), (${HOUR_SECONDS})) as r(seconds)
group by 1, 2, 3, 4 order by 1, 2, 3, 4
on conflict (environment_id, endpoint_id, resolution_seconds, starts_at) do update set
  ${list(COUNTERS, (name) => `${name} = delivery_stats.${name} + excluded.${name}`)},
  durations = case when excluded.durations = '{}' then delivery_stats.durations else array(
    select coalesce(a, 0) + coalesce(b, 0) from unnest(delivery_stats.durations, excluded.durations) as x(a, b)
  ) end`;

/**
 * Adds the changes and publications of some transactions to the statistics and gauges. Must run in the transaction that
 * moves the position behind them, so that each counts once.
 */
export async function countChanges(client: ClientBase, { from, until }: UnreadRange): Promise<void> {
  await client.query({ name: 'count-changes', text: SQL, values: [String(from), String(until)] });
}
