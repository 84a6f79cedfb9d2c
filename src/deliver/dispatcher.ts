import type { Pool } from 'pg';
import type { Log } from '../log.ts';
import { type DeliveryJob, type DeliveryQueue, type JobClaim, TOUCH_INTERVAL_MS } from '../queue/delivery-queue.ts';
import { loadOutgoing, type OutgoingDelivery } from '../storage/load-outgoing.ts';
import type { Signals } from '../storage/signals.ts';
import type { Courier } from './courier.ts';
import { PollLoop } from './poll-loop.ts';

/** Deliveries of the shared lane that one process holds at once, in flight or about to be. */
const SLOTS = 256;
/** Requests in flight to one endpoint out of the shared lane. */
const IN_FLIGHT_PER_ENDPOINT_MAX = 64;
/** Jobs of one fetch. */
const FETCH_MAX = 100;
/** A fetch waits until so many slots are free: a fetch of one costs as much as one of many. */
const FETCH_MIN = 32;
/** How long a delivery may wait for a place at its endpoint before the endpoint gets a lane of its own. */
const WAIT_MS_MAX = 1_000;
/** How often the queue is looked at when no signal came. */
const POLL_MS = 1_000;

export interface DispatcherOptions {
  pool: Pool;
  queue: DeliveryQueue;
  courier: Courier;
  signals: Signals;
  log: Log;
}

interface Held {
  job: DeliveryJob;
  delivery: OutgoingDelivery;
  since: number;
}

/**
 * Keeps the slots of the shared lane full: a slot frees when its own attempt is on record, not when a batch is done.
 * An endpoint that can't take its deliveries in time gets a lane of its own, and theirs are moved there.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #loop: PollLoop;
  readonly #claims = new Map<string, JobClaim>();
  readonly #inFlight = new Map<string, number>();
  #waiting: Held[] = [];
  #stopListening: (() => void) | undefined;
  #touchTimer: NodeJS.Timeout | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#loop = new PollLoop({ name: 'dispatcher', pollMs: POLL_MS, log: options.log, turn: () => this.#turn() });
  }

  start(): void {
    this.#stopListening = this.#options.signals.on('posthorn_jobs', () => this.#loop.wake());
    this.#touchTimer = setInterval(() => void this.#touch(), TOUCH_INTERVAL_MS);
    this.#loop.start();
  }

  /** Takes no more jobs, gives back those not begun, and resolves when every attempt in flight is on record. */
  async stop(): Promise<void> {
    this.#stopListening?.();
    await this.#loop.stop();
    const unbegun = this.#waiting.map(({ job }) => job.claim);
    this.#waiting = [];
    await this.#options.queue.giveBack(unbegun);
    for (const claim of unbegun) this.#claims.delete(claim.id);
    while (this.#claims.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    clearInterval(this.#touchTimer);
  }

  /** @returns whether there may be more to do at once */
  async #turn(): Promise<boolean> {
    this.#parkLongWaiting();
    const free = SLOTS - this.#claims.size;
    if (free < FETCH_MIN) return false;
    const limit = Math.min(free, FETCH_MAX);
    const jobs = await this.#options.queue.fetch(limit);
    if (jobs.length === 0) return false;
    for (const job of jobs) this.#claims.set(job.claim.id, job.claim);
    await this.#begin(jobs);
    return jobs.length === limit;
  }

  async #begin(jobs: DeliveryJob[]) {
    const ids = jobs.map((job) => job.deliveryId);
    const rows = await loadOutgoing(this.#options.pool, ids).catch((error) => {
      // No longer refreshed, so another worker takes them after the heartbeat's time.
      for (const job of jobs) this.#claims.delete(job.claim.id);
      throw error;
    });
    const deliveries = new Map(rows.map((row) => [row.id, row]));
    for (const job of jobs) this.#route(job, deliveries.get(job.deliveryId));
  }

  #route(job: DeliveryJob, delivery: OutgoingDelivery | undefined) {
    const { courier } = this.#options;
    const isCurrent = delivery?.plan === job.plan && delivery.status === 'PENDING' && !delivery.inLane;
    if (!delivery || !isCurrent) return this.#hold(job, courier.drop(job));
    const mustWait = delivery.hasLane || delivery.endpointStatus !== 'ACTIVE' || delivery.isEndpointDeleted;
    if (mustWait) return this.#hold(job, courier.requeue(delivery, job.claim, delivery.hasLane));
    const held = { job, delivery, since: Date.now() };
    if (this.#hasRoom(delivery.endpointId)) this.#send(held);
    else this.#waiting.push(held);
  }

  #hasRoom = (endpointId: string) => (this.#inFlight.get(endpointId) ?? 0) < IN_FLIGHT_PER_ENDPOINT_MAX;

  #send({ job, delivery }: Held) {
    const { endpointId } = delivery;
    this.#inFlight.set(endpointId, (this.#inFlight.get(endpointId) ?? 0) + 1);
    const done = this.#options.courier.attempt(delivery, job.claim).finally(() => {
      const left = (this.#inFlight.get(endpointId) ?? 1) - 1;
      if (left === 0) this.#inFlight.delete(endpointId);
      else this.#inFlight.set(endpointId, left);
      this.#sendNextTo(endpointId);
    });
    this.#hold(job, done);
  }

  #sendNextTo(endpointId: string) {
    if (this.#waiting.length === 0 || this.#loop.isStopped) return;
    const index = this.#waiting.findIndex(({ delivery }) => delivery.endpointId === endpointId);
    const next = index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
    if (next) this.#send(next);
  }

  /** The slot is taken until the work's record is committed. */
  #hold(job: DeliveryJob, work: Promise<void>) {
    work
      .catch((error: Error) => {
        // The job stays claimed and unrefreshed, so another worker takes it after the heartbeat's time.
        this.#options.log.error({ error: error.message, deliveryId: job.deliveryId }, 'dispatcher.delivery_failed');
      })
      .finally(() => {
        this.#claims.delete(job.claim.id);
        if (SLOTS - this.#claims.size >= FETCH_MIN) this.#loop.wake();
      });
  }

  #parkLongWaiting() {
    const oldest = Date.now() - WAIT_MS_MAX;
    const slow = new Set(
      this.#waiting.filter(({ since }) => since < oldest).map(({ delivery }) => delivery.endpointId),
    );
    if (slow.size === 0) return;
    const parked = this.#waiting.filter(({ delivery }) => slow.has(delivery.endpointId));
    this.#waiting = this.#waiting.filter(({ delivery }) => !slow.has(delivery.endpointId));
    for (const { job, delivery } of parked) this.#hold(job, this.#options.courier.requeue(delivery, job.claim, true));
  }

  async #touch() {
    await this.#options.queue.touch([...this.#claims.values()]).catch((error: Error) => {
      this.#options.log.warn({ error: error.message }, 'dispatcher.touch_failed');
    });
  }
}
