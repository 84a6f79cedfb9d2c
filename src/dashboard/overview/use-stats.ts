import { useEffect, useRef, useState } from 'react';
import { type CombinedError, useQuery } from 'urql';
import {
  StatsHistoryDocument,
  type StatsPointFragment,
  StatsTicksDocument,
  type StatsTicksSubscription,
  type StatsTotalFragment,
} from '../generated/documents.ts';
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
  const [{ data, error }, read] = useHistory(window, isNow);
  useEffect(() => {
    if (isNow) return;
    const timer = setInterval(read, READ_MS);
    return () => clearInterval(timer);
  }, [isNow, read]);
  const latest = ticks.at(-1);
  const history = data?.deliveryStats;
  const waiting = latest?.waiting ?? history?.waiting ?? null;
  const oldestWaitingAt = (latest ?? history)?.oldestWaitingAt ?? null;
  if (!isNow) {
    return {
      points: history?.buckets ?? [],
      total: history?.total ?? null,
      waiting,
      oldestWaitingAt,
      error: error ?? null,
    };
  }
  const points = ticks.map(({ stats }) => stats);
  return { points, total: latest ? sum(points) : null, waiting, oldestWaitingAt, error: null };
}

function useHistory(window: StatsWindow, pause: boolean) {
  const [from, setFrom] = useState(() => ({ window, at: beginningOf(window) }));
  const at = from.window === window ? from.at : beginningOf(window);
  const [result] = useQuery({
    query: StatsHistoryDocument,
    variables: { from: at, bucketSeconds: window.bucketSeconds },
    pause,
    requestPolicy: 'network-only',
  });
  const read = useRef(() => {});
  read.current = () => setFrom({ window, at: beginningOf(window) });
  const readLatest = useRef(() => read.current()).current;
  // While the next answer is on its way, the last one stays.
  const last = useRef<{ window: StatsWindow; data: typeof result.data }>(undefined);
  if (result.data) last.current = { window, data: result.data };
  const data = result.data ?? (last.current?.window === window ? last.current.data : undefined);
  return [{ data, error: result.error }, readLatest] as const;
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
