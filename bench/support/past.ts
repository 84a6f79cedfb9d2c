import { withClient } from './databases.ts';

/** What became of the seeded deliveries: all delivered at the first attempt, or all waiting for their first retry. */
export type PastKind = 'delivered' | 'retrying';

/** Of the seeded events. */
export const PAST_TYPE = 'past.event';

/** Of the seeded events: so many that even a small past fills a page with each. */
const SOURCE_KEYS = 100;

/** IDs and times of the rows to come, a day ago and 10 ms apart, spread over the endpoints in turns. */
const PLAN = `
create temp table past as
select i, e.organization_id, e.environment_id, e.id as endpoint_id, uuidv7(shift) as event_id,
  uuidv7(shift) as delivery_id, uuidv7(shift) as attempt_id, now() + shift as at
from generate_series(1, $COUNT) i
cross join lateral (select interval '-1 day' - ($COUNT - i) * interval '10 ms' as shift)
join (select *, row_number() over () - 1 as place from endpoints) e
  on e.place = i % (select count(*) from endpoints)
order by i`;

const EVENTS = `
insert into events (id, organization_id, environment_id, type, source_key, body, content_type, endpoint_count,
  created_at)
select event_id, organization_id, environment_id, '${PAST_TYPE}', 'source-' || i % ${SOURCE_KEYS},
  convert_to('{"text":"' || repeat('x', 1000) || '"}', 'UTF8'), 'application/json', 1, at
from past order by i`;

const DELIVERIES: Record<PastKind, string> = {
  delivered: `
insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, source_key, status,
  attempt_count, max_retries, plan, last_attempt_id, last_response_status, delivered_at, created_at, updated_at)
select delivery_id, organization_id, environment_id, event_id, endpoint_id, '${PAST_TYPE}', 'source-' || i % ${SOURCE_KEYS},
  'DELIVERED', 1, 9, 2, attempt_id, 200, at, at, at
from past order by i`,
  retrying: `
insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, source_key, status,
  attempt_count, retry_count, max_retries, plan, queued_trigger, last_attempt_id, last_response_status,
  next_attempt_at, created_at, updated_at)
select delivery_id, organization_id, environment_id, event_id, endpoint_id, '${PAST_TYPE}', 'source-' || i % ${SOURCE_KEYS},
  'RETRYING', 1, 0, 9, 2, null, attempt_id, 500, now() + interval '1 day' + i * interval '10 ms', at, at
from past order by i`,
};

const ATTEMPTS = `
insert into delivery_attempts (id, organization_id, environment_id, delivery_id, event_id, endpoint_id, number, trigger,
  status, request_url, request_method, request_headers, request_body_size, response_status, response_headers,
  response_body, duration_ms, error_code, created_at)
select attempt_id, organization_id, environment_id, delivery_id, event_id, endpoint_id, 1, 'INITIAL', $STATUS,
  'http://127.0.0.1:2/', 'POST', '{"content-type":"application/json"}', 1011, $RESPONSE_STATUS, '{"content-length":"2"}',
  'ok', 3, $ERROR, at
from past order by i`;

const OUTCOMES: Record<PastKind, Record<string, string>> = {
  delivered: { $STATUS: `'SUCCEEDED'`, $RESPONSE_STATUS: '200', $ERROR: 'null::attempt_error_code' },
  retrying: { $STATUS: `'FAILED'`, $RESPONSE_STATUS: '500', $ERROR: `'HTTP_STATUS'` },
};

const CHANGES = `
insert into delivery_changes (environment_id, delivery_id, event_id, endpoint_id, status, previous_status, attempt_id,
  changed_at)
select environment_id, delivery_id, event_id, endpoint_id, status::delivery_status, previous::delivery_status,
  case when previous is not null then attempt_id end, at
from past cross join (values ('PENDING', null), ($STATUS, 'PENDING')) as x(status, previous) order by i`;

export interface Past {
  databaseUrl: string;
  /** Deliveries, each with an event, an attempt and two changes of its own. */
  count: number;
  kind: PastKind;
}

/** Fills a database that has endpoints with what would be there after a day. */
export async function seedPast({ databaseUrl, count, kind }: Past): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    await client.query(PLAN.replaceAll('$COUNT', String(count)));
    await client.query(EVENTS);
    await client.query(DELIVERIES[kind]);
    const outcome = OUTCOMES[kind];
    await client.query(ATTEMPTS.replaceAll(/\$[A-Z_]+/g, (name) => outcome[name] as string));
    await client.query(CHANGES.replace('$STATUS', `'${kind.toUpperCase()}'`));
    await client.query('vacuum analyze');
  });
  await takeLogsAsRead(databaseUrl);
}

/** Statistics and operational events are to be about what comes: what is in the logs was counted and told long ago. */
export const takeLogsAsRead = (databaseUrl: string): Promise<void> =>
  withClient(databaseUrl, async (client) => {
    for (const place of ['stats_position', 'announcements_position']) {
      await client.query(`update ${place} set xid = pg_snapshot_xmin(pg_current_snapshot())`);
    }
  });
