import type { Pool } from 'pg';
import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import { countChanges } from '../storage/count-changes.ts';
import { hasUnread, moveLogPosition, takeLogPosition } from '../storage/log-position.ts';
import { inTransaction } from '../storage/transaction.ts';

/** Statistics are so far behind what happened, or a little more, where few endpoints are busy. */
const POLL_MS = 1_000;
/** A turn takes as long as there are busy endpoints: with a thousand, 150 ms or so. So it rests for longer then. */
const SHARE = 0.05;
const REST_MS_MAX = 5_000;
/** Changes of one transaction, and publications. */
const ROWS_MAX = 50_000;

export interface StatsKeeperOptions {
  pool: Pool;
  log: Log;
}

/**
 * Keeps the statistics: counts what the change log tells, each change once. Every worker has a keeper, and at each turn
 * one of them counts, whoever comes first.
 */
export class StatsKeeper {
  readonly #pool: Pool;
  readonly #loop: PollLoop;

  constructor({ pool, log }: StatsKeeperOptions) {
    this.#pool = pool;
    this.#loop = new PollLoop({
      name: 'stats-keeper',
      pollMs: POLL_MS,
      share: SHARE,
      restMsMax: REST_MS_MAX,
      log,
      turn: () => this.#turn(),
    });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #turn(): Promise<boolean> {
    if (!(await hasUnread(this.#pool, 'statistics'))) return false;
    return inTransaction(this.#pool, async (client) => {
      const range = await takeLogPosition(client, 'statistics', ROWS_MAX);
      if (range === null) return false;
      await countChanges(client, range);
      await moveLogPosition(client, 'statistics', range.until);
      return range.hasMore;
    });
  }
}
