import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase, Pool } from 'pg';
import { type FailureStreak, findDisableReason } from '../domain/failure-streak.ts';
import type { Log } from '../log.ts';
import type { DeliveryQueue, JobClaim } from '../queue/delivery-queue.ts';
import { type Disabling, disableEndpoints } from '../storage/disable-endpoints.ts';
import { type AttemptCounts, saveStreaks } from '../storage/failure-streaks.ts';
import { openLanes } from '../storage/lanes.ts';
import { lockDeliveries } from '../storage/lock-deliveries.ts';
import { type SavedTransition, saveTransitions, type Transition } from '../storage/save-transitions.ts';
import type { Signals } from '../storage/signals.ts';
import { inTransaction, isFaultOfAll } from '../storage/transaction.ts';

/** Entries of one transaction at the most. */
const BATCH_MAX = 250;
/** Transactions under way at once. */
const FLUSHES_MAX = 2;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

/** What a worker has to write about a delivery that it took. Everything in it commits together. */
export interface RecorderEntry {
  deliveryId: string;
  /** The job that is done with; null: the delivery came from its endpoint's own lane. */
  claim: JobClaim | null;
  /** Null: the job was stale, only its end is written. */
  transition: Transition | null;
  /** Endpoint that the delivery goes to. */
  endpointId: string;
  /** Why the endpoint is disabled by this attempt, whatever came before; null: it is not. */
  disableReason: string | null;
}

export interface RecorderOptions {
  pool: Pool;
  queue: DeliveryQueue;
  signals: Signals;
  log: Log;
  /** How long an endpoint may have nothing but failures until it is disabled; null: for ever. */
  disableAfterMs: number | null;
}

interface Waiting {
  entry: RecorderEntry;
  resolve: (saved: SavedTransition | null) => void;
}

/**
 * The way out: writes attempts, states, ends of jobs and changes of many deliveries in one transaction. While Postgres
 * can't be reached it goes on trying: an outcome that is known is not given up.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  #waiting: Waiting[] = [];
  #flushes = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** @returns once committed: what was saved of the transition; null where there was none */
  record(entry: RecorderEntry): Promise<SavedTransition | null> {
    return new Promise((resolve) => {
      this.#waiting.push({ entry, resolve });
      if (this.#waiting.length === 1) setImmediate(() => this.#startFlushes());
    });
  }

  #startFlushes() {
    while (this.#flushes < FLUSHES_MAX && this.#waiting.length > 0) {
      this.#flushes += 1;
      void this.#flush(this.#takeBatch()).finally(() => {
        this.#flushes -= 1;
        this.#startFlushes();
      });
    }
  }

  /** A delivery stands in a batch once: two outcomes of one delivery must see each other's effect. */
  #takeBatch(): Waiting[] {
    const batch = new Map<string, Waiting>();
    const rest: Waiting[] = [];
    for (const waiting of this.#waiting) {
      const isTaken = batch.size < BATCH_MAX && !batch.has(waiting.entry.deliveryId);
      if (isTaken) batch.set(waiting.entry.deliveryId, waiting);
      else rest.push(waiting);
    }
    this.#waiting = rest;
    return [...batch.values()];
  }

  async #flush(batch: Waiting[]): Promise<void> {
    const entries = batch.map((waiting) => waiting.entry);
    const saved = await this.#saveUntilDone(entries);
    if (saved === null) {
      // One that can't be written must hold up neither those that came with it nor those that come after it.
      for (const one of batch) void this.#flush([one]);
      return;
    }
    for (const { entry, resolve } of batch) resolve(saved.get(entry.deliveryId) ?? null);
    if (saved.size > 0) this.#options.signals.send('posthorn_changes');
  }

  /** @returns null where some entry is at fault, and there are others beside it */
  async #saveUntilDone(entries: RecorderEntry[]): Promise<Map<string, SavedTransition> | null> {
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      try {
        return await inTransaction(this.#options.pool, (client) => this.#save(client, entries));
      } catch (error) {
        const { log } = this.#options;
        log.error({ error: (error as Error).message, entries: entries.length, retryInMs: waitMs }, 'recorder.failed');
        if (!isFaultOfAll(error) && entries.length > 1) return null;
        await sleep(waitMs);
      }
    }
  }

  async #save(client: ClientBase, entries: RecorderEntry[]): Promise<Map<string, SavedTransition>> {
    const now = new Date();
    const transitions = entries.flatMap(({ transition }) => transition ?? []);
    const intoLanes = entries.filter(({ transition }) => transition?.next.inLane);
    await openLanes(
      client,
      intoLanes.map((entry) => entry.endpointId),
    );
    const claims = entries.flatMap(({ claim }) => claim ?? []);
    const [rows, streaks] = await Promise.all([
      saveTransitions(client, transitions, now),
      saveStreaks(client, countAttempts(entries), now),
      this.#options.queue.finish(client, claims),
    ]);
    const saved = new Map(rows.map((row) => [row.deliveryId, row]));
    const late = transitions.filter(({ deliveryId, attempt }) => attempt && !saved.has(deliveryId));
    for (const row of await saveLateAttempts(client, late, now)) saved.set(row.deliveryId, row);
    await disableEndpoints(client, this.#findDisabled(entries, streaks, now), now);
    return saved;
  }

  #findDisabled(entries: RecorderEntry[], streaks: FailureStreak[], now: Date): Disabling[] {
    const atOnce = entries.flatMap(({ endpointId, transition, disableReason: reason }) =>
      reason !== null && transition?.attempt ? [{ endpointId, url: transition.attempt.requestUrl, reason }] : [],
    );
    const atLast = streaks.flatMap(({ endpointId, url, ...streak }) => {
      const reason = findDisableReason(streak, this.#options.disableAfterMs, now);
      return reason === null ? [] : [{ endpointId, url, reason }];
    });
    return [...atOnce, ...atLast];
  }
}

/** What the attempts of a batch brought, by endpoint and its address. */
function countAttempts(entries: RecorderEntry[]): AttemptCounts[] {
  const counts = new Map<string, AttemptCounts>();
  for (const { endpointId, transition } of entries) {
    if (!transition?.attempt) continue;
    const { requestUrl: url, status } = transition.attempt;
    const key = `${endpointId} ${url}`;
    const count = counts.get(key) ?? { endpointId, url, succeeded: 0, failed: 0 };
    counts.set(key, count);
    if (status === 'SUCCEEDED') count.succeeded += 1;
    else count.failed += 1;
  }
  return [...counts.values()];
}

/**
 * Attempts whose delivery has another plan by now: it was canceled, or recorded from elsewhere, while they were in
 * flight. They were made, so they go on record, and decide nothing. Those on record already were written by a
 * transaction whose answer got lost.
 */
async function saveLateAttempts(client: ClientBase, late: Transition[], now: Date): Promise<SavedTransition[]> {
  if (late.length === 0) return [];
  const ids = late.map((transition) => transition.deliveryId);
  const locked = await lockDeliveries(client, { name: 'by-ids', where: 'd.id = any($1)', values: [ids] });
  const present = new Map(locked.map((delivery) => [delivery.id, delivery]));
  const { rows } = await client.query('select id from delivery_attempts where id = any($1)', [
    late.map((transition) => transition.attempt?.id),
  ]);
  const onRecord = new Set(rows.map((row) => row.id));
  const transitions = late.flatMap(({ deliveryId, attempt }) => {
    const state = present.get(deliveryId);
    if (!state || !attempt || onRecord.has(attempt.id)) return [];
    const effectless = { ...attempt, nextAttemptAt: null, deadLetteredAt: null };
    return [{ deliveryId, expectedPlan: state.plan, previousStatus: state.status, next: state, attempt: effectless }];
  });
  return saveTransitions(client, transitions, now);
}
