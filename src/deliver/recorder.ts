import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase, Pool } from 'pg';
import { logFailure } from '../database-outage.ts';
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
import { SetAsideOutcomes, type WaitingOutcome } from './set-aside-outcomes.ts';

/** Entries of one transaction at the most. */
const BATCH_MAX = 250;
/** Transactions under way at once. */
const FLUSHES_MAX = 2;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

/** A statement that ran out of time, or out of patience for a lock, is tried so often with its batch. */
const TIMEOUTS_MAX = 2;
const TIMEOUT_CODES = new Set(['57014', '55P03']);

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
  /** Called if it cannot be written for now. It is tried again, which may take long. */
  onSetAside?: (() => void) | undefined;
}

export interface RecorderOptions {
  pool: Pool;
  queue: DeliveryQueue;
  signals: Signals;
  log: Log;
  /** How long an endpoint may have nothing but failures until it is disabled; null: for ever. */
  disableAfterMs: number | null;
}

/**
 * Writes attempts, states, ends of jobs and changes of many deliveries in one transaction. If Postgres can't be reached, it
 * tries again until it can: a known outcome is not given up. An outcome that can't be written is found by halving its batch,
 * and set aside: it delays no other.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #setAside: SetAsideOutcomes;
  #waiting: WaitingOutcome[] = [];
  #flushes = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#setAside = new SetAsideOutcomes({
      log: options.log,
      isFaultOfEntry,
      write: async (entry) => {
        const saved = await this.#saveAll([entry]);
        this.#announce(saved);
        return saved.get(entry.deliveryId) ?? null;
      },
    });
  }

  /**
   * @returns once committed: the saved part of the transition; null if there was none
   * @throws if it can't be written when the process stops, or too many can't: the delivery has to be attempted again
   */
  record(entry: RecorderEntry): Promise<SavedTransition | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      if (this.#waiting.length === 1) setImmediate(() => this.#startFlushes());
    });
  }

  /** Waits no longer for outcomes that can't be written. */
  stop(): void {
    this.#setAside.stop();
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
  #takeBatch(): WaitingOutcome[] {
    const batch = new Map<string, WaitingOutcome>();
    const rest: WaitingOutcome[] = [];
    for (const waiting of this.#waiting) {
      const isTaken = batch.size < BATCH_MAX && !batch.has(waiting.entry.deliveryId);
      if (isTaken) batch.set(waiting.entry.deliveryId, waiting);
      else rest.push(waiting);
    }
    this.#waiting = rest;
    return [...batch.values()];
  }

  /** Writes all that can be written, and sets the rest aside. */
  async #flush(batch: WaitingOutcome[]): Promise<void> {
    const error = await this.#write(batch);
    if (error === null) return;
    // One of them may wait for a lock. To find out which would take that time again and again, so each is tried alone.
    if (isTimeout(error) || batch.length === 1) {
      for (const one of batch) this.#setAside.add(one, error);
      return;
    }
    const middle = batch.length >> 1;
    await this.#flush(batch.slice(0, middle));
    await this.#flush(batch.slice(middle));
  }

  /** @returns why some of them can't be written; null: all are */
  async #write(batch: WaitingOutcome[]): Promise<unknown> {
    const entries = batch.map(({ entry }) => entry);
    let timeouts = 0;
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      try {
        const saved = await this.#saveAll(entries);
        for (const { entry, resolve } of batch) resolve(saved.get(entry.deliveryId) ?? null);
        this.#announce(saved);
        return null;
      } catch (error) {
        if (isTimeout(error)) timeouts += 1;
        if (!isFaultOfAll(error) || (timeouts >= TIMEOUTS_MAX && this.#mayBeSetAside(batch))) return error;
        const { log } = this.#options;
        logFailure(log, { level: 'error', error, entries: entries.length, retryInMs: waitMs }, 'recorder.failed');
        await sleep(waitMs);
      }
    }
  }

  /**
   * Without room, a batch that ran out of time is tried again until it can be written: the whole table may be locked. To set
   * more aside would give others up, whose deliveries would be sent again. Each flush may need the same room.
   */
  #mayBeSetAside(batch: WaitingOutcome[]): boolean {
    return this.#setAside.hasRoomFor(batch.length * FLUSHES_MAX);
  }

  #saveAll = (entries: RecorderEntry[]): Promise<Map<string, SavedTransition>> =>
    inTransaction(this.#options.pool, (client) => this.#save(client, entries));

  #announce(saved: Map<string, SavedTransition>) {
    if (saved.size > 0) this.#options.signals.send('posthorn_changes');
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

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code ?? '');

const isTimeout = (error: unknown): boolean => TIMEOUT_CODES.has(codeOf(error));

/** Whether another form of the entry may help. Not after a deadlock (class 40), nor if the database is away or busy. */
const isFaultOfEntry = (error: unknown): boolean => !isFaultOfAll(error) && !codeOf(error).startsWith('40');

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
