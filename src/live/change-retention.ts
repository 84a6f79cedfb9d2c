import type { Pool } from 'pg';
import type { Log } from '../log.ts';
import { CHANGES_KEPT_MS } from './change-feed.ts';

const INTERVAL_MS = 60_000;
/** Rows of one statement: short enough to disturb nobody. */
const BATCH_MAX = 5_000;

/** Deletes changes that are older than {@link CHANGES_KEPT_MS}, a little at a time. */
export class ChangeRetention {
  readonly #pool: Pool;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor({ pool, log }: { pool: Pool; log: Log }) {
    this.#pool = pool;
    this.#log = log;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running = this.#deleteOld();
    }, INTERVAL_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #deleteOld() {
    try {
      const oldest = new Date(Date.now() - CHANGES_KEPT_MS);
      // The oldest stand first in the key, so no index on the time is needed.
      const sql = `delete from delivery_changes where (xid, id) in (
        select xid, id from (select * from delivery_changes order by xid, id limit ${BATCH_MAX}) oldest
        where changed_at < $1)`;
      while ((await this.#pool.query(sql, [oldest])).rowCount === BATCH_MAX);
    } catch (error) {
      this.#log.warn({ error: (error as Error).message }, 'changes.retention_failed');
    }
  }
}
