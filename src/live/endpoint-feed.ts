import { setTimeout as sleep } from 'node:timers/promises';
import { Repeater } from '@repeaterjs/repeater';
import type { Pool } from 'pg';
import { logFailure } from '../database-outage.ts';
import { RequestError } from '../errors.ts';
import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import { isKept } from './change-log.ts';
import { type ChangePosition, comparePositions, encodeCursor } from './cursor.ts';
import {
  type EndpointChange,
  type EndpointChangeFilter,
  findEndpointLogHead,
  hasEndpointChange,
  readEndpointChanges,
} from './endpoint-log.ts';
import { EXPIRED_MESSAGE } from './subscriber.ts';

/** Changes that one is told at once. */
const PAGE_MAX = 500;
/** How often the table is looked at when no signal came. */
const POLL_MS = 1_000;
/** Signals tell of deliveries, which are many: so the table is looked at no more often than this. */
const LOOK_MS = 200;
/** A feed that is quiet for so long sends its cursor again: one that is kept does not grow too old to be good. */
const QUIET_MS = 600_000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

/** What a subscriber is told at once. */
export interface EndpointChangeBatch {
  /** In commit order; empty where nothing happened for long, and the cursor would grow old. */
  changes: EndpointChange[];
  cursor: string;
}

export interface EndpointFeedOptions {
  pool: Pool;
  log: Log;
}

/**
 * Tells what happens to endpoints. That is seldom, so each subscriber reads for itself, and one look a turn tells all of
 * them that there is something to read.
 */
export class EndpointFeed {
  readonly #options: EndpointFeedOptions;
  readonly #loop: PollLoop;
  readonly #followers = new Set<Follower>();
  #head: ChangePosition = { xid: 0n, id: 0n };
  #wokenAt = performance.now();

  constructor(options: EndpointFeedOptions) {
    this.#options = options;
    this.#loop = new PollLoop({ name: 'endpoint-feed', pollMs: POLL_MS, log: options.log, turn: () => this.#turn() });
  }

  start(): void {
    this.#loop.start();
  }

  /** Ends all subscriptions. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    this.#wakeAll();
  }

  /** Looks at the table now, if anybody listens. */
  wake(): void {
    if (this.#followers.size > 0) this.#loop.wake();
  }

  /**
   * Every change behind a place that fits the filter, in commit order. While the database can't be reached, it waits.
   *
   * @param after place of a cursor, and its time; null: from now on, which is when this returns
   */
  async subscribe(
    filter: EndpointChangeFilter,
    after: (ChangePosition & { at: Date }) | null,
  ): Promise<AsyncIterableIterator<EndpointChangeBatch>> {
    const start = after ?? (await findEndpointLogHead(this.#options.pool)) ?? { xid: 0n, id: 0n };
    return new Repeater<EndpointChangeBatch>(async (push, stop) => {
      const follower = new Follower(stop);
      this.#followers.add(follower);
      try {
        await this.#tell(filter, start, { push, follower });
      } finally {
        this.#followers.delete(follower);
      }
    });
  }

  async #tell(
    filter: EndpointChangeFilter,
    start: ChangePosition,
    { push, follower }: { push: (batch: EndpointChangeBatch) => Promise<unknown>; follower: Follower },
  ) {
    let position = start;
    let toldAt = performance.now();
    while (!this.#loop.isStopped && !follower.isStopped) {
      if (follower.isExpired) throw new RequestError('CURSOR_EXPIRED', EXPIRED_MESSAGE);
      const woken = follower.listen();
      const at = new Date();
      const changes = await this.#read(filter, position, follower);
      const isFull = changes.length === PAGE_MAX;
      const last = changes.at(-1);
      if (last || performance.now() - toldAt > QUIET_MS) {
        if (last) position = { xid: last.xid, id: last.id, changedAt: last.changedAt };
        toldAt = performance.now();
        const cursorAt = isFull && last ? last.changedAt : at;
        await push({
          changes,
          cursor: encodeCursor({ ...position, environmentId: filter.environmentId, at: cursorAt }),
        });
      }
      if (!isFull) await woken;
    }
  }

  async #read(filter: EndpointChangeFilter, after: ChangePosition, follower: Follower): Promise<EndpointChange[]> {
    const { pool, log } = this.#options;
    for (let waitMs = RETRY_MS_MIN; !follower.isStopped; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      try {
        return await readEndpointChanges(pool, filter, { after, max: PAGE_MAX });
      } catch (error) {
        logFailure(log, { level: 'warn', error, retryInMs: waitMs }, 'endpoint_feed.read_failed');
        await sleep(waitMs);
      }
    }
    return [];
  }

  async #turn(): Promise<boolean> {
    if (this.#followers.size === 0) return false;
    const { pool, log } = this.#options;
    if (isKept(this.#head) && !(await hasEndpointChange(pool, this.#head))) {
      log.warn({}, 'endpoint_feed.log_replaced');
      this.#head = { xid: 0n, id: 0n };
      for (const follower of this.#followers) follower.isExpired = true;
    }
    const head = await findEndpointLogHead(pool);
    const isNew = head !== null && comparePositions(head, this.#head) > 0;
    if (isNew || performance.now() - this.#wokenAt > QUIET_MS) {
      this.#head = head ?? this.#head;
      this.#wokenAt = performance.now();
      this.#wakeAll();
    }
    await sleep(LOOK_MS);
    return false;
  }

  #wakeAll() {
    for (const follower of this.#followers) follower.wake();
  }
}

/** Somebody who is told: waits to be woken, and ends when the client stops it. */
class Follower {
  isStopped = false;
  /** The log was replaced by an older state of it. */
  isExpired = false;
  #wakeUp = () => {};

  constructor(stop: Promise<unknown>) {
    stop.then(() => {
      this.isStopped = true;
      this.#wakeUp();
    });
  }

  readonly wake = (): void => this.#wakeUp();

  /** @returns what resolves when it is woken from now on */
  listen(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeUp = resolve;
    });
  }
}
