import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Pool } from 'pg';
import { logFailure } from '../database-outage.ts';
import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import { findLogHead, positionOf, readChangesBetween, readSettledChanges, type SettledChanges } from './change-log.ts';
import { type ChangePosition, encodeCursor } from './cursor.ts';
import { QUEUED_CHANGES_MAX, Subscriber } from './subscriber.ts';
import {
  type ChangeBatch,
  type ChangeFilter,
  makeBatch,
  type Round,
  select,
  type Topic,
  TopicIndex,
  topicKey,
} from './topic.ts';

/** Changes of one round: no more than a subscriber's queue takes. */
const ROUND_MAX = QUEUED_CHANGES_MAX;
/** Changes that one who is behind is told at once: more, so that catching up is quick. */
const PAGE_MAX = 1_000;
/** How often the table is looked at when no signal came. */
const POLL_MS = 1_000;
/** How soon it is looked at again when an older transaction holds back what is there. */
const UNSETTLED_MS = 20;
/**
 * To tell a subscriber takes about 0.05 ms of a core, here and in Postgres. So rounds leave it at most about a third of
 * one: with ten subscribers they follow each other after 1.2 ms, with a thousand after 120.
 */
const REST_MS_PER_SUBSCRIBER = 0.12;
/**
 * Publishing and delivering go before the feed: where the whole database has more changes a second than this, rounds rest
 * longer by as much.
 */
const CHANGES_PER_SECOND_BUSY = 400;
const REST_FACTOR_MAX = 3.5;
/** Of the last round, in how much there is to do: a single look says little. */
const RATE_WEIGHT = 0.3;
const REST_MS_MAX = 500;
/** A feed that is quiet for so long sends its cursor again: one that is kept does not grow too old to be good. */
const QUIET_MS = 600_000;
/** Pages that were read for those who are behind: after an interruption, many come back to one place. */
const PAGES_KEPT = 32;
const PAGES_KEPT_MS = 5_000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

export interface ChangeFeedOptions {
  pool: Pool;
  log: Log;
}

/** Reads the change log once for all subscribers of this process, and tells them what is new. */
export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #loop: PollLoop;
  readonly #topics = new TopicIndex();
  /** Pages hold what selections made of them, which is much larger: none stays longer than it is of use. */
  readonly #pages = new LRUCache<string, Promise<ChangeBatch>>({
    max: PAGES_KEPT,
    ttl: PAGES_KEPT_MS,
    ttlAutopurge: true,
  });
  /** Up to where the log was read. */
  #round: Round = { head: { xid: 0n, id: 0n }, at: new Date(0) };
  /** The read under way: who joins meanwhile would miss what it brings. */
  #reading: Promise<unknown> | null = null;
  #restsUntil = 0;
  #countedAt = performance.now();
  /** Of the whole database, over the last rounds. */
  #changesPerSecond = 0;

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
    const turn = () => this.#turn();
    this.#loop = new PollLoop({ name: 'feed', pollMs: POLL_MS, log: options.log, turn });
  }

  /** Finds the end of the log, and follows it from there. */
  async start(): Promise<void> {
    await this.#readOn();
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    for (const topic of this.#topics.topics) topic.close();
  }

  /** Looks at the table now, if anybody listens. */
  wake(): void {
    if (this.#topics.environmentIds.length > 0) this.#loop.wake();
  }

  /**
   * Cursor of an environment at a place that everything has passed which can be read now. It may be up to a second old:
   * who reads a list and goes on from here may be told again what the list shows, and misses nothing.
   */
  cursorOf(environmentId: string): string {
    return encodeCursor({ ...this.#round.head, environmentId, at: this.#round.at });
  }

  /**
   * Every change behind a place that fits the filter, in commit order, for as long as the iteration goes on. While the
   * database can't be reached, it waits.
   *
   * @param after place of a cursor, and its time; null: from now on, which is when this returns
   * @param isGreeted begin with a batch that has no changes
   */
  async subscribe(
    filter: ChangeFilter,
    after: (ChangePosition & { at: Date }) | null,
    { isGreeted = false } = {},
  ): Promise<AsyncIterableIterator<ChangeBatch>> {
    const at = after?.at ?? new Date();
    const head = after ?? (await findLogHead(this.#options.pool));
    return this.#follow(filter, { head, at }, isGreeted);
  }

  /** Written by hand: each step of a generator would be one more for every subscriber and batch. */
  #follow(filter: ChangeFilter, start: Round, isGreeted: boolean): AsyncIterableIterator<ChangeBatch> {
    let joined: Promise<Subscriber> | null = null;
    let first = isGreeted ? makeBatch(filter, [], start) : null;
    const end = { done: true as const, value: undefined };
    return {
      next: async () => {
        joined ??= this.#join(filter, start);
        const subscriber = await joined;
        const value = first ?? (await subscriber.take());
        first = null;
        return value ? { done: false, value } : end;
      },
      return: async () => {
        joined?.then((subscriber) => this.#leave(subscriber));
        return end;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  async #join(filter: ChangeFilter, start: Round): Promise<Subscriber> {
    while (this.#reading) await this.#reading.catch(() => {});
    const topic = this.#topics.open(filter);
    const subscriber = new Subscriber({
      topic,
      start,
      joinedIn: this.#round,
      readBetween: (...range) => this.#readBetween(...range),
    });
    topic.subscribers.add(subscriber);
    this.wake();
    return subscriber;
  }

  /** May be called again: by then, its topic may be another one's. */
  #leave(subscriber: Subscriber) {
    const { topic } = subscriber;
    subscriber.end();
    if (topic.subscribers.delete(subscriber) && topic.subscribers.size === 0) this.#topics.close(topic);
  }

  async #turn(): Promise<boolean> {
    await sleep(Math.max(0, this.#restsUntil - performance.now()));
    const { head } = this.#round;
    const { changes, hasUnsettled } = await this.#readOn();
    this.#countChanges(head);
    const told = this.#topics.distribute(changes, this.#round);
    const factor = Math.min(Math.max(this.#changesPerSecond / CHANGES_PER_SECOND_BUSY, 1), REST_FACTOR_MAX);
    const restMs = Math.min(told * REST_MS_PER_SUBSCRIBER * factor, REST_MS_MAX);
    this.#restsUntil = performance.now() + (hasUnsettled ? Math.max(restMs, UNSETTLED_MS) : restMs);
    this.#refreshCursors();
    return hasUnsettled || changes.length === ROUND_MAX;
  }

  /**
   * Moves the round on in the same turn of the event loop in which the read ends. Whoever joins before it began is told
   * what it brings; who comes meanwhile has to wait, also where nobody listens and only the head is looked for.
   */
  async #readOn(): Promise<SettledChanges> {
    const at = new Date();
    const { environmentIds } = this.#topics;
    const { pool } = this.#options;
    const reading =
      environmentIds.length === 0
        ? findLogHead(pool).then((head) => ({ changes: [], head, hasUnsettled: false, wentBack: false }))
        : readSettledChanges(pool, { after: this.#round.head, environmentIds, max: ROUND_MAX });
    this.#reading = reading;
    try {
      const found: SettledChanges = await reading;
      this.#round = { head: found.head, at: found.changes[ROUND_MAX - 1]?.changedAt ?? at };
      if (found.wentBack) this.#expireAll();
      return found;
    } finally {
      this.#reading = null;
    }
  }

  #expireAll() {
    this.#options.log.warn({}, 'feed.log_replaced');
    this.#pages.clear();
    for (const topic of this.#topics.topics) topic.expire();
  }

  /** IDs of changes count on by one, whatever environment they are of. @param before head of the round before this one */
  #countChanges(before: ChangePosition) {
    const now = performance.now();
    const changes = Math.max(0, Number(this.#round.head.id - before.id));
    const perSecond = (changes * 1_000) / (now - this.#countedAt);
    this.#countedAt = now;
    this.#changesPerSecond += (perSecond - this.#changesPerSecond) * RATE_WEIGHT;
  }

  #refreshCursors() {
    const quietSince = performance.now() - QUIET_MS;
    for (const topic of this.#topics.topics) if (topic.toldAt < quietSince) topic.tell([], this.#round);
  }

  /** A page of the table, as soon as it can be read. Those who are at one place share it. */
  #readBetween(topic: Topic, after: ChangePosition, upTo: Round): Promise<ChangeBatch> {
    const key = `${topicKey(topic.filter)} ${after.xid} ${after.id}`;
    const kept = this.#pages.get(key);
    if (kept) return kept;
    const page = this.#readPage(topic, after, upTo).then((batch) => {
      // All who wanted it have left. Who takes it for a page would come back for it, again and again.
      if (!batch) this.#pages.delete(key);
      return batch ?? makeBatch(topic.filter, [], { head: after, at: upTo.at });
    });
    this.#pages.set(key, page);
    return page;
  }

  /** @returns null where nobody waits for it any more */
  async #readPage(topic: Topic, after: ChangePosition, upTo: Round): Promise<ChangeBatch | null> {
    const { filter, subscribers } = topic;
    const query = { environmentId: filter.environmentId, after, upTo: upTo.head, max: PAGE_MAX };
    for (let waitMs = RETRY_MS_MIN; subscribers.size > 0; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      try {
        const changes = await readChangesBetween(this.#options.pool, query);
        const last = changes[PAGE_MAX - 1];
        const round = last ? { head: positionOf(last), at: last.changedAt } : { ...upTo };
        return makeBatch(filter, select(changes, filter), round);
      } catch (error) {
        logFailure(this.#options.log, { level: 'warn', error, retryInMs: waitMs }, 'feed.read_failed');
        await sleep(waitMs);
      }
    }
    return null;
  }
}
