import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { RequestError } from '../src/errors.ts';
import { createLog } from '../src/log.ts';
import { Publisher } from '../src/publish/publisher.ts';
import { DeliveryQueue } from '../src/queue/delivery-queue.ts';
import type { Signals } from '../src/storage/signals.ts';
import { until, useTestBed } from './support/posthorn.ts';

/** What may wait to be stored. */
const PENDING_EVENTS_MAX = 20_000;
const PENDING_BYTES_MAX = 134_217_728;
const BODY_BYTES_MAX = 262_144;
const RATE_LIMITED = { name: 'RequestError', code: 'RATE_LIMITED', retryAfterMs: 1_000 };

/** Makes no attempts: nothing but the publisher writes. */
const bed = useTestBed({ role: 'api' });
const tenant = {
  organizationId: '00000000-0000-7000-8000-000000000001',
  environmentId: '00000000-0000-7000-8000-000000000002',
  endpointId: null,
};
const signals = { send: () => {} } as unknown as Signals;
const log = createLog('silent');
const cleanUps: (() => Promise<unknown>)[] = [];
let pool: pg.Pool;
let queue: DeliveryQueue;

beforeAll(async () => {
  pool = new pg.Pool({
    connectionString: bed.database.url,
    max: 4,
    application_name: 'publisher',
    statement_timeout: 30_000,
    pipeline: true,
  });
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  queue = new DeliveryQueue({ pool, log, supervise: false });
  await queue.start();
  await bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: ['wanted.*'] });
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

afterAll(async () => {
  await queue.stop();
  await pool.end();
});

const makePublisher = (on: pg.Pool = pool) => new Publisher({ pool: on, queue, signals, log });

/** Lets nobody write events until it is released, at the latest when the test ends. */
async function lockEvents(): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: bed.database.url, application_name: 'locker' });
  await client.connect();
  await client.query('begin');
  await client.query('lock table events in access exclusive mode');
  let isReleased = false;
  const release = async () => {
    if (isReleased) return;
    isReleased = true;
    await client.query('commit');
    await client.end();
  };
  cleanUps.push(release);
  return release;
}

const makeEvents = (type: string, count: number) => Array.from({ length: count }, () => ({ type, body: 'null' }));

const countEvents = async (type: string) => {
  const sql = 'select count(*)::int as count from events where type = $1';
  return (await bed.database.query<{ count: number }>(sql, [type]))[0]?.count;
};

/** What is stored of events of a type: as many deliveries and jobs as events, or nothing at all. */
async function countStored(type: string) {
  const sql = `select count(*)::int as events, count(d.id)::int as deliveries,
      (select count(*)::int from pgboss.job j where j.data ->> 'deliveryId' = any(array_agg(d.id::text))) as jobs
    from events v left join deliveries d on d.event_id = v.id where v.type = $1`;
  return (await bed.database.query<{ events: number; deliveries: number; jobs: number }>(sql, [type]))[0];
}

/** Backends of the publisher that wait for a lock. */
const findWaiting = () =>
  bed.database.query<{ pid: number }>(
    `select pid from pg_stat_activity
     where datname = current_database() and application_name = 'publisher' and wait_event_type = 'Lock'`,
  );

describe('events that wait to be stored', () => {
  it('are 20,000 at the most: more are refused, what was accepted is stored, and then there is room again', async () => {
    const release = await lockEvents();
    const publisher = makePublisher();
    const accepted = Array.from({ length: 19 }, () => publisher.publishAll(tenant, makeEvents('many.waiting', 1_000)));
    accepted.push(publisher.publishAll(tenant, makeEvents('many.waiting', 999)));
    await expect(publisher.publishAll(tenant, makeEvents('many.refused', 2))).rejects.toMatchObject(RATE_LIMITED);
    const last = publisher.publish(tenant, { type: 'many.waiting', body: 'null' });
    const refused = publisher.publish(tenant, { type: 'many.refused', body: 'null' });
    await expect(refused).rejects.toBeInstanceOf(RequestError);
    await expect(refused).rejects.toMatchObject(RATE_LIMITED);
    await release();
    expect((await Promise.all(accepted)).flat()).toHaveLength(PENDING_EVENTS_MAX - 1);
    expect((await last).duplicate).toBe(false);
    expect(await countEvents('many.waiting')).toBe(PENDING_EVENTS_MAX);
    expect(await countEvents('many.refused')).toBe(0);
    await publisher.publishAll(tenant, makeEvents('many.later', 2));
    expect(await countEvents('many.later')).toBe(2);
  }, 60_000);

  it('have 128 MiB of bodies at the most', async () => {
    const release = await lockEvents();
    const publisher = makePublisher();
    const body = 'x'.repeat(BODY_BYTES_MAX);
    const count = PENDING_BYTES_MAX / BODY_BYTES_MAX;
    const accepted = Array.from({ length: count }, () => publisher.publish(tenant, { type: 'large.waiting', body }));
    await expect(publisher.publish(tenant, { type: 'large.refused', body: '1' })).rejects.toMatchObject(RATE_LIMITED);
    // Nothing is no byte more.
    accepted.push(publisher.publish(tenant, { type: 'large.waiting', body: '' }));
    await release();
    await Promise.all(accepted);
    const [stored] = await bed.database.query(
      `select count(*)::int as events, sum(octet_length(body))::int as bytes from events where type = 'large.waiting'`,
    );
    expect(stored).toEqual({ events: count + 1, bytes: PENDING_BYTES_MAX });
    expect(await countEvents('large.refused')).toBe(0);
    await publisher.publish(tenant, { type: 'large.later', body });
    expect(await countEvents('large.later')).toBe(1);
  }, 60_000);

  it('no longer count once they have failed', async () => {
    let isBroken = true;
    const broken = { connect: () => (isBroken ? Promise.reject(new Error('no connection')) : pool.connect()) };
    const publisher = makePublisher(broken as unknown as pg.Pool);
    for (let round = 0; round < 2; round += 1) {
      const calls = Array.from({ length: 20 }, () => publisher.publishAll(tenant, makeEvents('failed.first', 1_000)));
      const results = await Promise.allSettled(calls);
      const messages = results.map((result) => result.status === 'rejected' && result.reason.message);
      expect(messages.every((message) => String(message).includes('may be stored or not'))).toBe(true);
    }
    isBroken = false;
    await publisher.publishAll(tenant, makeEvents('failed.first', 3));
    expect(await countEvents('failed.first')).toBe(3);
  });

  it('that are refused for their content do not count', async () => {
    const publisher = makePublisher();
    for (let count = 0; count <= 20; count += 1) {
      const events = [...makeEvents('sound.type', 999), { type: 'no type', body: 'null' }];
      await expect(async () => publisher.publishAll(tenant, events)).rejects.toThrow(/events\.999\.type/);
    }
    await publisher.publish(tenant, { type: 'sound.later', body: 'null' });
    expect(await countEvents('sound.type')).toBe(0);
  });

  it('over HTTP: more are refused with RATE_LIMITED and the time after which to come again', async () => {
    const release = await lockEvents();
    const publish = (count: number, type: string) =>
      bed.graphql(
        `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) { __typename } }`,
        { events: makeEvents(type, count) },
      );
    // One more than there is room for: it alone is answered while the others wait.
    const calls = Array.from({ length: 21 }, () => publish(1_000, 'http.waiting'));
    const refusal = {
      data: null,
      errors: [{ extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 }, path: ['publishEvents'] }],
    };
    const first = await Promise.race(calls);
    expect(first).toMatchObject(refusal);
    expect(first.headers.get('retry-after')).toBe('1');
    const next = await publish(1, 'http.refused');
    expect(next).toMatchObject(refusal);
    expect(next.headers.get('retry-after')).toBe('1');
    await release();
    const names = (await Promise.all(calls)).map(({ data }) => data?.publishEvents.__typename ?? 'refused');
    expect(names.toSorted()).toEqual([...Array(20).fill('PublishEventsPayload'), 'refused']);
    expect(await countEvents('http.waiting')).toBe(PENDING_EVENTS_MAX);
    expect(await countEvents('http.refused')).toBe(0);
    expect((await publish(1, 'http.later')).headers.get('retry-after')).toBe(null);
    expect(await countEvents('http.later')).toBe(1);
  }, 60_000);
});

/** Makes Postgres refuse or do something at each insert of events, until the test ends. */
async function onInsert(
  timing: 'before insert on events for each row' | 'after insert on events for each statement',
  body: string,
) {
  await bed.database.query(
    `create function fault() returns trigger language plpgsql as $$ begin ${body} return new; end $$`,
  );
  await bed.database.query(`create trigger fault ${timing} execute function fault()`);
  cleanUps.push(() => bed.database.query('drop function fault() cascade'));
}

const keyed = (isKeyed: boolean, key: string) => (isKeyed ? { idempotencyKey: key } : {});

describe('an event that Postgres refuses', () => {
  it.each([
    ['without idempotency keys', false],
    ['with idempotency keys', true],
  ])(
    'fails only its own caller, and its neighbours in the batch are stored and answered: %s',
    async (name, isKeyed) => {
      await onInsert(
        'before insert on events for each row',
        `if new.type = 'wanted.poison' then raise exception 'no poison here' using errcode = '23514'; end if;`,
      );
      const type = `wanted.${isKeyed ? 'keyed' : 'plain'}`;
      const publisher = makePublisher();
      const write = vi.spyOn(pool, 'connect');
      // All in one turn, so that they share a batch.
      const calls = ['a', 'b', 'poison', 'c', 'd'].map((key) =>
        publisher.publish(tenant, {
          type: key === 'poison' ? 'wanted.poison' : type,
          body: `"${key}"`,
          ...keyed(isKeyed, `${name} ${key}`),
        }),
      );
      const results = await Promise.allSettled(calls);
      expect(write.mock.calls.length).toBeGreaterThan(1);
      write.mockRestore();
      expect(results.map(({ status }) => status)).toEqual([
        'fulfilled',
        'fulfilled',
        'rejected',
        'fulfilled',
        'fulfilled',
      ]);
      expect((results[2] as PromiseRejectedResult).reason.message).toBe('no poison here');
      expect(await countStored(type)).toEqual({ events: 4, deliveries: 4, jobs: 4 });
      expect(await countEvents('wanted.poison')).toBe(0);
    },
  );

  it('takes all events of its own call with it, and none of another', async () => {
    await onInsert(
      'before insert on events for each row',
      `if new.type = 'wanted.poison' then raise exception 'no poison here'; end if;`,
    );
    const publisher = makePublisher();
    const withPoison = [...makeEvents('wanted.with-poison', 3), { type: 'wanted.poison', body: 'null' }];
    const [bad, good] = await Promise.allSettled([
      publisher.publishAll(tenant, withPoison),
      publisher.publishAll(tenant, makeEvents('wanted.sound', 3)),
    ]);
    expect([bad.status, good.status]).toEqual(['rejected', 'fulfilled']);
    expect(await countStored('wanted.with-poison')).toMatchObject({ events: 0 });
    expect(await countStored('wanted.sound')).toEqual({ events: 3, deliveries: 3, jobs: 3 });
  });

  it('leaves the publisher as it was: the next call succeeds', async () => {
    await onInsert('before insert on events for each row', `raise exception 'nothing today';`);
    const publisher = makePublisher();
    const calls = Array.from({ length: 3 }, () => publisher.publish(tenant, { type: 'wanted.again', body: 'null' }));
    for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');
    for (const cleanUp of cleanUps.splice(0)) await cleanUp();
    await publisher.publish(tenant, { type: 'wanted.again', body: 'null' });
    expect(await countStored('wanted.again')).toEqual({ events: 1, deliveries: 1, jobs: 1 });
  });

  it('for its key, of an event that retention deletes at this moment, does not fail its neighbours', async () => {
    const publisher = makePublisher();
    await publisher.publish(tenant, { type: 'wanted.going', body: 'null', idempotencyKey: 'going' });
    // What retention does between the insert, which finds the key taken, and the look for the event that has it.
    await onInsert('after insert on events for each statement', `delete from events where idempotency_key = 'going';`);
    const [, ...neighbours] = await Promise.allSettled([
      publisher.publish(tenant, { type: 'wanted.going', body: 'null', idempotencyKey: 'going' }),
      publisher.publish(tenant, { type: 'wanted.beside', body: '1' }),
      publisher.publish(tenant, { type: 'wanted.beside', body: '2', idempotencyKey: 'beside' }),
    ]);
    expect(neighbours.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(await countStored('wanted.beside')).toEqual({ events: 2, deliveries: 2, jobs: 2 });
  });
});

describe('a connection that is cut while a batch is under way', () => {
  it('fails its callers, and a second call with the key stores the event once', async () => {
    const release = await lockEvents();
    const publisher = makePublisher();
    const publish = (key: string) =>
      publisher.publish(tenant, { type: 'wanted.cut', body: 'null', idempotencyKey: `cut ${key}` });
    const keys = ['a', 'b', 'c'];
    const calls = Promise.allSettled(keys.map(publish));
    const [backend] = await until(async () => {
      const waiting = await findWaiting();
      return waiting.length > 0 && waiting;
    }, 'the batch to be under way');
    await bed.database.query('select pg_terminate_backend($1)', [backend?.pid]);
    for (const result of await calls) expect(result.status).toBe('rejected');
    await release();
    expect(await countStored('wanted.cut')).toMatchObject({ events: 0 });
    const again = await Promise.all(keys.map(publish));
    expect(again.map(({ duplicate }) => duplicate)).toEqual([false, false, false]);
    const oncemore = await Promise.all(keys.map(publish));
    expect(oncemore.map(({ duplicate }) => duplicate)).toEqual([true, true, true]);
    expect(oncemore.map(({ event }) => event.id)).toEqual(again.map(({ event }) => event.id));
    expect(await countStored('wanted.cut')).toEqual({ events: 3, deliveries: 3, jobs: 3 });
  });

  it('fails only that batch: what waits behind it is stored', async () => {
    const release = await lockEvents();
    const publisher = makePublisher();
    // Two batches are under way at once, and 500 events fill one.
    const calls = Array.from({ length: 4 }, () => publisher.publishAll(tenant, makeEvents('cut.batches', 500)));
    const settled = Promise.allSettled(calls);
    const waiting = await until(async () => {
      const found = await findWaiting();
      return found.length === 2 && found;
    }, 'two batches to be under way');
    await bed.database.query('select pg_terminate_backend($1)', [waiting[0]?.pid]);
    await Promise.race(calls).catch(() => {});
    await release();
    const statuses = (await settled).map(({ status }) => status);
    expect(statuses.filter((status) => status === 'rejected')).toHaveLength(1);
    expect(await countEvents('cut.batches')).toBe(1_500);
  });

  it('after the commit, before its answer: a second call with the key finds the event', async () => {
    let isLost = false;
    const connect = async () => {
      const client = await pool.connect();
      const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
      const wrapped = async (...args: unknown[]) => {
        const answer = await query(...args);
        if (args[0] !== 'commit' || isLost) return answer;
        isLost = true;
        throw new Error('Connection terminated unexpectedly');
      };
      return { query: wrapped, release: (error?: Error) => client.release(error) };
    };
    const publisher = makePublisher({ connect } as unknown as pg.Pool);
    const publish = () =>
      publisher.publish(tenant, { type: 'wanted.lost', body: 'null', idempotencyKey: 'lost answer' });
    await expect(publish()).rejects.toThrow('may be stored or not');
    expect(isLost).toBe(true);
    expect((await publish()).duplicate).toBe(true);
    expect(await countStored('wanted.lost')).toEqual({ events: 1, deliveries: 1, jobs: 1 });
  });
});
