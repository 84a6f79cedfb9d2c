import { useState } from 'react';
import type { CombinedError } from 'urql';
import { usePulse } from '../elements/clock.ts';
import {
  StatsHistoryDocument,
  type StatsPointFragment,
  StatsTicksDocument,
  type StatsTicksSubscription,
  type StatsTotalFragment,
} from '../generated/documents.ts';
import { useSteadyQuery } from '../graphql/use-steady-query.ts';
import { useFollow } from '../live/follow.ts';
import { beginningOf, type StatsWindow } from './stats-window.ts';

/** How often history is read again: its last bucket grows. */
const READ_MS = 5_000;

export interface Stats {
  /** Oldest first. */
  points: StatsPointFragment[];
  total: StatsTotalFragment | null;
  waiting: number | null;
  oldestWaitingAt: string | null;
  error: CombinedError | null;
}

/** What happened in a window that ends now, and goes on with the time. */
export function useStats(window: StatsWindow): Stats {
  const isNow = window.value === 'now';
  const ticks = useTicks(window.seconds);
  const { history, error } = useHistory(window, isNow);
  const latest = ticks.at(-1);
  const waiting = latest?.waiting ?? history?.waiting ?? null;
  const oldestWaitingAt = (latest ?? history)?.oldestWaitingAt ?? null;
  if (!isNow) return { points: history?.buckets ?? [], total: history?.total ?? null, waiting, oldestWaitingAt, error };
  const points = joinPoints(history?.buckets ?? [], ticks, window);
  return { points, total: history && sum(points), waiting, oldestWaitingAt, error };
}

/** Minutes up to when the page was opened, seconds from then on. */
function joinPoints(minutes: StatsPointFragment[], ticks: Tick[], { seconds }: StatsWindow): StatsPointFragment[] {
  const since = new Date(Date.now() - seconds * 1_000).toISOString();
  const begin = ticks[0]?.stats.from ?? new Date().toISOString();
  const points = [...minutes.filter(({ to }) => to <= begin), ...ticks.map(({ stats }) => stats)];
  return points.filter(({ from }) => from >= since);
}

/** @param isOnce the window is read when it is chosen, and not again */
function useHistory(window: StatsWindow, isOnce: boolean) {
  const pulse = usePulse(READ_MS);
  const [chosenAt, setChosenAt] = useState({ window, ms: Date.now() });
  if (chosenAt.window !== window) setChosenAt({ window, ms: Date.now() });
  const endMs = isOnce ? chosenAt.ms : Math.max(pulse, chosenAt.ms);
  const { data, error = null } = useSteadyQuery({
    query: StatsHistoryDocument,
    variables: { from: beginningOf(window, endMs), bucketSeconds: window.bucketSeconds },
    about: window.value,
  });
  return { history: data?.deliveryStats ?? null, error };
}

type Tick = StatsTicksSubscription['deliveryStats'];

/** What was told each second since the page is open, as far as the window reaches. */
function useTicks(seconds: number): Tick[] {
  const [ticks, setTicks] = useState<Tick[]>([]);
  useFollow(
    StatsTicksDocument,
    { intervalSeconds: 1 },
    { onData: ({ deliveryStats }) => setTicks((now) => [...now.slice(-seconds), deliveryStats]) },
  );
  return ticks;
}

/** Of percentiles, the largest: they can't be added up. */
function sum(points: StatsPointFragment[]): StatsTotalFragment {
  const add = (pick: (point: StatsPointFragment) => number) => points.reduce((total, point) => total + pick(point), 0);
  const attempts = add((point) => point.attempts);
  const succeeded = add((point) => (point.successRatio ?? 0) * point.attempts);
  const highest = (name: 'p50' | 'p95' | 'p99') => Math.max(0, ...points.map((point) => point.durationMs?.[name] ?? 0));
  return {
    published: add((point) => point.published),
    delivered: add((point) => point.delivered),
    failed: add((point) => point.failed),
    retried: add((point) => point.retried),
    attempts,
    successRatio: attempts === 0 ? null : succeeded / attempts,
    durationMs: attempts === 0 ? null : { p50: highest('p50'), p95: highest('p95'), p99: highest('p99') },
  };
}
