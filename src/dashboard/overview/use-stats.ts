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
/** Ticks that are kept: those of five minutes. */
const TICKS_MAX = 300;
/** Ticks that follow one another leave less between them. */
const GAP_MS = 3_000;

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
  const { ticks, begin } = useTicks();
  const { history, error } = useHistory(window, isNow ? begin : null);
  const latest = ticks.at(-1);
  const waiting = latest?.waiting ?? history?.waiting ?? null;
  const oldestWaitingAt = (latest ?? history)?.oldestWaitingAt ?? null;
  if (!isNow) return { points: history?.buckets ?? [], total: history?.total ?? null, waiting, oldestWaitingAt, error };
  const points = joinPoints(history?.buckets ?? [], ticks, window);
  return { points, total: history && sum(points), waiting, oldestWaitingAt, error };
}

/** Minutes up to the first tick, of which the last is one in part, and seconds from then on. */
function joinPoints(minutes: StatsPointFragment[], ticks: Tick[], { seconds }: StatsWindow): StatsPointFragment[] {
  const since = new Date(Date.now() - seconds * 1_000).toISOString();
  const begin = ticks[0]?.stats.from ?? new Date().toISOString();
  const before = minutes
    .filter(({ from }) => from < begin)
    .map((minute) => (minute.to > begin ? { ...minute, to: begin } : minute));
  return [...before, ...ticks.map(({ stats }) => stats)].filter(({ to }) => to >= since);
}

/** @param since it is read when this changes, and until it could be read; null: again and again */
function useHistory(window: StatsWindow, since: number | null) {
  const pulse = usePulse(READ_MS);
  const [read, setRead] = useState<{ window: StatsWindow; since: number } | null>(null);
  const isRead = read !== null && read.window === window && read.since === since;
  const [end, setEnd] = useState({ window, ms: Date.now() });
  const wanted = Math.max(pulse, since ?? 0);
  if (end.window !== window || (!isRead && end.ms !== wanted)) setEnd({ window, ms: wanted });
  const {
    data,
    error = null,
    fetching,
  } = useSteadyQuery({
    query: StatsHistoryDocument,
    variables: { from: beginningOf(window, end.ms), bucketSeconds: window.bucketSeconds },
    about: window.value,
  });
  if (since !== null && !isRead && data && !fetching && !error) setRead({ window, since });
  return { history: data?.deliveryStats ?? null, error };
}

type Tick = StatsTicksSubscription['deliveryStats'];

/** What is told each second, as far as the shortest window reaches. After a gap it begins anew. */
function useTicks() {
  const [told, setTold] = useState({ ticks: [] as Tick[], begin: Date.now() });
  useFollow(
    StatsTicksDocument,
    { intervalSeconds: 1 },
    {
      onData: ({ deliveryStats: tick }) =>
        setTold(({ ticks, begin }) => {
          const last = ticks.at(-1);
          const isGap = last && Date.parse(tick.stats.from) - Date.parse(last.stats.to) > GAP_MS;
          return isGap ? { ticks: [tick], begin: Date.now() } : { ticks: [...ticks.slice(1 - TICKS_MAX), tick], begin };
        }),
    },
  );
  return told;
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
