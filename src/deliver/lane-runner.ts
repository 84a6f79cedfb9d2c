import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { newId } from '../domain/ids.ts';
import type { Log } from '../log.ts';
import { closeLane, type LeasedLane, leaseLanes, releaseLanes, renewLanes, saveLaneSlots } from '../storage/lanes.ts';
import { loadLane, type OutgoingDelivery } from '../storage/load-outgoing.ts';
import { inTransaction } from '../storage/transaction.ts';
import type { Courier } from './courier.ts';
import { PollLoop } from './poll-loop.ts';

/** A lane is its worker's for so long after the last renewal; then another takes it. */
const LEASE_MS = 10_000;
/** Renewed more often than this; a worker that could not renew stops sending so long before the lease ends. */
const LEASE_RENEW_MS = 2_000;
/** How often each lane is looked at. Rates are kept to this grain. */
const TICK_MS = 50;
/** Lanes that one process leases. */
const LANES_MAX = 256;
/** Requests in flight over all lanes of a process. */
const IN_FLIGHT_MAX = 256;
/** Requests in flight of one lane. */
const IN_FLIGHT_PER_LANE_MAX = 64;
/** Deliveries of one read. */
const LOAD_MAX = 100;
/** A lane without work is looked at this often. */
const IDLE_MS = 500;

export interface LaneRunnerOptions {
  pool: Pool;
  courier: Courier;
  log: Log;
}

interface Lane {
  endpointId: string;
  inFlight: Map<string, Promise<void>>;
  /** Tokens of the rate limit: when the next attempt may begin, in ms since the epoch. */
  nextSlotAt: number;
  idleUntil: number;
  isBusy: boolean;
  /** False: the lease was lost, and only attempts in flight are left. */
  isLeased: boolean;
}

/**
 * Drains the lanes that endpoints have of their own, each leased by one worker at a time, so that an endpoint's rate
 * and its cap hold over all processes. Deliveries stay in the lane until their outcome is recorded: when a worker
 * dies, the next holder of the lease makes the attempt again.
 */
export class LaneRunner {
  readonly #options: LaneRunnerOptions;
  readonly #worker = newId();
  readonly #lanes = new Map<string, Lane>();
  readonly #loop: PollLoop;
  #leasedUntil = 0;
  #renewAt = 0;

  constructor(options: LaneRunnerOptions) {
    this.#options = options;
    this.#loop = new PollLoop({ name: 'lanes', pollMs: TICK_MS, log: options.log, turn: () => this.#turn() });
  }

  start(): void {
    this.#loop.start();
  }

  /** Begins no more attempts, waits for those in flight, and gives the leases back. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    // The leases must hold until the last attempt is on record, or another worker would make it again.
    const keeper = setInterval(() => void this.#keepLeases(), LEASE_RENEW_MS);
    while ([...this.#lanes.values()].some((lane) => lane.isBusy || lane.inFlight.size > 0)) await sleep(10);
    clearInterval(keeper);
    await this.#saveSlots([...this.#lanes.values()]);
    await releaseLanes(this.#options.pool, this.#worker);
  }

  async #keepLeases() {
    try {
      await renewLanes(this.#options.pool, { worker: this.#worker, leaseMs: LEASE_MS });
    } catch (error) {
      this.#options.log.warn({ error: (error as Error).message }, 'lanes.renew_failed');
    }
  }

  async #turn(): Promise<boolean> {
    const now = Date.now();
    if (now >= this.#renewAt) await this.#renew(now);
    if (Date.now() >= this.#leasedUntil) return false;
    for (const lane of this.#lanes.values()) {
      if (lane.isLeased && !lane.isBusy && now >= lane.idleUntil) void this.#drain(lane);
    }
    return false;
  }

  /** Only where the next attempt has to wait: anything else is no news to the next holder. */
  async #saveSlots(lanes: Lane[]) {
    const waiting = lanes.filter((lane) => lane.nextSlotAt > Date.now());
    const slots = waiting.map(({ endpointId, nextSlotAt }) => ({ endpointId, nextSlotAt: new Date(nextSlotAt) }));
    await saveLaneSlots(this.#options.pool, this.#worker, slots);
  }

  async #renew(now: number) {
    await this.#saveSlots([...this.#lanes.values()]);
    const leased = await leaseLanes(this.#options.pool, { worker: this.#worker, leaseMs: LEASE_MS, max: LANES_MAX });
    this.#leasedUntil = now + LEASE_MS - LEASE_RENEW_MS;
    this.#renewAt = now + IDLE_MS;
    const held = new Set(leased.map((lane) => lane.endpointId));
    for (const row of leased) if (!this.#lanes.has(row.endpointId)) this.#lanes.set(row.endpointId, newLane(row));
    for (const [endpointId, lane] of this.#lanes) {
      lane.isLeased = held.has(endpointId);
      if (!lane.isLeased && !lane.isBusy && lane.inFlight.size === 0) this.#lanes.delete(endpointId);
    }
  }

  async #drain(lane: Lane) {
    lane.isBusy = true;
    try {
      await this.#drainOnce(lane);
    } catch (error) {
      lane.idleUntil = Date.now() + IDLE_MS;
      this.#options.log.error({ endpointId: lane.endpointId, error: (error as Error).message }, 'lane.failed');
    } finally {
      lane.isBusy = false;
    }
  }

  async #drainOnce(lane: Lane) {
    const room = this.#roomOf(lane);
    if (room <= 0) return;
    const except = [...lane.inFlight.keys()];
    const { pool } = this.#options;
    const deliveries = await loadLane(pool, { endpointId: lane.endpointId, except, limit: Math.min(room, LOAD_MAX) });
    if (deliveries.length > 0) return this.#take(lane, deliveries);
    lane.idleUntil = Date.now() + IDLE_MS;
    if (lane.inFlight.size > 0) return;
    const isClosed = await inTransaction(pool, (client) => closeLane(client, lane.endpointId));
    if (isClosed) this.#lanes.delete(lane.endpointId);
  }

  #roomOf(lane: Lane): number {
    const share = Math.floor(IN_FLIGHT_MAX / this.#lanes.size);
    const cap = Math.max(1, Math.min(IN_FLIGHT_PER_LANE_MAX, share));
    return cap - lane.inFlight.size;
  }

  async #take(lane: Lane, deliveries: OutgoingDelivery[]) {
    const first = deliveries[0] as OutgoingDelivery;
    const isOpen = first.endpointStatus === 'ACTIVE' && !first.isEndpointDeleted;
    const unready = isOpen ? deliveries.filter((delivery) => delivery.status === 'HELD') : deliveries;
    if (unready.length > 0) return this.#requeue(unready);
    for (const delivery of deliveries) {
      if (!this.#takeRateSlot(lane, delivery.rateLimitPerSecond)) break;
      // A slot that outlasts the lease is written down at once, and holds also where this worker dies.
      if (lane.nextSlotAt - Date.now() > LEASE_MS - LEASE_RENEW_MS) await this.#saveSlots([lane]);
      this.#send(lane, delivery);
    }
  }

  /** Turns waiting deliveries into what their endpoint's status makes of them now: PENDING, HELD or SKIPPED. */
  async #requeue(deliveries: OutgoingDelivery[]) {
    await Promise.all(deliveries.map((delivery) => this.#options.courier.requeue(delivery, null, true)));
  }

  /** Spreads attempts evenly: one each 1/rate seconds, and no saving up while nothing waited. */
  #takeRateSlot(lane: Lane, ratePerSecond: number | null): boolean {
    if (ratePerSecond === null) return true;
    const now = Date.now();
    const intervalMs = 1_000 / ratePerSecond;
    // A slot of a lower rate that was set before does not hold up the present one.
    lane.nextSlotAt = Math.min(lane.nextSlotAt, now + intervalMs);
    if (now < lane.nextSlotAt) return false;
    lane.nextSlotAt = Math.max(lane.nextSlotAt + intervalMs, now - TICK_MS + intervalMs);
    return true;
  }

  #send(lane: Lane, delivery: OutgoingDelivery) {
    const done = this.#options.courier
      .attempt(delivery, null)
      .catch((error: Error) => {
        lane.idleUntil = Date.now() + IDLE_MS;
        this.#options.log.error({ error: error.message, deliveryId: delivery.id }, 'lane.delivery_failed');
      })
      .finally(() => {
        lane.inFlight.delete(delivery.id);
      });
    lane.inFlight.set(delivery.id, done);
  }
}

const newLane = ({ endpointId, nextSlotAt }: LeasedLane): Lane => ({
  endpointId,
  inFlight: new Map(),
  nextSlotAt: nextSlotAt?.getTime() ?? 0,
  idleUntil: 0,
  isBusy: false,
  isLeased: true,
});
