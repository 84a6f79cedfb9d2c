import { expect } from 'vitest';
import type { WatchedProcess } from './watched-process.ts';

/** The longest time that a request may block the event loop. */
const BLOCKED_MS_MAX = 250;
/** A busy machine stops a process for a while too: an attack is repeated before it counts. */
const TRIES = 3;

/** Sends a request, and expects that the process answers others meanwhile. @param url of the process, without a path */
export async function expectNotBlocked(
  { server, url }: { server: WatchedProcess; url: string },
  name: string,
  send: () => Promise<unknown>,
): Promise<void> {
  let blockedMs = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES && blockedMs > BLOCKED_MS_MAX; tries += 1) {
    await server.measure();
    const [, health] = await Promise.all([send(), fetch(`${url}/healthz`)]);
    expect(health.status).toBe(200);
    blockedMs = Math.min(blockedMs, (await server.measure()).blockedMs);
  }
  expect(blockedMs, `${name} blocks the event loop`).toBeLessThanOrEqual(BLOCKED_MS_MAX);
}
