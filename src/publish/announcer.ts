import type { ClientBase, Pool } from 'pg';
import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import { insertEvents } from '../storage/insert-events.ts';
import { hasUnread, moveLogPosition, takeLogPosition, type UnreadRange } from '../storage/log-position.ts';
import type { MatchedEndpoint } from '../storage/match-endpoints.ts';
import { readNews } from '../storage/read-news.ts';
import type { Signals } from '../storage/signals.ts';
import { inTransaction } from '../storage/transaction.ts';
import { makeOperationalEvents, OPERATIONAL_PATTERNS, type OperationalEvent } from './operational-event.ts';
import { findTakers, planDeliveries, sendDeliveries } from './plan-deliveries.ts';

/** Operational events are so far behind what they tell, or a little more. */
const POLL_MS = 1_000;
/** Changes of one transaction. */
const ROWS_MAX = 2_000;

export interface AnnouncerOptions {
  pool: Pool;
  queue: DeliveryQueue;
  signals: Signals;
  log: Log;
}

/**
 * Publishes operational events: goes through the logs of changes and tells what endpoints asked to be told, each thing
 * once. Every worker has an announcer, and at each turn one of them announces, whoever comes first.
 *
 * There are no loops: a dead letter of an operational event is not announced, and an endpoint is told nothing of itself.
 */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #loop: PollLoop;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    this.#loop = new PollLoop({ name: 'announcer', pollMs: POLL_MS, log: options.log, turn: () => this.#turn() });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #turn(): Promise<boolean> {
    const { pool, signals } = this.#options;
    if (!(await hasUnread(pool, 'announcements'))) return false;
    const { announced, hasMore } = await inTransaction(pool, async (client) => {
      const range = await takeLogPosition(client, 'announcements', ROWS_MAX);
      if (range === null) return { announced: 0, hasMore: false };
      const events = await this.#announce(client, range);
      await moveLogPosition(client, 'announcements', range.until);
      return { announced: events, hasMore: range.hasMore };
    });
    if (announced > 0) {
      signals.send('posthorn_jobs', 'posthorn_changes');
    }
    return hasMore;
  }

  /** @returns how many events it published */
  async #announce(client: ClientBase, range: UnreadRange): Promise<number> {
    const all = makeOperationalEvents(await readNews(client, range, OPERATIONAL_PATTERNS));
    if (all.length === 0) return 0;
    const deliveries = planDeliveries(all, await findTakers(client, all), isAboutAnother);
    // What nobody asked for is not stored.
    const events = all.filter((event) => event.endpointCount > 0);
    if (events.length === 0) return 0;
    const { done } = await sendDeliveries(client, this.#options.queue, deliveries);
    await Promise.all([insertEvents(client, events), done]);
    return events.length;
  }
}

const isAboutAnother = (event: OperationalEvent, endpoint: MatchedEndpoint) =>
  event.aboutEndpointId !== endpoint.endpointId;
