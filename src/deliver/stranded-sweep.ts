import type { Pool } from 'pg';
import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import {
  FIRST_QUEUED,
  findClosedLanes,
  findQueued,
  lockQueued,
  type QueuedDelivery,
  type QueuedPosition,
  scheduleTimeless,
} from '../storage/find-stranded.ts';
import { openLanes } from '../storage/lanes.ts';
import type { Signals } from '../storage/signals.ts';
import { inTransaction } from '../storage/transaction.ts';

/** Rest between two batches. With a hundred thousand queued deliveries, each is looked at every four minutes. */
const POLL_MS = 5_000;
const BATCH_MAX = 2_000;
/** IDs that are logged as examples. */
const EXAMPLES_MAX = 5;

export interface StrandedSweepOptions {
  pool: Pool;
  queue: DeliveryQueue;
  signals: Signals;
  log: Log;
}

/**
 * Finds deliveries that wait for nothing, a batch at a time, and repairs them: in the shared lane without a job, in a lane
 * that is not open, scheduled without a time. Posthorn itself leaves none behind, but people and programs with access to
 * the database may delete jobs, queues and lanes. A job that was added needlessly is stale, and does nothing.
 */
export class StrandedSweep {
  readonly #options: StrandedSweepOptions;
  readonly #loop: PollLoop;
  #position: QueuedPosition = FIRST_QUEUED;

  constructor(options: StrandedSweepOptions) {
    this.#options = options;
    this.#loop = new PollLoop({
      name: 'stranded-sweep',
      pollMs: POLL_MS,
      log: options.log,
      turn: () => this.#turn(),
    });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #turn(): Promise<boolean> {
    const { pool, queue, signals, log } = this.#options;
    if (await queue.recreateIfMissing()) log.error({}, 'queue.recreated');
    const scheduled = await scheduleTimeless(pool);
    if (scheduled > 0) log.warn({ count: scheduled }, 'stranded.retries_scheduled');
    await this.#reopenLanes();
    const { deliveries, next } = await findQueued(pool, this.#position, BATCH_MAX);
    const restored = await this.#restoreJobs(deliveries);
    this.#position = next ?? FIRST_QUEUED;
    if (restored === 0) return false;
    signals.send('posthorn_jobs');
    return next !== null;
  }

  async #reopenLanes() {
    const { pool, signals, log } = this.#options;
    const endpointIds = await findClosedLanes(pool);
    if (endpointIds.length === 0) return;
    await inTransaction(pool, (client) => openLanes(client, endpointIds));
    log.warn({ count: endpointIds.length, endpointIds: endpointIds.slice(0, EXAMPLES_MAX) }, 'stranded.lanes_opened');
    signals.send('posthorn_jobs');
  }

  /** @returns how many */
  async #restoreJobs(deliveries: QueuedDelivery[]): Promise<number> {
    const { pool, queue, log } = this.#options;
    const jobless = await queue.findJobless(deliveries);
    if (jobless.length === 0) return 0;
    const restored = await inTransaction(pool, async (client) => {
      const locked = await lockQueued(client, jobless);
      await queue.replace(client, locked);
      return locked;
    });
    const deliveryIds = restored.slice(0, EXAMPLES_MAX).map(({ deliveryId }) => deliveryId);
    if (restored.length > 0) log.warn({ count: restored.length, deliveryIds }, 'stranded.jobs_restored');
    return restored.length;
  }
}
