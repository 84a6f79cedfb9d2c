import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { logFailure } from '../database-outage.ts';
import { HOUR_SECONDS, MINUTE_SECONDS, MINUTES_KEPT_MS } from '../domain/delivery-stats.ts';
import { CHANGES_KEPT_MS } from '../live/change-log.ts';
import type { Log } from '../log.ts';
import { deleteOldChanges } from '../storage/delete-old-changes.ts';
import { deleteOldEvents, deleteOldFutureEvents } from '../storage/delete-old-events.ts';
import { deleteOldStats } from '../storage/delete-old-stats.ts';
import { inTransaction } from '../storage/transaction.ts';

const INTERVAL_MS = 60_000;
/** Rest between two batches, so that deleting takes the database a fraction of its time. */
const REST_MS = 50;
/**
 * How often events are read again that had to stay when they became old enough. Between two such times, a sweep reads
 * only events that have become old enough since the sweep before.
 */
const REVISIT_MS = 6 * 3_600_000;
const DAY_MS = 86_400_000;
/** Changes outlive the cursors that lead to them: a reader who began in time can finish. */
const CHANGES_MARGIN_MS = 3_600_000;

export interface RetentionOptions {
  pool: Pool;
  log: Log;
  /** Events are kept so long, with their deliveries and attempts, and so are statistics by the hour. */
  retentionDays: number;
}

/** Deletes what is older than it is kept: changes, statistics, and events with all that belongs to them. A little at a time. */
export class Retention {
  readonly #options: RetentionOptions;
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> | null = null;
  #isStopped = false;
  /** UUID of the last event that was read. `null`: none, or all are to be read again. */
  #after: string | null = null;
  #revisitAt = performance.now() + REVISIT_MS;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#sweeping ??= this.#sweep().finally(() => {
        this.#sweeping = null;
      });
    }, INTERVAL_MS);
  }

  /** Resolves when the batch under way is done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  async #sweep() {
    const { pool, log, retentionDays } = this.#options;
    try {
      const unchangedSince = new Date(Date.now() - CHANGES_KEPT_MS - CHANGES_MARGIN_MS);
      const publishedBefore = new Date(Date.now() - retentionDays * DAY_MS);
      await this.#repeat(() => deleteOldChanges(pool, 'delivery_changes', unchangedSince));
      await this.#repeat(() => deleteOldChanges(pool, 'publications', unchangedSince));
      // Not before cursors that lead to them are too old, however short events are kept.
      const endedBefore = new Date(Math.min(publishedBefore.getTime(), unchangedSince.getTime()));
      await this.#repeat(() => deleteOldChanges(pool, 'endpoint_changes', endedBefore));
      await this.#repeat(() => deleteOldStats(pool, MINUTE_SECONDS, new Date(Date.now() - MINUTES_KEPT_MS)));
      await this.#repeat(() => deleteOldStats(pool, HOUR_SECONDS, publishedBefore));
      await this.#deleteEvents({ publishedBefore, unchangedSince });
    } catch (error) {
      logFailure(log, { level: 'warn', error }, 'retention.failed');
    }
  }

  async #deleteEvents(times: { publishedBefore: Date; unchangedSince: Date }) {
    const { pool } = this.#options;
    if (performance.now() >= this.#revisitAt) {
      this.#after = null;
      this.#revisitAt = performance.now() + REVISIT_MS;
    }
    if (this.#after === null) {
      let after: string | null = null;
      await this.#repeat(async () => {
        const old = { ...times, after, now: new Date() };
        after = await inTransaction(pool, (client) => deleteOldFutureEvents(client, old));
        return after !== null;
      });
    }
    await this.#repeat(async () => {
      const old = { ...times, after: this.#after };
      const last = await inTransaction(pool, (client) => deleteOldEvents(client, old));
      this.#after = last ?? this.#after;
      return last !== null;
    });
  }

  /** @param deleteBatch tells whether there may be more */
  async #repeat(deleteBatch: () => Promise<boolean>) {
    while (!this.#isStopped && (await deleteBatch())) await sleep(REST_MS);
  }
}
