import { logFailure } from './database-outage.ts';
import type { Log } from './log.ts';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

export interface PollLoopOptions {
  /** For log lines. */
  name: string;
  /** Longest time between two turns, where they are short. */
  pollMs: number;
  /** Share of the time that turns may take: after a longer one the loop rests for longer than `pollMs`. @default 1 */
  share?: number;
  /** But no longer than this. @default as long as the share asks for */
  restMsMax?: number;
  log: Log;
  /** One piece of work. @returns whether there may be more at once */
  turn: () => Promise<boolean>;
}

/** Does a piece of work again and again: at once while there is more, when woken, and from time to time. */
export class PollLoop {
  readonly #options: PollLoopOptions;
  #isStopped = true;
  #isWoken = false;
  #wakeUp: (() => void) | undefined;
  #done: Promise<void> = Promise.resolve();
  /** The fault that turns end with now; undefined: the last turn succeeded, or the database was away. */
  #failure: { message: string; startedAt: number; count: number } | undefined;

  constructor(options: PollLoopOptions) {
    this.#options = options;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  start(): void {
    this.#isStopped = false;
    this.#done = this.#run();
  }

  /** Resolves when the turn under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wakeUp?.();
    await this.#done;
  }

  /** Makes the next turn begin now, or right after the one under way. */
  wake(): void {
    this.#isWoken = true;
    this.#wakeUp?.();
  }

  async #run() {
    let retryMs = RETRY_MS_MIN;
    while (!this.#isStopped) {
      this.#isWoken = false;
      try {
        const startedAt = performance.now();
        const hasMore = await this.#options.turn();
        retryMs = RETRY_MS_MIN;
        this.#logRecovery();
        if (!hasMore && !this.#isWoken) await this.#wait(this.#restMs(performance.now() - startedAt));
      } catch (error) {
        this.#logFailure(error as Error);
        await this.#wait(retryMs);
        // Descriptors become free at any moment.
        const isShort = /^E[MN]FILE$/.test((error as NodeJS.ErrnoException).code ?? '');
        retryMs = isShort ? RETRY_MS_MIN : Math.min(retryMs * 2, RETRY_MS_MAX);
      }
    }
  }

  /** Once for a fault that stays the same. */
  #logFailure(error: Error) {
    const { log, name } = this.#options;
    const failure = this.#failure;
    if (failure?.message === error.message) failure.count += 1;
    else if (logFailure(log, { level: 'error', error, loop: name }, 'loop.failed')) {
      const startedAt = failure?.startedAt ?? performance.now();
      this.#failure = { message: error.message, startedAt, count: (failure?.count ?? 0) + 1 };
    }
  }

  #logRecovery() {
    if (!this.#failure) return;
    const { startedAt, count } = this.#failure;
    this.#failure = undefined;
    const durationMs = Math.round(performance.now() - startedAt);
    this.#options.log.info({ loop: this.#options.name, durationMs, failures: count }, 'loop.recovered');
  }

  #restMs(turnMs: number): number {
    const { pollMs, share = 1, restMsMax = Number.POSITIVE_INFINITY } = this.#options;
    return Math.max(pollMs, Math.min(turnMs / share - turnMs, restMsMax));
  }

  async #wait(ms: number) {
    if (this.#isStopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wakeUp = undefined;
  }
}
