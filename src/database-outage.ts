import { isDatabaseUnavailable } from './database-errors.ts';
import type { Log } from './log.ts';

const PROBE_MS_MIN = 100;
const PROBE_MS_MAX = 1_000;

/** @returns whether the database answers; rejects if it does not */
type Probe = () => Promise<unknown>;

/** The outage of one process' database, as its log tells it: one line when it begins, one when it ends. */
class OutageWatch {
  readonly #log: Log;
  readonly probes = new Set<Probe>();
  #startedAt: number | null = null;
  #failures = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Something failed because the database is unavailable. Begins an outage, unless there is one. */
  report(error: unknown): void {
    // Without a pool, Posthorn is stopping: that is not an outage.
    if (this.probes.size === 0) return;
    this.#failures += 1;
    if (this.#startedAt !== null) return;
    this.#startedAt = performance.now();
    this.#log.error({ error: (error as Error).message }, 'database.unavailable');
    void this.#probeUntilAvailable(this.#startedAt);
  }

  async #probeUntilAvailable(startedAt: number) {
    for (let waitMs = PROBE_MS_MIN; ; waitMs = Math.min(waitMs * 2, PROBE_MS_MAX)) {
      await new Promise((resolve) => setTimeout(resolve, waitMs).unref());
      const [probe] = this.probes;
      if (!probe) break;
      const isAvailable = await probe().then(
        () => true,
        (error) => !isDatabaseUnavailable(error),
      );
      if (!isAvailable) continue;
      const durationMs = Math.round(performance.now() - startedAt);
      this.#log.info({ durationMs, failures: this.#failures }, 'database.available');
      break;
    }
    this.#startedAt = null;
    this.#failures = 0;
  }
}

const watches = new WeakMap<Log, OutageWatch>();

/**
 * Lets {@link logFailure} collapse the failures of an outage.
 *
 * @param log the log of the process; whatever reports failures to it takes part
 * @param probe asks the database whether it answers
 * @returns a function that ends it. After the last one, failures are not logged: the process stops
 */
export function watchDatabase(log: Log, probe: Probe): () => void {
  const watch = watches.get(log) ?? new OutageWatch(log);
  watches.set(log, watch);
  watch.probes.add(probe);
  return () => watch.probes.delete(probe);
}

/**
 * Logs that something failed that will be tried again. If it failed because the database is unavailable, the log gets one line for
 * the whole outage (`database.unavailable`), and one when it is over (`database.available`, with its duration).
 *
 * @param fields what else to say, beside the error's message
 * @returns whether the line is of this failure, and not of an outage
 */
export function logFailure(
  log: Log,
  { level, error, ...fields }: { level: 'warn' | 'error'; error: unknown } & Record<string, unknown>,
  event: string,
): boolean {
  const watch = watches.get(log);
  if (watch && isDatabaseUnavailable(error)) {
    watch.report(error);
    return false;
  }
  log[level]({ ...fields, error: (error as Error).message }, event);
  return true;
}
