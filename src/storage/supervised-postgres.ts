import { setTimeout as sleep } from 'node:timers/promises';
import { StartupError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from './embedded-postgres.ts';

/** Restarts in a row. A server that ran for {@link STABLE_MS} begins a new row. */
const RESTARTS_MAX = 5;
const STABLE_MS = 60_000;
/** Rest before the first restart of a row. It doubles with each. */
const REST_MS_MIN = 250;

export interface SupervisedPostgres {
  /** Connection string of the database. It stays the same over restarts. */
  url: string;
  /** Resolves with the reason if the server ended and cannot be restarted. */
  failed: Promise<StartupError>;
  /** Ends all connections and stops the server, also one that is being restarted. */
  stop(): Promise<void>;
}

/**
 * Starts the embedded Postgres and restarts it if its main process ends, on the same port, so that connections are
 * established again as after any other outage.
 *
 * ```
 * running ── the process ends ──► restarting ── ready ──► running
 *    │                                │ └── not ready RESTARTS_MAX times ──► failed
 *    └──────── stop ──► stopped ◄─────┘
 * ```
 *
 * @throws {StartupError} if the first start fails
 */
export async function superviseEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
  log: Log,
): Promise<SupervisedPostgres> {
  const stopping = new AbortController();
  const first = await startEmbeddedPostgres(options);
  const sameAgain = { ...options, port: Number(new URL(first.url).port), signal: stopping.signal };
  const failed = Promise.withResolvers<StartupError>();
  const supervision = keepRunning(first, sameAgain, log).then((reason) => {
    if (reason) failed.resolve(reason);
  });
  return {
    url: first.url,
    failed: failed.promise,
    stop: async () => {
      stopping.abort();
      await supervision;
    },
  };
}

type RestartOptions = EmbeddedPostgresOptions & { signal: AbortSignal };

/** @returns why it cannot be restarted. `null`: it was stopped */
async function keepRunning(first: EmbeddedPostgres, options: RestartOptions, log: Log): Promise<StartupError | null> {
  const { signal } = options;
  let restarts = 0;
  let reason = 'it ended again and again';
  for (let postgres: EmbeddedPostgres | null = first; ; ) {
    if (postgres) {
      const startedAt = performance.now();
      const ending = await endOf(postgres, signal);
      if (ending === null) return null;
      if (performance.now() - startedAt > STABLE_MS) restarts = 0;
      log.error({ ...ending, pid: postgres.pid }, 'postgres.ended');
    }
    if (restarts >= RESTARTS_MAX) break;
    await sleep(REST_MS_MIN * 2 ** restarts, undefined, { signal }).catch(() => {});
    restarts += 1;
    try {
      postgres = await startEmbeddedPostgres(options);
      log.warn({ pid: postgres.pid }, 'postgres.restarted');
    } catch (error) {
      if (signal.aborted) return null;
      postgres = null;
      reason = (error as Error).message;
      log.error({ error: reason, restarts, restartsMax: RESTARTS_MAX }, 'postgres.restart_failed');
    }
  }
  return new StartupError(`The embedded Postgres ended and cannot be restarted (${reason}). Posthorn stops.`);
}

/** Waits until the server ends. @returns how. `null`: it was stopped */
async function endOf(postgres: EmbeddedPostgres, signal: AbortSignal): Promise<{ code: number | null } | null> {
  const aborted = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const ending = await Promise.race([aborted, postgres.exited]);
  if (ending === null) await postgres.stop();
  return ending;
}
