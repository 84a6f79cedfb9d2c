import { setTimeout as sleep } from 'node:timers/promises';
import { startWorker } from './processes.ts';

/** A message to the watchers' process. */
export type WatcherRequest =
  | { ask: 'open'; url: string; environmentId: string; count: number }
  | { ask: 'reset' | 'report' | 'close' };

/** What the clients were told since the last reset. */
export interface WatcherReport {
  /** How many changes each was told. */
  changes: number[];
  /** From the time that a change carries, which is before its commit, to its arrival at a client. */
  latenciesMs: number[];
}

/** The process that has the clients of the live feed. */
export interface Watchers {
  /** Opens so many WebSockets that follow an environment. @param url of the server, without a path */
  open(url: string, environmentId: string, count: number): Promise<void>;
  reset(): Promise<void>;
  report(): Promise<WatcherReport>;
  close(): Promise<void>;
  stop(): Promise<void>;
}

export async function startWatchers(): Promise<Watchers> {
  const worker = startWorker('support/watchers.ts', []);
  await worker.next();
  const ask = <Answer>(request: WatcherRequest) => worker.ask<Answer>(request);
  return {
    open: async (url, environmentId, count) => void (await ask({ ask: 'open', url, environmentId, count })),
    reset: async () => void (await ask({ ask: 'reset' })),
    report: () => ask({ ask: 'report' }),
    close: async () => void (await ask({ ask: 'close' })),
    stop: () => worker.stop(),
  };
}

const POLL_MS = 200;
const TIME_MAX_MS = 60_000;

/**
 * Waits until every client was told so many changes.
 *
 * @param between is done before each look. @default waits a moment
 */
export async function waitUntilTold(
  watchers: Watchers,
  changes: number,
  between: () => Promise<void> = () => sleep(POLL_MS),
): Promise<WatcherReport> {
  const deadline = Date.now() + TIME_MAX_MS;
  while (Date.now() < deadline) {
    await between();
    const report = await watchers.report();
    if (report.changes.every((told) => told >= changes)) return report;
  }
  throw new Error(`Not every client was told ${changes} changes within ${TIME_MAX_MS} ms.`);
}

/** The columns of a row that tell what clients missed or were told twice, in all. */
export const toToldColumns = ({ changes }: WatcherReport, expected: number) => ({
  lost: changes.reduce((sum, told) => sum + Math.max(0, expected - told), 0),
  repeated: changes.reduce((sum, told) => sum + Math.max(0, told - expected), 0),
});
