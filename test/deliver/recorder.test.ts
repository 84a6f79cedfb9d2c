import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeAttemptTransition } from '../../src/deliver/attempt.ts';
import { Recorder, type RecorderEntry } from '../../src/deliver/recorder.ts';
import { decodeId } from '../../src/domain/ids.ts';
import { createLog } from '../../src/log.ts';
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

it('an outcome that can not be written does not hold up those that came with it', async () => {
  const bad = succeed(await publishAndLoad());
  const attempt = { ...bad.transition?.attempt, status: 'NEITHER' };
  const good = await publishAndLoad();
  const other = await publishAndLoad();
  const recorder = makeRecorder(pool);
  let isRefused = true;
  // All at once, so that they share a transaction.
  recorder
    .record({ ...bad, transition: { ...bad.transition, attempt } as unknown as RecorderEntry['transition'] })
    .then(() => {
      isRefused = false;
    });
  await Promise.all([recorder.record(succeed(good)), recorder.record(succeed(other))]);
  for (const { id } of [good, other]) {
    expect(await countAttempts(id)).toEqual([{ status: 'DELIVERED', attempt_count: 1, made: 1 }]);
  }
  expect(isRefused).toBe(true);
  // Once it can be written it is: whoever waits for it is answered.
  attempt.status = 'SUCCEEDED';
  await expect.poll(() => isRefused, { timeout: 10_000 }).toBe(false);
});

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
