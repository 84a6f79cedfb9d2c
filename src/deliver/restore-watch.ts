import type { Pool } from 'pg';
import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import { areLogsForeign, rebaseLogs } from '../storage/rebase-logs.ts';

/** A process that runs on while its database is replaced notices within this time. */
const POLL_MS = 5_000;

export interface RestoreWatchOptions {
  pool: Pool;
  log: Log;
}

/**
 * Notices that the database was restored into another cluster, and rebases its logs. Every process has one: whichever
 * comes first rebases, and the others wait for it.
 */
export class RestoreWatch {
  readonly #options: RestoreWatchOptions;
  readonly #loop: PollLoop;

  constructor(options: RestoreWatchOptions) {
    this.#options = options;
    this.#loop = new PollLoop({
      name: 'restore-watch',
      pollMs: POLL_MS,
      log: options.log,
      turn: async () => {
        await this.#rebase();
        return false;
      },
    });
  }

  /** Resolves when the logs are those of this cluster. */
  async start(): Promise<void> {
    await this.#rebase();
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /** @throws {Error} if the logs have yet to be rebased: statistics and feeds stand still until then */
  async check(): Promise<void> {
    if (await areLogsForeign(this.#options.pool)) throw new Error('The logs of a restored database are being rebased.');
  }

  async #rebase() {
    const { pool, log } = this.#options;
    if (!(await areLogsForeign(pool))) return;
    log.warn({}, 'database.restore_found');
    const rebased = await rebaseLogs(pool);
    if (rebased) log.warn({ ...rebased }, 'database.rebased');
  }
}
