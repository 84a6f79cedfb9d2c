import DataLoader from 'dataloader';
import { logFailure } from '../database-outage.ts';
import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import { type DeliveryJob, type DeliveryQueue, type JobClaim, TOUCH_INTERVAL_MS } from '../queue/delivery-queue.ts';
import type { OutgoingDelivery, OutgoingReader } from '../storage/load-outgoing.ts';
import type { Signals } from '../storage/signals.ts';
import type { Courier } from './courier.ts';
import { OwnFaultError } from './own-fault.ts';

/** Deliveries of the shared lane that one process works on at once. What takes longer than a second gives its slot free. */
const SLOTS = 512;
/** Deliveries of the shared lane that one process holds at once, those that take long included. */
const HELD_MAX = 2_048;
/** Bytes of bodies at hand from which on no more jobs are fetched. */
const HELD_BYTES_MAX = 67_108_864;
/** Requests in flight to one endpoint out of the shared lane. */
const IN_FLIGHT_PER_ENDPOINT_MAX = 64;
/** Jobs of one fetch. */
const FETCH_MAX = 200;
/** A fetch waits until so many slots are free: a fetch of one costs as much as one of many. */
const FETCH_MIN = 100;
/** After so long, an attempt gives its slot free, and a delivery that waits for a place at its endpoint goes to a lane. */
const PATIENCE_MS = 1_000;
/** How often the queue is looked at when no signal came. */
const POLL_MS = 1_000;

export interface DispatcherOptions {
  outgoing: OutgoingReader;
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
 * An endpoint that can't take its deliveries in time, or fails again and again, gets a lane of its own, and theirs are
 * moved there.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #loop: PollLoop;
  /** In the order in which they were taken. A job that was lost and fetched again has two, as both are worked on. */
  readonly #claims = new Map<JobClaim, { since: number; bytes: number }>();
  #heldBytes = 0;
  /** At the last turn too few slots were free: there may be jobs that were left where they are. */
  #isFull = false;
  readonly #inFlight = new Map<string, number>();
  /** Reads deliveries whose turn comes at the same time together. */
  readonly #reload = new DataLoader((ids: readonly string[]) => this.#load(ids), { cache: false });
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
    // Where that fails, others take them after the heartbeat's time.
    await this.#options.queue.giveBack(unbegun).catch((error: Error) => {
      logFailure(this.#options.log, { level: 'warn', error }, 'dispatcher.give_back_failed');
    });
    for (const claim of unbegun) this.#forget(claim);
    while (this.#claims.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    clearInterval(this.#touchTimer);
  }

  /** @returns whether there may be more to do at once */
  async #turn(): Promise<boolean> {
    this.#parkLongWaiting();
    const free = this.#freeSlots();
    this.#isFull = free < FETCH_MIN;
    if (this.#isFull) return false;
    const limit = Math.min(free, FETCH_MAX);
    const jobs = await this.#options.queue.fetch(limit);
    if (jobs.length === 0) return false;
    const since = performance.now();
    for (const { claim } of jobs) this.#claims.set(claim, { since, bytes: 0 });
    await this.#begin(jobs);
    return jobs.length === limit;
  }

  #freeSlots(): number {
    if (this.#heldBytes > HELD_BYTES_MAX) return 0;
    const patientUntil = performance.now() - PATIENCE_MS;
    let slow = 0;
    for (const { since } of this.#claims.values()) {
      if (since > patientUntil) break;
      slow += 1;
    }
    return Math.min(SLOTS + slow, HELD_MAX) - this.#claims.size;
  }

  async #begin(jobs: DeliveryJob[]) {
    const ids = jobs.map((job) => job.deliveryId);
    const deliveries = await this.#load(ids).catch((error) => {
      // No longer refreshed, so another worker takes them after the heartbeat's time.
      for (const job of jobs) this.#forget(job.claim);
      throw error;
    });
    for (const [index, job] of jobs.entries()) {
      this.#weigh(job.claim, deliveries[index]?.body.length ?? 0);
      this.#route(job, deliveries[index]);
    }
  }

  #weigh(claim: JobClaim, bytes: number) {
    const held = this.#claims.get(claim);
    if (!held) return;
    held.bytes = bytes;
    this.#heldBytes += bytes;
  }

  #forget(claim: JobClaim) {
    this.#unload(claim);
    this.#claims.delete(claim);
  }

  /** The body of a job's delivery is no longer needed. */
  #unload(claim: JobClaim) {
    const held = this.#claims.get(claim);
    if (!held) return;
    this.#heldBytes -= held.bytes;
    held.bytes = 0;
  }

  /** @returns in the order of the IDs; undefined where there is none */
  async #load(ids: readonly string[]): Promise<(OutgoingDelivery | undefined)[]> {
    const rows = new Map((await this.#options.outgoing.load(ids)).map((row) => [row.id, row]));
    return ids.map((id) => rows.get(id));
  }

  #route(job: DeliveryJob, delivery: OutgoingDelivery | undefined) {
    if (delivery && this.#mayGo(job, delivery) && !this.#hasRoom(delivery.endpointId)) {
      this.#waiting.push({ job, delivery, since: performance.now() });
    } else {
      this.#go(job, delivery);
    }
  }

  #hasRoom = (endpointId: string) => (this.#inFlight.get(endpointId) ?? 0) < IN_FLIGHT_PER_ENDPOINT_MAX;

  /** Whether an attempt is to be made, and in the shared lane. */
  #mayGo(job: DeliveryJob, delivery: OutgoingDelivery): boolean {
    const isOpen = delivery.endpointStatus === 'ACTIVE' && !delivery.isEndpointDeleted;
    return isCurrent(job, delivery) && isOpen && !belongsInLane(delivery);
  }

  #go(job: DeliveryJob, delivery: OutgoingDelivery | undefined) {
    const work = (release?: () => void) => this.#decide(job, delivery, release);
    this.#hold(job, delivery ? this.#inTurn(delivery.endpointId, work) : work());
  }

  /** Makes the attempt, or ends the job where it is stale, or puts the delivery where its endpoint has it now. */
  #decide(job: DeliveryJob, delivery: OutgoingDelivery | undefined, release?: () => void): Promise<void> {
    const { courier } = this.#options;
    if (!delivery || !isCurrent(job, delivery)) return courier.drop(job);
    const setAside = () => {
      this.#unload(job.claim);
      release?.();
    };
    if (!this.#mayGo(job, delivery)) return courier.requeue(delivery, job.claim, belongsInLane(delivery), setAside);
    return courier.attempt(delivery, job.claim, setAside);
  }

  /**
   * Counts work as in flight to an endpoint, and lets the next one go when it ends.
   *
   * @param work may release its turn before it ends
   */
  async #inTurn(endpointId: string, work: (release: () => void) => Promise<void>) {
    this.#inFlight.set(endpointId, (this.#inFlight.get(endpointId) ?? 0) + 1);
    let hasTurn = true;
    const release = () => {
      if (hasTurn) this.#endTurn(endpointId);
      hasTurn = false;
    };
    try {
      await work(release);
    } finally {
      release();
    }
  }

  #endTurn(endpointId: string) {
    const left = (this.#inFlight.get(endpointId) ?? 1) - 1;
    if (left === 0) this.#inFlight.delete(endpointId);
    else this.#inFlight.set(endpointId, left);
    this.#sendNextTo(endpointId);
  }

  /** What has waited may have been canceled, or overtaken by another plan, so it is read anew. */
  #sendNextTo(endpointId: string) {
    if (this.#waiting.length === 0 || this.#loop.isStopped) return;
    const index = this.#waiting.findIndex(({ delivery }) => delivery.endpointId === endpointId);
    const next = index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
    if (!next) return;
    const work = async (release: () => void) =>
      this.#decide(next.job, await this.#reload.load(next.job.deliveryId), release);
    this.#hold(next.job, this.#inTurn(endpointId, work));
  }

  /** The slot is taken until the work's record is committed. */
  #hold(job: DeliveryJob, work: Promise<void>) {
    work
      .catch((error: Error) => this.#fail(job, error))
      .finally(() => {
        this.#forget(job.claim);
        const mayFetch = this.#isFull && this.#freeSlots() >= FETCH_MIN;
        if (mayFetch || this.#waiting.length > 0) this.#loop.wake();
      });
  }

  /** A job of which no attempt could be made is given back, others are taken after the heartbeat's time. */
  async #fail({ claim, deliveryId }: DeliveryJob, error: Error) {
    logFailure(this.#options.log, { level: 'error', error, deliveryId }, 'dispatcher.delivery_failed');
    if (error instanceof OwnFaultError) await this.#options.queue.giveBack([claim]).catch(() => {});
  }

  #parkLongWaiting() {
    const oldest = performance.now() - PATIENCE_MS;
    const slow = new Set(
      this.#waiting.filter(({ since }) => since < oldest).map(({ delivery }) => delivery.endpointId),
    );
    if (slow.size === 0) return;
    const parked = this.#waiting.filter(({ delivery }) => slow.has(delivery.endpointId));
    this.#waiting = this.#waiting.filter(({ delivery }) => !slow.has(delivery.endpointId));
    for (const { job, delivery } of parked) this.#hold(job, this.#options.courier.requeue(delivery, job.claim, true));
  }

  async #touch() {
    await this.#options.queue.touch([...this.#claims.keys()]).catch((error: Error) => {
      logFailure(this.#options.log, { level: 'warn', error }, 'dispatcher.touch_failed');
    });
  }
}

/** Whether a job is of the delivery's present plan. */
const isCurrent = (job: DeliveryJob, delivery: OutgoingDelivery): boolean =>
  delivery.plan === job.plan && delivery.status === 'PENDING' && !delivery.inLane;

const belongsInLane = (delivery: OutgoingDelivery): boolean => delivery.hasLane || delivery.isBackedOff;
