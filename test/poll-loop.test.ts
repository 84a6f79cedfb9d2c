import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { createLog } from '../src/log.ts';
import { PollLoop, type PollLoopOptions } from '../src/poll-loop.ts';
import { keepLog } from './support/log-lines.ts';

const log = createLog('silent');

/** Runs a loop until its turns have begun so often. @returns when they began, in milliseconds */
async function runTurns(count: number, options: Partial<PollLoopOptions>, turnMs: number): Promise<number[]> {
  const begun: number[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const turn = async () => {
    begun.push(performance.now());
    if (begun.length === count) resolve();
    await sleep(turnMs);
    return false;
  };
  const loop = new PollLoop({ name: 'test', pollMs: 10, log, turn, ...options });
  loop.start();
  await done;
  await loop.stop();
  return begun;
}

const gapsOf = (times: number[]) => times.slice(1).map((time, index) => time - (times[index] as number));

it('rests after a long turn, so that turns take no more than their share', async () => {
  const gaps = gapsOf(await runTurns(3, { share: 0.1 }, 30));
  for (const gap of gaps) expect(gap).toBeGreaterThan(270);
});

it('rests no longer than it is told to, and no shorter than between short turns', async () => {
  for (const gap of gapsOf(await runTurns(3, { share: 0.0001, restMsMax: 100 }, 30))) {
    expect(gap).toBeGreaterThan(120);
    expect(gap).toBeLessThan(30_000);
  }
  for (const gap of gapsOf(await runTurns(3, { share: 0.9, pollMs: 200 }, 1))) expect(gap).toBeGreaterThan(190);
});

it('a turn that fails again and again for one reason is one line in the log, and one when turns succeed again', async () => {
  const kept = keepLog();
  let turns = 0;
  const turn = async () => {
    turns += 1;
    if (turns <= 3) throw new Error('broken');
    return false;
  };
  const loop = new PollLoop({ name: 'test', pollMs: 1, log: kept.log, turn });
  loop.start();
  await vi.waitFor(() => expect(turns).toBeGreaterThan(4), { timeout: 10_000 });
  await loop.stop();
  expect(kept.lines).toMatchObject([
    { event: 'loop.failed', loop: 'test', error: 'broken' },
    { event: 'loop.recovered', loop: 'test', failures: 3 },
  ]);
});
