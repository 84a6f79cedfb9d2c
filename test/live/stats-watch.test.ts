import { afterEach, describe, expect, it, vi } from 'vitest';
import { type LiveCounts, NO_COUNTS, WHOLE_ENVIRONMENT_ID } from '../../src/domain/delivery-stats.ts';
import { StatsWatches, type StatsWatchesOptions } from '../../src/live/stats-watch.ts';
import type { Log } from '../../src/log.ts';
import { until } from '../support/posthorn.ts';

const ENVIRONMENT = 'environment';
const ENDPOINT = 'endpoint';
const INTERVAL_SECONDS = 0.01;

type Range = Parameters<StatsWatchesOptions['readCounts']>[0];

/** A log that grows by one published event with each look, and a delivery to the endpoint. */
function makeLog() {
  const state = { happened: 0, isBroken: false, ranges: [] as Range[] };
  const readCounts = vi.fn(async (range: Range): Promise<LiveCounts> => {
    state.ranges.push(range);
    if (state.isBroken) throw new Error('no connection');
    state.happened += 1;
    const counts = { ...NO_COUNTS, published: state.happened - Number(range.from ?? 0n) };
    return {
      until: BigInt(state.happened),
      environment: counts,
      endpoints: new Map([[ENDPOINT, counts]]),
      waiting: new Map(range.waitingIds.map((id) => [id, { waiting: 7, oldestWaitingAt: null }])),
    };
  });
  const readWaiting = vi.fn(async () => ({ waiting: 9, oldestWaitingAt: null }));
  const warn = vi.fn();
  const watches = new StatsWatches({ readCounts, readWaiting, log: { warn } as unknown as Log });
  return { state, watches, readCounts, readWaiting, warn };
}

const followers: AsyncIterator<unknown>[] = [];

function follow(watches: StatsWatches, endpointId: string | null = null, intervalSeconds = INTERVAL_SECONDS) {
  const target = { environmentId: ENVIRONMENT, endpointId, intervalSeconds };
  const follower = watches.follow(target)[Symbol.asyncIterator]();
  followers.push(follower);
  return {
    next: async () => {
      const { value, done } = await follower.next();
      if (done) throw new Error('It ended.');
      return value;
    },
    end: () => follower.return?.(),
  };
}

afterEach(async () => {
  for (const follower of followers.splice(0)) await follower.return?.();
});

describe('a watch', () => {
  it('tells at once and goes on behind what it has told', async () => {
    const { state, watches } = makeLog();
    const follower = follow(watches);
    const before = Date.now();
    const [first, second, third] = [await follower.next(), await follower.next(), await follower.next()];
    expect(first.stats.from.getTime()).toBeGreaterThanOrEqual(before - INTERVAL_SECONDS * 1_000 - 5);
    expect([first, second, third].map((tick) => tick.stats.published)).toEqual([1, 1, 1]);
    expect(second.stats.from).toEqual(first.stats.to);
    expect(third.stats.from).toEqual(second.stats.to);
    expect(state.ranges.slice(0, 3).map(({ from }) => from)).toEqual([null, 1n, 2n]);
  });

  it('makes one query a tick for all that follow the environment, and gives everyone the identical object', async () => {
    const { watches, state, readCounts, readWaiting } = makeLog();
    const long = 60;
    const ofAll = [1, 2, 3].map(() => follow(watches, null, long));
    const ofOne = [1, 2, 3].map(() => follow(watches, ENDPOINT, long));
    const ticks = await Promise.all([...ofAll, ...ofOne].map((follower) => follower.next()));
    expect(readCounts).toHaveBeenCalledTimes(1);
    expect(new Set(ticks.slice(0, 3)).size).toBe(1);
    expect(new Set(ticks.slice(3)).size).toBe(1);
    expect(ticks[0]?.endpoints).toEqual(ticks[3]?.endpoints);
    // Nobody had asked for the endpoint before the look was taken.
    expect(readWaiting).toHaveBeenCalledTimes(1);
    expect([ticks[0]?.waiting, ticks[3]?.waiting]).toEqual([7, 9]);
    expect(state.happened).toBe(1);
  });

  it('reads what waits of all that are followed along with the counts', async () => {
    const { watches, state, readWaiting } = makeLog();
    const [all, one] = [follow(watches), follow(watches, ENDPOINT)];
    await Promise.all([all.next(), one.next()]);
    const [, tick] = await Promise.all([all.next(), one.next()]);
    expect(tick.waiting).toBe(7);
    expect(readWaiting).toHaveBeenCalledTimes(1);
    expect(state.ranges[1]?.waitingIds.toSorted()).toEqual([WHOLE_ENVIRONMENT_ID, ENDPOINT]);
  });

  it('whose query fails is logged and goes on, and loses no counts', async () => {
    const { watches, state, warn } = makeLog();
    const follower = follow(watches);
    expect((await follower.next()).stats.published).toBe(1);
    state.isBroken = true;
    await until(() => warn.mock.calls.length >= 2, 'faults to be logged');
    expect(warn.mock.calls[0]).toEqual([expect.objectContaining({ error: 'no connection' }), 'watch.failed']);
    state.happened += 10;
    state.isBroken = false;
    let published = 0;
    while (published < 11) {
      published += (await follower.next()).stats.published;
    }
    expect(published).toBeLessThan(14);
    expect(published - 10).toBeGreaterThan(0);
  });

  it('gives who reads slowly the latest tick, and no queue', async () => {
    const { watches, state } = makeLog();
    const slow = follow(watches);
    const first = await slow.next();
    await until(() => state.happened > 5, 'ticks that nobody reads');
    const [second, third] = [await slow.next(), await slow.next()];
    // Ticks were missed between the first and the second.
    expect(second.stats.from.getTime()).toBeGreaterThan(first.stats.to.getTime());
    expect(third.stats.from).toEqual(second.stats.to);
  });

  it('looks no more once nobody listens, and begins anew', async () => {
    const { watches, state, readCounts } = makeLog();
    const [a, b] = [follow(watches), follow(watches, ENDPOINT)];
    await Promise.all([a.next(), b.next()]);
    await a.end();
    await b.next();
    await b.end();
    await watches.stop();
    const calls = readCounts.mock.calls.length;
    const other = follow(watches);
    await other.next();
    expect(state.ranges[calls]?.from).toBe(null);
    await other.end();
    await watches.stop();
    const after = readCounts.mock.calls.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(readCounts).toHaveBeenCalledTimes(after);
  });

  it('that nobody has read from yet has not begun', async () => {
    const { watches, readCounts } = makeLog();
    watches.follow({ environmentId: ENVIRONMENT, endpointId: null, intervalSeconds: 1 });
    await watches.stop();
    expect(readCounts).not.toHaveBeenCalled();
  });
});
