import { Repeater } from '@repeaterjs/repeater';
import { logFailure } from '../database-outage.ts';
import type { Log } from '../log.ts';
import type { Look } from './look.ts';

/** After a look that failed, the next one is taken so soon at the latest. */
const RETRY_MS = 1_000;

/** Takes looks, each knowing the one before; null: it is the first. */
export type LookTaker<Item> = (previous: Look<Item> | null) => Promise<Look<Item>>;

/** Watches that all who want the same share: each looks at the database from time to time while anybody follows it. */
export class SharedWatches<Item> {
  readonly #log: Log;
  readonly #versionOf: (item: Item) => unknown;
  readonly #watches = new Map<string, Watch<Item>>();
  /** Watches whose last look may still be under way. */
  readonly #ending = new Set<Promise<void>>();

  /** @param versionOf of an item: one of the version that was told last is not told. @default every item is told */
  constructor(log: Log, versionOf: (item: Item) => unknown = (item) => item) {
    this.#log = log;
    this.#versionOf = versionOf;
  }

  /** Ends all watches. Resolves when no look is under way. */
  async stop(): Promise<void> {
    for (const watch of this.#watches.values()) watch.end();
    this.#watches.clear();
    await Promise.all(this.#ending);
  }

  /**
   * Follows one ID: its item of the latest look, at once where there is one, and then of each that has another version. Who
   * does not ask in time misses looks and gets the latest.
   *
   * @param key of the watch
   * @param begin called where nobody follows that watch yet
   */
  follow(
    { key, id, intervalMs }: { key: string; id: string; intervalMs: number },
    begin: () => LookTaker<Item>,
  ): AsyncIterable<Item> {
    return new Repeater<Item>(async (push, stop) => {
      const watch = this.#watches.get(key) ?? this.#start(key, intervalMs, begin());
      let isStopped = false;
      let wakeUp = () => {};
      const waker = () => wakeUp();
      stop.then(() => {
        isStopped = true;
        wakeUp();
      });
      watch.wakers.add(waker);
      try {
        let seen: Look<Item> | null = null;
        let told: unknown;
        while (!isStopped) {
          if (watch.latest === seen) {
            await new Promise<void>((resolve) => {
              wakeUp = resolve;
            });
            continue;
          }
          seen = watch.latest;
          const item: Item | null = (await seen?.itemFor(id)) ?? null;
          if (item === null || isStopped) continue;
          const version = this.#versionOf(item);
          if (version === told) continue;
          told = version;
          await push(item);
        }
      } finally {
        watch.wakers.delete(waker);
        if (watch.wakers.size === 0) this.#end(key, watch);
      }
    });
  }

  #start(key: string, intervalMs: number, take: LookTaker<Item>): Watch<Item> {
    const watch = new Watch({ key, intervalMs, take, log: this.#log });
    this.#watches.set(key, watch);
    const done = watch.run().finally(() => this.#ending.delete(done));
    this.#ending.add(done);
    return watch;
  }

  #end(key: string, watch: Watch<Item>) {
    watch.end();
    if (this.#watches.get(key) === watch) this.#watches.delete(key);
  }
}

interface WatchOptions<Item> {
  /** For log lines. */
  key: string;
  intervalMs: number;
  take: LookTaker<Item>;
  log: Log;
}

/** Takes a look at once, and then one each interval, until it is ended. */
class Watch<Item> {
  readonly wakers = new Set<() => void>();
  latest: Look<Item> | null = null;
  readonly #options: WatchOptions<Item>;
  #isEnded = false;
  #cutShort = () => {};

  constructor(options: WatchOptions<Item>) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { key, intervalMs, take, log } = this.#options;
    let nextAt = performance.now();
    while (!this.#isEnded) {
      nextAt = Math.max(nextAt + intervalMs, performance.now());
      try {
        this.latest = await take(this.latest);
        for (const wakeUp of this.wakers) wakeUp();
      } catch (error) {
        logFailure(log, { level: 'warn', error, watch: key }, 'watch.failed');
        nextAt = Math.min(nextAt, performance.now() + RETRY_MS);
      }
      await this.#wait(nextAt - performance.now());
    }
  }

  end(): void {
    this.#isEnded = true;
    this.#cutShort();
  }

  async #wait(ms: number) {
    if (this.#isEnded) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#cutShort = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
