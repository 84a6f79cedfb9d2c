import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeAttemptTransition } from '../../src/deliver/attempt.ts';
import { Recorder, type RecorderEntry } from '../../src/deliver/recorder.ts';
import { decodeId } from '../../src/domain/ids.ts';
import { createLog } from '../../src/log.ts';
import type { DeliveryQueue } from '../../src/queue/delivery-queue.ts';
import { loadOutgoing, type OutgoingDelivery } from '../../src/storage/load-outgoing.ts';
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
  return (await loadOutgoing(pool, [id]))[0] as OutgoingDelivery;
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
    retryAfterMs: null,
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
