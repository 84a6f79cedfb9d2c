import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeAttemptTransition } from '../../src/deliver/attempt.ts';
import { Recorder, type RecorderEntry } from '../../src/deliver/recorder.ts';
import { SET_ASIDE_MAX } from '../../src/deliver/set-aside-outcomes.ts';
import { decodeId, newId } from '../../src/domain/ids.ts';
import { createLog, type Log } from '../../src/log.ts';
import type { DeliveryQueue } from '../../src/queue/delivery-queue.ts';
import { type OutgoingDelivery, OutgoingReader } from '../../src/storage/load-outgoing.ts';
import type { Signals } from '../../src/storage/signals.ts';
import { useTestBed } from '../support/posthorn.ts';

const bed = useTestBed({ role: 'api' });
let pool: pg.Pool;

beforeAll(async () => {
  pool = new pg.Pool({ connectionString: bed.database.url, max: 2 });
  await bed.createEndpoint({ url: 'http://127.0.0.1:2/' });
});

afterAll(() => pool.end());

const queue = { finish: async () => {} } as unknown as DeliveryQueue;
const signals = { send: () => {} } as unknown as Signals;
const makeRecorder = (on: pg.Pool) =>
  new Recorder({ pool: on, queue, signals, log: createLog('silent'), disableAfterMs: null });

async function publishAndLoad(): Promise<OutgoingDelivery> {
  const { deliveryIds } = await bed.publish();
  const id = decodeId('Delivery', deliveryIds[0] as string) as string;
  return (await new OutgoingReader(pool).load([id]))[0] as OutgoingDelivery;
}

function succeed(delivery: OutgoingDelivery): RecorderEntry {
  const result = {
    startedAt: new Date(),
    durationMs: 1,
    requestHeaders: {},
    responseStatus: 200,
    responseHeaders: {},
    responseBody: 'ok',
    error: null,
    notBefore: null,
    isGone: false,
  };
  const transition = makeAttemptTransition(delivery, result, new Date());
  return { deliveryId: delivery.id, endpointId: delivery.endpointId, claim: null, transition, disableReason: null };
}

const countAttempts = (id: string) =>
  bed.database.query(
    'select d.status, d.attempt_count, (select count(*)::int from delivery_attempts where delivery_id = d.id) as made from deliveries d where id = $1',
    [id],
  );

it('an outcome whose commit went through and whose answer got lost is on record once', async () => {
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
  const delivery = await publishAndLoad();
  await makeRecorder({ connect } as unknown as pg.Pool).record(succeed(delivery));
  expect(isLost).toBe(true);
  expect(await countAttempts(delivery.id)).toEqual([{ status: 'DELIVERED', attempt_count: 1, made: 1 }]);
});

/** Makes the database refuse what it is told to, until the function returned is called. */
async function refuse(table: string, condition: string, work = "raise exception 'refused by a test'") {
  await bed.database.query(`create function refuse() returns trigger language plpgsql as $$
    begin if ${condition} then ${work}; end if; return new; end $$`);
  await bed.database.query(
    `create trigger refuse before insert or update on ${table} for each row execute function refuse()`,
  );
  return () => bed.database.query('drop function refuse cascade');
}

const OK = [{ status: 'DELIVERED', attempt_count: 1, made: 1 }];

const readAttempt = (id: string) =>
  bed.database.query(
    'select response_body, response_headers, duration_ms from delivery_attempts where delivery_id = $1',
    [id],
  );

it('an outcome that can not be written delays neither those that came with it nor those that come after it', async () => {
  const recorder = makeRecorder(pool);
  const bad = await Promise.all([publishAndLoad(), publishAndLoad(), publishAndLoad()]);
  const accept = await refuse('deliveries', `new.id = any('{${bad.map(({ id }) => id)}}')`);
  const written: string[] = [];
  const setAside = new Set<string>();
  const waiting = bad.map((delivery) =>
    recorder
      .record({ ...succeed(delivery), onSetAside: () => setAside.add(delivery.id) })
      .then(() => written.push(delivery.id)),
  );
  // All at once, so that they share a transaction; and later ones, while both places for transactions had one that is refused.
  const good = await Promise.all(Array.from({ length: 5 }, () => publishAndLoad()));
  await Promise.all(good.slice(0, 2).map((delivery) => recorder.record(succeed(delivery))));
  for (const delivery of good.slice(2)) await recorder.record(succeed(delivery));
  for (const { id } of good) expect(await countAttempts(id)).toEqual(OK);
  expect(written).toEqual([]);
  expect(setAside).toEqual(new Set(bad.map(({ id }) => id)));
  // Once they can be written they are: whoever waits for them is answered.
  await accept();
  await Promise.all(waiting);
  for (const { id } of bad) expect(await countAttempts(id)).toEqual(OK);
}, 30_000);

it('an outcome with text that the database refuses is written with replaced characters, and says so', async () => {
  const accept = await refuse(
    'delivery_attempts',
    "new.response_body ~ '[^ -~\n]' or new.response_headers::text ~ '[^ -~]'",
  );
  const [delivery, other] = [await publishAndLoad(), await publishAndLoad()];
  const entry = succeed(delivery);
  Object.assign(entry.transition?.attempt ?? {}, {
    responseBody: 'gr\u00fc\u00dfe',
    responseHeaders: { x: ['\u00fc', 'y'] },
  });
  const recorder = makeRecorder(pool);
  await Promise.all([recorder.record(entry), recorder.record(succeed(other))]);
  expect(await countAttempts(delivery.id)).toEqual(OK);
  expect(await readAttempt(delivery.id)).toMatchObject([
    {
      response_body: '[Posthorn replaced characters that could not be stored.]\ngr??e',
      response_headers: { x: ['?', 'y'] },
    },
  ]);
  expect(await readAttempt(other.id)).toMatchObject([{ response_body: 'ok' }]);
  await accept();
});

it.each([
  ['a NUL in a header', { responseHeaders: { x: 'a\0b' } }, { response_headers: { x: 'a?b' } }],
  ['half a surrogate pair in a header', { responseHeaders: { x: '\ud800' } }, { response_headers: { x: '?' } }],
  ['a NUL in the body', { responseBody: 'a\0b' }, { response_body: expect.stringMatching(/a\?b$/) }],
  ['a duration that is too large', { durationMs: 1e12 }, { duration_ms: 2_147_483_647 }],
  ['a date that does not exist', { createdAt: new Date(Number.NaN) }, null],
])('an outcome with %s delays no other', async (_, fault, stored) => {
  const recorder = makeRecorder(pool);
  const [bad, good] = [await publishAndLoad(), await publishAndLoad()];
  const entry = succeed(bad);
  Object.assign(entry.transition?.attempt ?? {}, fault);
  const recorded = recorder.record(entry).catch((error: Error) => error);
  await recorder.record(succeed(good));
  expect(await countAttempts(good.id)).toEqual(OK);
  if (stored === null) {
    recorder.stop();
    expect(await recorded).toBeInstanceOf(Error);
    return;
  }
  await recorded;
  expect(await readAttempt(bad.id)).toMatchObject([stored]);
});

it('an outcome that waits for a lock for too long delays no other', async () => {
  const slow = new pg.Pool({ connectionString: bed.database.url, max: 5, options: '-c lock_timeout=200ms' });
  const locker = await pool.connect();
  try {
    const [held, good] = [await publishAndLoad(), await publishAndLoad()];
    await locker.query('begin');
    await locker.query('select 1 from deliveries where id = $1 for update', [held.id]);
    const recorder = makeRecorder(slow);
    const waiting = recorder.record(succeed(held));
    await recorder.record(succeed(good));
    expect(await countAttempts(good.id)).toEqual(OK);
    await locker.query('commit');
    await waiting;
    expect(await countAttempts(held.id)).toEqual(OK);
  } finally {
    locker.release();
    await slow.end();
  }
}, 30_000);

/** Outcomes of one transaction. */
const BATCH = 250;

it('outcomes that wait for a locked table are all recorded once, and none is given up', async () => {
  const slow = new pg.Pool({ connectionString: bed.database.url, max: 5, options: '-c lock_timeout=20ms' });
  const locker = await pool.connect();
  try {
    const delivery = await publishAndLoad();
    const count = SET_ASIDE_MAX * 2;
    await locker.query('begin');
    await locker.query('lock table delivery_attempts');
    let [failures, setAside, givenUp] = [0, 0, 0];
    const log = { error: (_: object, event: string) => (failures += Number(event === 'recorder.failed')) };
    const recorder = new Recorder({ pool: slow, queue, signals, log: log as unknown as Log, disableAfterMs: null });
    const recorded = Array.from({ length: count }, () => {
      const entry = { ...succeed({ ...delivery, id: newId() }), onSetAside: () => (setAside += 1) };
      return recorder.record(entry).catch(() => (givenUp += 1));
    });
    // More often than all batches would be tried if each could be set aside.
    await expect.poll(() => failures, { timeout: 30_000 }).toBeGreaterThan(count / BATCH);
    expect(setAside).toBeLessThanOrEqual(SET_ASIDE_MAX);
    await locker.query('commit');
    await Promise.all(recorded);
    expect(givenUp).toBe(0);
  } finally {
    locker.release();
    await slow.end();
  }
}, 60_000);

it('outcomes are written in order of their deliveries: whoever locks many in that order is not deadlocked', async () => {
  const [low, high] = [await publishAndLoad(), await publishAndLoad()];
  // In a table of a few rows, they would be looked for in another way.
  await bed.database.query(`insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, status, max_retries)
    select uuidv7(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'other.event', 'DELIVERED', 0
    from generate_series(1, 50000)`);
  await bed.database.query('analyze deliveries');
  const client = await pool.connect();
  const connections = new pg.Pool({ connectionString: bed.database.url, max: 1 });
  try {
    const lock = 'select 1 from deliveries where id = $1 for update nowait';
    await client.query('begin');
    await client.query(lock, [low.id]);
    const recorder = makeRecorder(connections);
    const recorded = [high, low].map((delivery) => recorder.record(succeed(delivery)));
    const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(() => bed.database.query(waiting), { timeout: 10_000 }).toHaveLength(1);
    expect((await client.query(lock, [high.id])).rowCount).toBe(1);
    await client.query('commit');
    await Promise.all(recorded);
    expect(await countAttempts(high.id)).toEqual([{ status: 'DELIVERED', attempt_count: 1, made: 1 }]);
  } finally {
    client.release();
    await connections.end();
  }
});
