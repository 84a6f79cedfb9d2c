import { expect, it } from 'vitest';
import type { Courier } from '../../src/deliver/courier.ts';
import { Dispatcher } from '../../src/deliver/dispatcher.ts';
import { createLog } from '../../src/log.ts';
import type { DeliveryJob, DeliveryQueue, JobClaim } from '../../src/queue/delivery-queue.ts';
import type { OutgoingReader } from '../../src/storage/load-outgoing.ts';
import type { Signals } from '../../src/storage/signals.ts';

/** More than half of the bytes that a process holds until it fetches no more jobs. */
const BODY_BYTES = 40 * 1_048_576;

/** A dispatcher of one delivery, whose queue has a job of it whenever a test adds one. */
function makeDispatcher() {
  const jobs: DeliveryJob[] = [];
  const attempts: { claim: JobClaim; end: () => void }[] = [];
  const delivery = {
    ...{ id: 'delivery', endpointId: 'endpoint', plan: 1, status: 'PENDING', endpointStatus: 'ACTIVE' },
    body: { length: BODY_BYTES },
  };
  let wake = () => {};
  const dispatcher = new Dispatcher({
    outgoing: { load: async () => [delivery] } as unknown as OutgoingReader,
    queue: {
      fetch: async () => jobs.splice(0, 1),
      giveBack: async () => {},
      touch: async () => {},
    } as unknown as DeliveryQueue,
    courier: {
      attempt: (_: object, claim: JobClaim) => new Promise<void>((end) => attempts.push({ claim, end })),
    } as unknown as Courier,
    signals: {
      on: (_: string, listener: () => void) => {
        wake = listener;
        return () => {};
      },
    } as unknown as Signals,
    log: createLog('silent'),
  });
  /** Lets the dispatcher fetch a job, and waits until it is attempted. */
  const fetchNext = async (retryCount: number) => {
    const count = attempts.length;
    jobs.push({ deliveryId: 'delivery', plan: 1, claim: { id: 'job', retryCount } });
    wake();
    await expect.poll(() => attempts.length, { timeout: 10_000 }).toBe(count + 1);
  };
  return { dispatcher, attempts, fetchNext };
}

it('a job that was lost and fetched again while it was in flight leaves no trace in the bytes that are held', async () => {
  const { dispatcher, attempts, fetchNext } = makeDispatcher();
  dispatcher.start();
  for (let retryCount = 0; retryCount < 6; retryCount += 2) {
    await fetchNext(retryCount);
    await fetchNext(retryCount + 1);
    for (const { end } of attempts.slice(-2)) end();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(attempts.map(({ claim }) => claim.retryCount)).toEqual([0, 1, 2, 3, 4, 5]);
  await dispatcher.stop();
});
