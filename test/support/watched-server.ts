// A Posthorn that tells how long its event loop was blocked, and how much memory it has. Started with an IPC channel and
// --expose-gc by test/expensive-requests.test.ts.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { startPosthorn } from '../../src/main.ts';

/** What the process tells when it is asked. */
export interface Measured {
  url: string;
  /** The longest time that the event loop was blocked since it was asked last. */
  blockedMs: number;
  heapBytes: number;
  rssBytes: number;
}

const RESOLUTION_MS = 5;

const config = readConfig(process.env);
const posthorn = await startPosthorn(config, createLog(config.logLevel));
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delays.enable();

process.on('message', async () => {
  // A block shows up when the timer behind the monitor fires after it.
  await sleep(2 * RESOLUTION_MS);
  const blockedMs = Math.max(0, delays.max / 1e6 - RESOLUTION_MS);
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  await sleep(2 * RESOLUTION_MS);
  delays.reset();
  const measured: Measured = { url: posthorn.url, blockedMs, heapBytes: heapUsed + external, rssBytes: rss };
  process.send?.(measured);
});
process.send?.('started');
