import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { logFailure } from '../database-outage.ts';
import { isProbeDue } from '../domain/failure-streak.ts';
import { encodeId, newId } from '../domain/ids.ts';
import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import {
  announceWorker,
  buryWorkers,
  closeLane,
  dismissWorker,
  findLanes,
  type HeldLane,
  hasFreeLanes,
  releaseLanes,
  saveLaneSlots,
  takeLanes,
} from '../storage/lanes.ts';
import type { OutgoingDelivery, OutgoingReader } from '../storage/load-outgoing.ts';
import type { Signals } from '../storage/signals.ts';
import { inTransaction } from '../storage/transaction.ts';
import type { Courier } from './courier.ts';

/** A worker counts as alive, and its lanes as its own, for so long after its last word. */
const LEASE_MS = 10_000;
/** A worker that could not say a word stops sending so long before the others take it for dead. */
const LEASE_MARGIN_MS = 2_000;
/** How often a lane with work is served. Rates are kept to this grain. */
const TICK_MS = 50;
/** How often all lanes are looked at, in one query. */
const LOOK_MS = 500;
/** The same where a signal says that there may be something new. */
const LOOK_SIGNALED_MS = 100;
/** Requests in flight over all lanes of a process, shared out among those with work; each has one at least. */
const IN_FLIGHT_MAX = 512;
/** Requests in flight of one lane. */
const IN_FLIGHT_PER_LANE_MAX = 64;
/** Deliveries of one read. */
const LOAD_MAX = 100;
/** A lane in which something failed rests for so long. */
const REST_MS = 500;

export interface LaneRunnerOptions {
  pool: Pool;
  outgoing: OutgoingReader;
  courier: Courier;
  signals: Signals;
  log: Log;
}

interface Lane {
  endpointId: string;
  inFlight: Map<string, Promise<void>>;
  /** Deliveries whose attempt is over, and whose outcome can't be written for now. */
  setAside: Set<string>;
  /** When the rate limit lets the next attempt begin, in ms since the epoch. */
  nextSlotAt: number;
  rateLimitPerSecond: number | null;
  hasWork: boolean;
  mustSort: boolean;
  isBackedOff: boolean;
  /** By the monotonic clock, as all times that nobody else reads: the wall clock may be set. */
  restsUntil: number;
  isBusy: boolean;
  /** False: it is another worker's now, or about to be, and only attempts in flight are left. */
  isLeased: boolean;
}

/**
 * Drains the lanes that endpoints have of their own, each leased by one worker at a time, so that an endpoint's rate
 * and its cap hold over all processes. The workers that live share the lanes evenly. Deliveries stay in the lane until
 * their outcome is recorded: when a worker dies, the next holder of the lease makes the attempt again.
 */
export class LaneRunner {
  readonly #options: LaneRunnerOptions;
  readonly #worker = newId();
  readonly #lanes = new Map<string, Lane>();
  readonly #loop: PollLoop;
  #leasedUntil = 0;
  #lookAt = 0;
  #lookedAt = 0;
  /** When it has to say that it lives, whatever a signal brought. */
  #dueAt = 0;
  #stopListening: (() => void) | undefined;

  constructor(options: LaneRunnerOptions) {
    this.#options = options;
    this.#loop = new PollLoop({ name: 'lanes', pollMs: TICK_MS, log: options.log, turn: () => this.#turn() });
  }

  start(): void {
    this.#stopListening = this.#options.signals.on('posthorn_jobs', () => {
      this.#lookAt = Math.min(this.#lookAt, this.#lookedAt + LOOK_SIGNALED_MS);
    });
    this.#loop.start();
  }

  /** Begins no more attempts, waits for those in flight, and gives the lanes back. */
  async stop(): Promise<void> {
    this.#stopListening?.();
    await this.#loop.stop();
    // The lanes must stay its own until the last attempt is on record, or another worker would make it again.
    const keeper = setInterval(() => void this.#keepLanes(), LEASE_MARGIN_MS);
    while ([...this.#lanes.values()].some((lane) => lane.isBusy || lane.inFlight.size > 0)) await sleep(10);
    clearInterval(keeper);
    // Where that fails, others take the lanes when the lease has run out.
    await this.#leave().catch((error: Error) => {
      logFailure(this.#options.log, { level: 'warn', error }, 'lanes.release_failed');
    });
  }

  async #leave() {
    await this.#saveSlots([...this.#lanes.values()]);
    await dismissWorker(this.#options.pool, this.#worker);
  }

  async #keepLanes() {
    try {
      await announceWorker(this.#options.pool, this.#worker, LEASE_MS);
    } catch (error) {
      logFailure(this.#options.log, { level: 'warn', error }, 'lanes.renew_failed');
    }
  }

  async #turn(): Promise<boolean> {
    const now = performance.now();
    if (now >= this.#lookAt) await this.#look(now);
    const working = [...this.#lanes.values()].filter((lane) => lane.isLeased && lane.hasWork);
    const share = Math.floor(IN_FLIGHT_MAX / Math.max(1, working.length));
    const room = Math.max(1, Math.min(IN_FLIGHT_PER_LANE_MAX, share));
    for (const lane of working) if (!lane.isBusy && now >= lane.restsUntil) void this.#drain(lane, room);
    return false;
  }

  /** Only where the next attempt has to wait: anything else is no news to the next holder. */
  async #saveSlots(lanes: Lane[]) {
    const waiting = lanes.filter((lane) => lane.nextSlotAt > Date.now());
    const slots = waiting.map(({ endpointId, nextSlotAt }) => ({ endpointId, nextSlotAt: new Date(nextSlotAt) }));
    await saveLaneSlots(this.#options.pool, this.#worker, slots);
  }

  /** Keeps the lease, takes lanes or gives some up as the share has it, and finds those with work. */
  async #look(now: number) {
    const { pool } = this.#options;
    if (now < this.#dueAt && this.#lanes.size === 0 && !(await hasFreeLanes(pool))) {
      this.#lookedAt = now;
      this.#lookAt = this.#dueAt;
      return;
    }
    const share = await announceWorker(pool, this.#worker, LEASE_MS);
    await this.#saveSlots([...this.#lanes.values()]);
    await this.#giveUp([...this.#lanes.values()].filter((lane) => lane.isLeased).slice(share));
    await buryWorkers(pool);
    await takeLanes(pool, this.#worker, share - this.#lanes.size);
    this.#update(await findLanes(pool, this.#worker));
    // Not before it is known which lanes are still its own.
    this.#leasedUntil = now + LEASE_MS - LEASE_MARGIN_MS;
    this.#lookedAt = now;
    this.#dueAt = now + LOOK_MS;
    this.#lookAt = this.#dueAt;
  }

  /** Lanes over the share: those where nothing is in flight are free at once, the others send no more until they are. */
  async #giveUp(surplus: Lane[]) {
    for (const lane of surplus) lane.isLeased = false;
    const ended = [...this.#lanes.values()].filter((lane) => !lane.isLeased && !isWorking(lane));
    await releaseLanes(
      this.#options.pool,
      this.#worker,
      ended.map((lane) => lane.endpointId),
    );
    for (const { endpointId } of ended) this.#lanes.delete(endpointId);
  }

  #update(held: HeldLane[]) {
    const found = new Map(held.map((row) => [row.endpointId, row]));
    for (const [endpointId, lane] of this.#lanes) {
      const row = found.get(endpointId);
      if (row) Object.assign(lane, stateOf(row));
      else lane.isLeased = false;
      if (!row && !isWorking(lane)) this.#lanes.delete(endpointId);
      if (row?.mayClose && !isWorking(lane)) void this.#close(lane);
    }
    for (const row of held) if (!this.#lanes.has(row.endpointId)) this.#lanes.set(row.endpointId, newLane(row));
  }

  async #close(lane: Lane) {
    lane.isBusy = true;
    try {
      const isClosed = await inTransaction(this.#options.pool, (client) => closeLane(client, lane.endpointId));
      if (isClosed) this.#lanes.delete(lane.endpointId);
    } catch (error) {
      this.#rest(lane, error as Error);
    } finally {
      lane.isBusy = false;
    }
  }

  #rest(lane: Lane, error: Error) {
    lane.restsUntil = performance.now() + REST_MS;
    logFailure(
      this.#options.log,
      { level: 'error', error, endpointId: encodeId('Endpoint', lane.endpointId) },
      'lane.failed',
    );
  }

  async #drain(lane: Lane, room: number) {
    lane.isBusy = true;
    try {
      await this.#drainOnce(lane, room);
    } catch (error) {
      this.#rest(lane, error as Error);
    } finally {
      lane.isBusy = false;
    }
  }

  /** @param room requests that may be in flight in the lane. Where its endpoint is backed off, it is one */
  async #drainOnce(lane: Lane, room: number) {
    const cap = lane.isBackedOff ? 1 : room;
    const limit = lane.mustSort ? LOAD_MAX : Math.min(cap - lane.inFlight.size, slotsOf(lane), LOAD_MAX);
    if (limit <= 0) return;
    const except = [...lane.inFlight.keys(), ...lane.setAside];
    const deliveries = await this.#options.outgoing.loadLane({ endpointId: lane.endpointId, except, limit });
    if (deliveries.length > 0) await this.#take(lane, deliveries);
    else lane.hasWork = false;
  }

  async #take(lane: Lane, deliveries: OutgoingDelivery[]) {
    // The lane may have been lost while they were read.
    if (!lane.isLeased || performance.now() >= this.#leasedUntil) return;
    const first = deliveries[0] as OutgoingDelivery;
    const isOpen = first.endpointStatus === 'ACTIVE' && !first.isEndpointDeleted;
    lane.rateLimitPerSecond = first.rateLimitPerSecond;
    // Read along with them, so it holds from the attempt on that backed the endpoint off, or ended that.
    lane.isBackedOff = first.isBackedOff;
    const unready = isOpen ? deliveries.filter((delivery) => delivery.status === 'HELD') : deliveries;
    if (unready.length > 0) return this.#requeue(lane, unready);
    // Read without regard to caps: from now on they hold again.
    if (lane.mustSort) {
      lane.mustSort = false;
      return;
    }
    const ready = lane.isBackedOff ? this.#findProbe(lane, first) : deliveries;
    for (const delivery of ready) {
      if (!takeSlot(lane)) break;
      // A slot that outlasts the lease is written down at once, and holds also where this worker dies.
      if (lane.nextSlotAt - Date.now() > LEASE_MS - LEASE_MARGIN_MS) await this.#saveSlots([lane]);
      this.#send(lane, delivery);
    }
  }

  /** A backed-off endpoint gets one attempt when its rest is over, and what a person retries at once. */
  #findProbe(lane: Lane, first: OutgoingDelivery): OutgoingDelivery[] {
    if (lane.inFlight.size > 0) return [];
    if (first.queuedTrigger === 'MANUAL' || isProbeDue(first.nextProbeAt, Date.now())) return [first];
    lane.hasWork = false;
    return [];
  }

  /** Turns waiting deliveries into what their endpoint's status makes of them now: PENDING, HELD or SKIPPED. */
  async #requeue(lane: Lane, deliveries: OutgoingDelivery[]) {
    const { courier } = this.#options;
    const requeue = (delivery: OutgoingDelivery) =>
      this.#track(lane, delivery.id, (setAside) => courier.requeue(delivery, null, true, setAside));
    await Promise.all(deliveries.map(requeue));
  }

  #send(lane: Lane, delivery: OutgoingDelivery) {
    const { courier } = this.#options;
    const done = this.#track(lane, delivery.id, (setAside) => courier.attempt(delivery, null, setAside));
    lane.inFlight.set(delivery.id, done);
  }

  /** Resolves when work on a delivery has ended, or its outcome was set aside: that must not stop the lane. */
  #track(lane: Lane, deliveryId: string, work: (setAside: () => void) => Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const setAside = () => {
      lane.inFlight.delete(deliveryId);
      lane.setAside.add(deliveryId);
      resolve();
    };
    work(setAside)
      .catch((error: Error) => this.#rest(lane, error))
      .finally(() => {
        lane.inFlight.delete(deliveryId);
        lane.setAside.delete(deliveryId);
        resolve();
      });
    return promise;
  }
}

const newLane = (row: HeldLane): Lane => ({
  endpointId: row.endpointId,
  inFlight: new Map(),
  setAside: new Set(),
  nextSlotAt: row.nextSlotAt?.getTime() ?? 0,
  ...stateOf(row),
  restsUntil: 0,
  isBusy: false,
  isLeased: true,
});

const stateOf = ({ rateLimitPerSecond, hasWork, mustSort, isBackedOff }: HeldLane) => ({
  rateLimitPerSecond,
  hasWork,
  mustSort,
  isBackedOff,
});

const isWorking = (lane: Lane): boolean => lane.isBusy || lane.inFlight.size > 0;

/** How many attempts the rate limit may let begin in this tick. */
function slotsOf(lane: Lane): number {
  if (lane.rateLimitPerSecond === null) return Number.POSITIVE_INFINITY;
  const intervalMs = 1_000 / lane.rateLimitPerSecond;
  return Date.now() < findNextSlot(lane, intervalMs) ? 0 : Math.ceil(TICK_MS / intervalMs) + 1;
}

/** A slot that was set by a lower rate, or by a clock that was ahead, does not hold up what waits now. */
function findNextSlot(lane: Lane, intervalMs: number): number {
  lane.nextSlotAt = Math.min(lane.nextSlotAt, Date.now() + intervalMs);
  return lane.nextSlotAt;
}

/**
 * Spreads attempts evenly: one each 1/rate seconds, and no saving up while nothing waited.
 *
 * @returns whether an attempt may begin now
 */
function takeSlot(lane: Lane): boolean {
  if (lane.rateLimitPerSecond === null) return true;
  const now = Date.now();
  const intervalMs = 1_000 / lane.rateLimitPerSecond;
  if (now < findNextSlot(lane, intervalMs)) return false;
  lane.nextSlotAt = Math.max(lane.nextSlotAt + intervalMs, now - TICK_MS + intervalMs);
  return true;
}
