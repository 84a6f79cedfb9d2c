import pg from 'pg';
import { v7 } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Retention } from '../src/deliver/retention.ts';
import { encodeId } from '../src/domain/ids.ts';
import { createLog, type Log } from '../src/log.ts';
import { deleteOldChanges } from '../src/storage/delete-old-changes.ts';
import { deleteOldEvents } from '../src/storage/delete-old-events.ts';
import { inTransaction } from '../src/storage/transaction.ts';
import { until, useTestBed } from './support/posthorn.ts';

const DAY_MS = 86_400_000;
const OLD_MS = 40 * DAY_MS;
const KEPT_MS = 30 * DAY_MS;
const INTERVAL_MS = 60_000;

/** Makes no attempts: deliveries stay as a test puts them. */
const bed = useTestBed({ role: 'api' });
let pool: pg.Pool;
let endpoint: { id: string; uuid: string };

beforeAll(async () => {
  pool = new pg.Pool({ connectionString: bed.database.url, max: 4, application_name: 'retention' });
  const { id } = await bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: ['old.event'] });
  const rows = await bed.database.query<{ id: string }>('select id from endpoints');
  endpoint = { id, uuid: rows[0]?.id as string };
});

beforeEach(async () => {
  for (const table of ['delivery_attempts', 'deliveries', 'events', 'delivery_changes', 'publications']) {
    await bed.database.query(`delete from ${table}`);
  }
});

afterAll(() => pool.end());

const idOf = (ageMs: number) => v7({ msecs: Date.now() - ageMs });

interface OldEvent {
  id: string;
  deliveryId: string;
}

/** The tenant that the operator's key acts in. */
const DEFAULT_TENANT = {
  organization: '00000000-0000-7000-8000-000000000001',
  environment: '00000000-0000-7000-8000-000000000002',
};

interface InsertOptions {
  ageMs?: number;
  /** Of each event's deliveries; the first one goes to the endpoint that there is. */
  statuses?: string[];
  tenant?: typeof DEFAULT_TENANT;
}

/** Puts events of an age there, with deliveries of these statuses and two attempts of each. @returns them, oldest first */
async function insertEvents(count: number, options: InsertOptions = {}): Promise<OldEvent[]> {
  const { ageMs = OLD_MS, statuses = ['DELIVERED'], tenant = DEFAULT_TENANT } = options;
  const { organization, environment } = tenant;
  const events = Array.from({ length: count }, (_, index) => ({
    id: idOf(ageMs - index),
    deliveryIds: statuses.map(() => idOf(ageMs - index)),
  }));
  const ids = events.map(({ id }) => id);
  await bed.database.query(
    `insert into events (id, organization_id, environment_id, type, body, content_type, endpoint_count)
     select id, $2, $3, 'old.event', 'null', 'application/json', $4 from unnest($1::uuid[]) as id`,
    [ids, organization, environment, statuses.length],
  );
  for (const [index, status] of statuses.entries()) {
    const deliveryIds = events.map((event) => event.deliveryIds[index]);
    await bed.database.query(
      `insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, status, max_retries, attempt_count, updated_at)
       select id, $3, $4, event_id, $5, 'old.event', $6::delivery_status, 9, 2, $7 from unnest($1::uuid[], $2::uuid[]) as i(id, event_id)`,
      [
        deliveryIds,
        ids,
        organization,
        environment,
        index === 0 ? endpoint.uuid : idOf(0),
        status,
        new Date(Date.now() - ageMs),
      ],
    );
    await bed.database.query(
      `insert into delivery_attempts (id, organization_id, environment_id, delivery_id, event_id, endpoint_id, number,
         trigger, status, request_url, request_method, request_headers, request_body_size, created_at)
       select gen_random_uuid(), d.organization_id, d.environment_id, d.id, d.event_id, d.endpoint_id, number, 'INITIAL',
         'FAILED', 'http://127.0.0.1:2/', 'POST', '{}', 4, now()
       from deliveries d, generate_series(1, 2) as number where d.id = any($1)`,
      [deliveryIds],
    );
  }
  return events.map(({ id, deliveryIds }) => ({ id, deliveryId: deliveryIds[0] as string }));
}

/** Rows that belong to events: of all, or of these. */
async function countRows(events?: OldEvent[]) {
  const sql = `select
    (select count(*)::int from events where $1::uuid[] is null or id = any($1)) as events,
    (select count(*)::int from deliveries where $1::uuid[] is null or event_id = any($1)) as deliveries,
    (select count(*)::int from delivery_attempts where $1::uuid[] is null or event_id = any($1)) as attempts`;
  const ids = events?.map(({ id }) => id) ?? null;
  return (await bed.database.query<{ events: number; deliveries: number; attempts: number }>(sql, [ids]))[0];
}

const NOTHING = { events: 0, deliveries: 0, attempts: 0 };
const allOf = (count: number) => ({ events: count, deliveries: count, attempts: 2 * count });

/** What is deleted: events older than they are kept, and not changed for two days. */
const oldEvents = (after: string | null = null, publishedBefore = new Date(Date.now() - KEPT_MS)) => ({
  publishedBefore,
  unchangedSince: new Date(Date.now() - 2 * DAY_MS),
  after,
});

const deleteBatch = (after: string | null = null) =>
  inTransaction(pool, (client) => deleteOldEvents(client, oldEvents(after)));

/** Deletes as {@link Retention} does. @returns how many batches had something to look at */
async function deleteAll(): Promise<number> {
  let count = 0;
  for (let last = await deleteBatch(); last !== null; last = await deleteBatch(last)) count += 1;
  return count;
}

/** A connection of its own with a transaction begun on it. */
async function begin(): Promise<{ client: pg.PoolClient; end: (how: 'commit' | 'rollback') => Promise<void> }> {
  const client = await pool.connect();
  await client.query('begin');
  const end = async (how: 'commit' | 'rollback') => {
    await client.query(how);
    client.release();
  };
  return { client, end };
}

/** Waits until a connection waits for a lock that another one has. */
const untilSomebodyWaits = () =>
  until(async () => {
    const sql = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    return (await bed.database.query(sql)).length > 0;
  }, 'somebody to wait for a lock');

const RETRY_EVENT = `mutation ($id: ID!) { retryEvent(input: { eventId: $id }) {
  __typename ... on RetryEventPayload { endpointCount event { id } } ... on Error { message } } }`;
const retryEvent = ({ id }: OldEvent) => bed.ask(RETRY_EVENT, { id: encodeId('Event', id) });

const RETRY_DELIVERY = `mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) { __typename } }`;
const retryDelivery = ({ deliveryId }: OldEvent) => bed.ask(RETRY_DELIVERY, { id: encodeId('Delivery', deliveryId) });

async function expectNoOrphans() {
  const orphans = await bed.database.query(
    `select 'delivery' as kind, id from deliveries d where not exists (select from events v where v.id = d.event_id)
     union all
     select 'attempt', id from delivery_attempts a where not exists (select from deliveries d where d.id = a.delivery_id)`,
  );
  expect(orphans).toEqual([]);
}

describe('deleteOldEvents', () => {
  it('deletes old events with all their deliveries and attempts, and leaves younger ones', async () => {
    const old = await insertEvents(3, { statuses: ['DELIVERED', 'FAILED', 'CANCELED', 'SKIPPED'] });
    const young = await insertEvents(3, { ageMs: KEPT_MS - INTERVAL_MS });
    await deleteAll();
    expect(await countRows(old)).toEqual(NOTHING);
    expect(await countRows(young)).toEqual(allOf(3));
  });

  it('deletes an event that went to no endpoint', async () => {
    await insertEvents(1, { statuses: [] });
    await deleteAll();
    expect(await countRows()).toEqual(NOTHING);
  });

  it('takes 200 at once, the oldest first, and goes on from the one that it tells', async () => {
    const events = await insertEvents(450);
    expect(await deleteBatch()).toBe(events[199]?.id);
    expect(await countRows(events.slice(0, 200))).toEqual(NOTHING);
    expect(await countRows()).toEqual(allOf(250));
    expect(await deleteBatch(events[199]?.id)).toBe(events[399]?.id);
    expect(await deleteBatch(events[399]?.id)).toBe(events[449]?.id);
    expect(await deleteBatch(events[449]?.id)).toBe(null);
    expect(await countRows()).toEqual(NOTHING);
  });

  it('gets past more events than one batch that must stay', async () => {
    const staying = await insertEvents(250, { ageMs: OLD_MS + DAY_MS, statuses: ['HELD'] });
    const going = await insertEvents(10);
    expect(await deleteAll()).toBe(2);
    expect(await countRows(staying)).toEqual(allOf(250));
    expect(await countRows(going)).toEqual(NOTHING);
  });

  it.each(['PENDING', 'RETRYING', 'HELD'])(
    'keeps all rows of an event with a delivery that is %s, however old',
    async (status) => {
      const waiting = await insertEvents(1, { ageMs: 3_000 * DAY_MS, statuses: ['DELIVERED', status, 'FAILED'] });
      const ended = await insertEvents(1);
      await deleteAll();
      expect(await countRows(waiting)).toEqual({ events: 1, deliveries: 3, attempts: 6 });
      expect(await countRows(ended)).toEqual(NOTHING);
    },
  );

  it('deletes the events of every environment', async () => {
    const { organizationId, environmentId } = await bed.createTenant('retention');
    const [row] = await bed.database.query<{ organization: string; environment: string }>(
      'select organization_id as organization, id as environment from environments where id <> $1',
      [DEFAULT_TENANT.environment],
    );
    const tenant = row as typeof DEFAULT_TENANT;
    expect([encodeId('Organization', tenant.organization), encodeId('Environment', tenant.environment)]).toEqual([
      organizationId,
      environmentId,
    ]);
    await insertEvents(2, { tenant });
    await insertEvents(2);
    await deleteAll();
    expect(await countRows()).toEqual(NOTHING);
  });

  it('deletes nothing where the transaction is rolled back', async () => {
    await insertEvents(3);
    const { client, end } = await begin();
    await deleteOldEvents(client, oldEvents(null, new Date()));
    await end('rollback');
    expect(await countRows()).toEqual(allOf(3));
  });

  it('keeps an event as long as the live feed may tell of a change of its deliveries', async () => {
    const [changed, other] = (await insertEvents(2)) as [OldEvent, OldEvent];
    await bed.database.query('update deliveries set updated_at = now() where id = $1', [changed.deliveryId]);
    await deleteAll();
    expect(await countRows([changed])).toEqual(allOf(1));
    expect(await countRows([other])).toEqual(NOTHING);
  });

  it('deletes everything once where several do it at once', async () => {
    await insertEvents(700);
    const young = await insertEvents(5, { ageMs: 0 });
    await Promise.all([deleteAll(), deleteAll(), deleteAll()]);
    // What one had locked the others have passed over.
    await deleteAll();
    expect(await countRows()).toEqual(allOf(5));
    expect(await countRows(young)).toEqual(allOf(5));
  });

  it('a time before 1970, of a retention of 57 years and more, deletes nothing: its ID was none', async () => {
    await insertEvents(1);
    const longAgo = new Date(Date.now() - 36_500 * DAY_MS);
    const result = await inTransaction(pool, (client) => deleteOldEvents(client, oldEvents(null, longAgo)));
    expect(result).toBe(null);
    expect(await countRows()).toEqual(allOf(1));
  });

  it('gives the key of a deleted event free', async () => {
    const { id } = await bed.publish({ type: 'unheard.of', idempotencyKey: 'once' });
    await inTransaction(pool, (client) => deleteOldEvents(client, oldEvents(null, new Date(Date.now() + 1_000))));
    expect((await bed.publish({ type: 'unheard.of', idempotencyKey: 'once' })).id).not.toBe(id);
  });
});

/** Runs with the timer in the test's hand. */
async function withRetention(
  work: (retention: Retention, tick: () => void) => Promise<void>,
  { log = createLog('silent'), on = pool }: { log?: Log; on?: pg.Pool } = {},
) {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const retention = new Retention({ pool: on, log, retentionDays: 30 });
  retention.start();
  const tick = () => vi.advanceTimersByTime(INTERVAL_MS);
  try {
    await work(retention, tick);
  } finally {
    await retention.stop();
    vi.useRealTimers();
  }
}

describe('events that must stay', () => {
  it('are neither locked nor waited for by the sweep of old events', async () => {
    const held = await insertEvents(3, { ageMs: OLD_MS + DAY_MS, statuses: ['HELD'] });
    const going = await insertEvents(3);
    const { client, end } = await begin();
    const ids = held.map(({ id }) => id);
    await client.query('select 1 from deliveries where event_id = any($1) for update', [ids]);
    await client.query('select 1 from events where id = any($1) for update', [ids]);
    await deleteAll();
    await end('rollback');
    expect(await countRows(held)).toEqual(allOf(3));
    expect(await countRows(going)).toEqual(NOTHING);
  });

  it('are read once when they become old enough, and not by each later sweep', async () => {
    await insertEvents(450, { ageMs: OLD_MS + DAY_MS, statuses: ['HELD'] });
    const scans: unknown[] = [];
    const on = {
      query: (...args: unknown[]) => (pool.query as (...args: unknown[]) => unknown)(...args),
      connect: async () => {
        const client = await pool.connect();
        const query = client.query.bind(client) as (...args: unknown[]) => unknown;
        const watched = (...args: unknown[]) => {
          if ((args[0] as { name?: string }).name === 'find-old-events') scans.push(args[0]);
          return query(...args);
        };
        return { query: watched, release: (error?: Error) => client.release(error) };
      },
    } as unknown as pg.Pool;
    await withRetention(
      async (_, tick) => {
        tick();
        // Three batches, and one that finds no more.
        await until(() => scans.length === 4, 'all events to be read');
        const going = await insertEvents(2);
        await until(async () => {
          tick();
          return (await countRows(going))?.events === 0;
        }, 'younger events to be deleted');
        expect(scans.length).toBeLessThan(10);
        expect(await countRows()).toEqual(allOf(450));
      },
      { on },
    );
  });

  it('with an ID in the future are deleted by the time at which they were published', async () => {
    const events = await insertEvents(4, { ageMs: -DAY_MS });
    const [old] = events as [OldEvent];
    await bed.database.query(`update events set created_at = now() - interval '40 days' where id = $1`, [old.id]);
    await bed.database.query(`update deliveries set updated_at = now() - interval '40 days'`);
    await withRetention(async (_, tick) => {
      tick();
      await until(async () => (await countRows([old]))?.events === 0, 'the old event to be deleted');
    });
    expect(await countRows()).toEqual(allOf(3));
  });
});

describe('deleting beside a retry by hand', () => {
  it('waits for a delivery that is being retried, and keeps its event with all rows', async () => {
    const [retried, other] = (await insertEvents(2)) as [OldEvent, OldEvent];
    const { client, end } = await begin();
    await client.query('select 1 from deliveries where id = $1 for update', [retried.deliveryId]);
    const deleted = deleteAll();
    await untilSomebodyWaits();
    await client.query(`update deliveries set status = 'PENDING', plan = plan + 1 where id = $1`, [retried.deliveryId]);
    await end('commit');
    await deleted;
    expect(await countRows([retried])).toEqual(allOf(1));
    expect(await countRows([other])).toEqual(NOTHING);
  });

  it('deletes a delivery whose retry was rolled back', async () => {
    const [event] = (await insertEvents(1)) as [OldEvent];
    const { client, end } = await begin();
    await client.query(`update deliveries set status = 'PENDING' where id = $1`, [event.deliveryId]);
    const deleted = deleteAll();
    await untilSomebodyWaits();
    await end('rollback');
    await deleted;
    expect(await countRows()).toEqual(NOTHING);
  });

  it.each([
    ['retryEvent', retryEvent],
    ['retryDelivery', retryDelivery],
  ])('%s of an event that is being deleted waits, and then finds nothing', async (_, retry) => {
    const [event] = (await insertEvents(1)) as [OldEvent];
    const { client, end } = await begin();
    await deleteOldEvents(client, oldEvents());
    const answer = retry(event);
    await untilSomebodyWaits();
    await end('commit');
    expect((await answer).__typename).toBe('NotFoundError');
    expect(await countRows()).toEqual(NOTHING);
  });

  it.each([
    ['retryEvent', retryEvent],
    ['retryDelivery', retryDelivery],
  ])('%s of an event whose deletion was rolled back queues it, and it stays', async (_, retry) => {
    const [event] = (await insertEvents(1)) as [OldEvent];
    const { client, end } = await begin();
    await deleteOldEvents(client, oldEvents());
    const answer = retry(event);
    await untilSomebodyWaits();
    await end('rollback');
    expect((await answer).__typename).toMatch(/Payload$/);
    await deleteAll();
    expect(await countRows()).toEqual(allOf(1));
  });

  it('passes over an event that is just getting its first delivery, and keeps it afterwards', async () => {
    const [event] = (await insertEvents(1, { statuses: [] })) as [OldEvent];
    // Holds up the retry between the look at the event and the insert of its delivery.
    const { client, end } = await begin();
    await client.query('lock table deliveries in share mode');
    const answer = retryEvent(event);
    await untilSomebodyWaits();
    const { rows } = await client.query('select id from events for update skip locked');
    expect(rows).toEqual([]);
    await deleteOldEvents(client, oldEvents());
    await end('commit');
    expect(await answer).toMatchObject({ __typename: 'RetryEventPayload', endpointCount: 1 });
    await deleteAll();
    expect(await countRows()).toEqual({ events: 1, deliveries: 1, attempts: 0 });
  });

  it('leaves no delivery without an event, whoever comes first', async () => {
    const withDelivery = await insertEvents(40);
    const without = await insertEvents(40, { statuses: [] });
    const events = [...withDelivery, ...without];
    const answers = Promise.all(events.map(async (event) => ({ event, answer: await retryEvent(event) })));
    let isAnswered = false;
    answers.finally(() => {
      isAnswered = true;
    });
    while (!isAnswered) await deleteAll();
    for (const { event, answer } of await answers) {
      const isQueued = answer.__typename === 'RetryEventPayload';
      if (!isQueued) expect(answer.__typename).toBe('NotFoundError');
      expect(await countRows([event])).toMatchObject(isQueued ? { events: 1, deliveries: 1 } : NOTHING);
    }
    await expectNoOrphans();
  });
});

/** Tells that statistics have counted all that is stored, as workers do. */
async function markRead() {
  for (const place of ['stats_position', 'announcements_position']) {
    await bed.database.query(`update ${place} set xid = pg_snapshot_xmax(pg_current_snapshot())`);
  }
}

describe('deleteOldChanges', () => {
  const insertChanges = (count: number, ageMs: number) =>
    bed.database.query(
      `insert into delivery_changes (environment_id, delivery_id, event_id, endpoint_id, status, changed_at)
       select $1, gen_random_uuid(), gen_random_uuid(), $1, 'PENDING', $2 from generate_series(1, $3::int)`,
      [DEFAULT_TENANT.environment, new Date(Date.now() - ageMs), count],
    );

  const countChanges = async () =>
    (await bed.database.query<{ count: number }>('select count(*)::int as count from delivery_changes'))[0]?.count;

  it('deletes what is older, 5,000 at once, and leaves what is younger', async () => {
    await insertChanges(5_003, 2 * DAY_MS);
    await insertChanges(7, 0);
    await markRead();
    const before = new Date(Date.now() - DAY_MS);
    expect(await deleteOldChanges(pool, 'delivery_changes', before)).toBe(true);
    expect(await countChanges()).toBe(10);
    expect(await deleteOldChanges(pool, 'delivery_changes', before)).toBe(false);
    expect(await countChanges()).toBe(7);
    expect(await deleteOldChanges(pool, 'delivery_changes', before)).toBe(false);
    expect(await countChanges()).toBe(7);
  });

  it('leaves what statistics and operational events have not read yet, for a week', async () => {
    await insertChanges(3, 6 * DAY_MS);
    await insertChanges(2, 8 * DAY_MS);
    const before = new Date(Date.now() - DAY_MS);
    await deleteOldChanges(pool, 'delivery_changes', before);
    expect(await countChanges()).toBe(3);
    await markRead();
    await deleteOldChanges(pool, 'delivery_changes', before);
    expect(await countChanges()).toBe(0);
  });

  it('deletes publications as it does changes', async () => {
    await bed.database.query(
      `insert into publications (environment_id, events, published_at) values (gen_random_uuid(), 1, now() - interval '25 hours'),
         (gen_random_uuid(), 1, now() - interval '8 days'), (gen_random_uuid(), 2, now())`,
    );
    const count = async () => (await bed.database.query('select 1 from publications')).length;
    const before = new Date(Date.now() - DAY_MS);
    await deleteOldChanges(pool, 'publications', before);
    expect(await count()).toBe(2);
    await markRead();
    await deleteOldChanges(pool, 'publications', before);
    expect(await count()).toBe(1);
  });

  it('has nothing to do where there is nothing', async () => {
    expect(await deleteOldChanges(pool, 'delivery_changes', new Date())).toBe(false);
  });
});

describe('the sweep', () => {
  it('deletes events older than the days that they are kept, batch after batch, and changes of the day before', async () => {
    await bed.publish({ type: 'old.event' });
    await bed.database.query(`update delivery_changes set changed_at = now() - interval '26 hours'`);
    await bed.database.query(`update publications set published_at = now() - interval '26 hours'`);
    await bed.database.query(
      `insert into delivery_stats select gen_random_uuid(), gen_random_uuid(), seconds, now() - age, 1, 0, 0, 0, 0, 0, '{}'
       from (values (60, '47 hours'::interval), (60, '50 hours'), (3600, '29 days'), (3600, '31 days')) as x(seconds, age)`,
    );
    await markRead();
    await insertEvents(401, { ageMs: 31 * DAY_MS });
    const young = await insertEvents(2, { ageMs: 29 * DAY_MS });
    await withRetention(async (_, tick) => {
      tick();
      await until(async () => (await countRows())?.events === 3, 'the old events to go');
    });
    expect(await countRows(young)).toEqual(allOf(2));
    for (const table of ['delivery_changes', 'publications']) {
      expect(await bed.database.query(`select 1 from ${table}`)).toEqual([]);
    }
    const stats = `select resolution_seconds || ' ' || (now() - starts_at < interval '29 days 1 minute') as kept
      from delivery_stats order by resolution_seconds`;
    expect(await bed.database.query(stats)).toEqual([{ kept: '60 true' }, { kept: '3600 true' }]);
    await expectNoOrphans();
  });

  it('does nothing once stopped', async () => {
    await insertEvents(1);
    await withRetention(async (retention, tick) => {
      await retention.stop();
      tick();
    });
    expect(await countRows()).toEqual(allOf(1));
  });

  it('that is stopped lets its batch end and begins no other', async () => {
    const events = await insertEvents(300);
    const { client, end } = await begin();
    await client.query('select 1 from deliveries where event_id = $1 for update', [events[0]?.id]);
    await withRetention(async (retention, tick) => {
      tick();
      await untilSomebodyWaits();
      let isStopped = false;
      const stopped = retention.stop().then(() => {
        isStopped = true;
      });
      // While it sweeps, no second sweep begins.
      tick();
      expect(await bed.database.query('select 1')).toHaveLength(1);
      expect(isStopped).toBe(false);
      await end('commit');
      await stopped;
    });
    expect(await countRows()).toEqual(allOf(100));
  });

  it('that fails is logged, and the next one deletes', async () => {
    await insertEvents(1);
    const warn = vi.fn();
    const log = { warn } as unknown as Log;
    let isBroken = true;
    const on = {
      query: (...args: unknown[]) => (pool.query as (...args: unknown[]) => unknown)(...args),
      connect: () => (isBroken ? Promise.reject(new Error('no connection')) : pool.connect()),
    } as unknown as pg.Pool;
    await withRetention(
      async (_, tick) => {
        tick();
        await until(() => warn.mock.calls.length === 1, 'the fault to be logged');
        expect(warn).toHaveBeenCalledWith({ error: 'no connection' }, 'retention.failed');
        isBroken = false;
        await until(async () => {
          tick();
          return (await countRows())?.events === 0;
        }, 'the event to go');
      },
      { log, on },
    );
    expect(warn).toHaveBeenCalledTimes(1);
  });
});
