import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseUnavailable } from '../database-errors.ts';
import { DatabaseUnavailableError, StartupError } from '../errors.ts';
import type { Log } from '../log.ts';
import { describeStartFailure } from './connect-failure.ts';

const ADVICE = 'POSTHORN_DATABASE_WAIT_MS sets how long a start waits for it.';
const RETRY_MS = { min: 250, max: 5_000 };

export interface DatabaseWaitOptions {
  log: Log;
  signal?: AbortSignal | undefined;
  /** Longest time that an unreachable database is waited for. 0: not at all. */
  databaseWaitMs: number;
}

/**
 * Repeats work of a start while Postgres can't be reached, and logs it.
 *
 * @throws {DatabaseUnavailableError} if Postgres is still away after `databaseWaitMs`. Other errors of the work are not caught
 */
export async function waitForDatabase<T>(
  work: () => Promise<T>,
  { log, signal, databaseWaitMs }: DatabaseWaitOptions,
): Promise<T> {
  const startedAt = performance.now();
  for (let retryInMs = RETRY_MS.min; ; retryInMs = Math.min(retryInMs * 2, RETRY_MS.max)) {
    signal?.throwIfAborted();
    try {
      return await orAborted(work(), signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isDatabaseAway(error)) throw error;
      const waitedMs = Math.round(performance.now() - startedAt);
      const { message } = describeStartFailure(error) as Error;
      if (waitedMs + retryInMs > databaseWaitMs) {
        throw new DatabaseUnavailableError(`${message} ${ADVICE}`, { cause: error });
      }
      log.warn({ error: message, waitedMs, retryInMs, databaseWaitMs }, 'database.waiting');
      await sleep(retryInMs, undefined, { signal });
    }
  }
}

/** Rejects when `signal` is aborted, even if the work goes on: connecting may take 10 s. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
    work.catch(() => {});
  }
}

/** Whether work failed because Postgres can't be reached at the moment. A refusal may be caused by a similar error. */
export const isDatabaseAway = (error: unknown): boolean =>
  error instanceof StartupError ? error instanceof DatabaseUnavailableError : isDatabaseUnavailable(error);
