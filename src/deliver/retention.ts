import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { HOUR_SECONDS, MINUTE_SECONDS, MINUTES_KEPT_MS } from '../domain/delivery-stats.ts';
import { CHANGES_KEPT_MS } from '../live/change-log.ts';
import type { Log } from '../log.ts';
import { deleteOldChanges } from '../storage/delete-old-changes.ts';
import { deleteOldEvents } from '../storage/delete-old-events.ts';
import { deleteOldStats } from '../storage/delete-old-stats.ts';
import { inTransaction } from '../storage/transaction.ts';

const INTERVAL_MS = 60_000;
/** Rest between two batches, so that deleting takes the database a fraction of its time. */
const REST_MS = 50;
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
      await this.#repeat(() => deleteOldChanges(pool, 'endpoint_changes', publishedBefore));
      await this.#repeat(() => deleteOldStats(pool, MINUTE_SECONDS, new Date(Date.now() - MINUTES_KEPT_MS)));
      await this.#repeat(() => deleteOldStats(pool, HOUR_SECONDS, publishedBefore));
      let after: string | null = null;
      await this.#repeat(async () => {
        const range = { publishedBefore, unchangedSince, after };
        after = await inTransaction(pool, (client) => deleteOldEvents(client, range));
        return after !== null;
      });
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'retention.failed');
    }
  }

  /** @param deleteBatch tells whether there may be more */
  async #repeat(deleteBatch: () => Promise<boolean>) {
    while (!this.#isStopped && (await deleteBatch())) await sleep(REST_MS);
  }
}
