import DataLoader from 'dataloader';
import type { Pool } from 'pg';
import {
  addCounts,
  type DeliveryStats,
  type EndpointStats,
  NO_COUNTS,
  toStats,
  type Waiting,
} from '../domain/delivery-stats.ts';
import { readEndpointStats } from '../storage/read-endpoint-stats.ts';
import {
  type BucketedWindow,
  type Buckets,
  readStatsBuckets,
  type StatsWindow,
} from '../storage/read-stats-buckets.ts';
import { readWaiting, readWaitingOf } from '../storage/read-waiting.ts';
import type { Context } from './context.ts';
import { chooseWindow, type WindowArgs } from './stats-window.ts';

/** What happened in a window, and what leads to the rest of it. */
export interface StatsHistory {
  window: BucketedWindow;
  buckets: DeliveryStats[];
  /** What waits now, read when it is asked for first. */
  readWaiting: () => Promise<Waiting>;
  /** What happened at each endpoint, the most failed attempts first. */
  readEndpoints: (max: number) => Promise<EndpointStats[]> | EndpointStats[];
  now: Date;
}

export interface HistoryOptions {
  now: Date;
  /** Whether durations are asked for, of any bucket. */
  withDurations: boolean;
}

/** Reads the statistics of an environment, or of one endpoint. */
export async function readHistory(
  pool: Pool,
  window: StatsWindow,
  { now, withDurations }: HistoryOptions,
): Promise<StatsHistory> {
  const { environmentId, endpointId } = window;
  const [counts] = await readStatsBuckets(pool, { environmentId, endpointIds: [endpointId], window, withDurations });
  return {
    window,
    now,
    buckets: toBuckets(counts as Buckets, window, now),
    readWaiting: once(() => readWaiting(pool, environmentId, endpointId)),
    readEndpoints: async (max) => {
      const endpoints = await readEndpointStats(pool, window, max);
      return endpoints.map((endpoint) => ({
        endpointId: endpoint.endpointId,
        stats: toStats(endpoint.counts, { ...window, now }),
      }));
    },
  };
}

/** All buckets of a history taken together. */
export const sumUp = ({ buckets, window, now }: Pick<StatsHistory, 'buckets' | 'window' | 'now'>): DeliveryStats =>
  toStats(buckets.reduce(addCounts, NO_COUNTS), { ...window, now });

/** The window that is asked for, and whether with durations. */
export interface EndpointStatsArgs extends WindowArgs {
  withDurations: boolean;
}

/** Loads the statistics of endpoints that are asked for at the same time with one statement, as {@link readHistory} reads one's. */
export function loadEndpointStats(
  context: Context,
  endpointId: string,
  args: EndpointStatsArgs,
): Promise<StatsHistory> {
  const key = JSON.stringify(args);
  const { endpointStats } = context.loaders;
  let loader = endpointStats.get(key);
  if (!loader) {
    // Remembers nothing: a subscription asks again and again.
    loader = new DataLoader((endpointIds) => readHistories(context, endpointIds, args), { cache: false });
    endpointStats.set(key, loader);
  }
  return loader.load(endpointId);
}

async function readHistories(
  { services, caller }: Context,
  endpointIds: readonly string[],
  { withDurations, ...args }: EndpointStatsArgs,
): Promise<StatsHistory[]> {
  const { pool } = services.deliveries;
  const { environmentId } = caller;
  const now = new Date();
  const window = chooseWindow(args, now);
  const counts = await readStatsBuckets(pool, { environmentId, endpointIds, window, withDurations });
  const readAllWaiting = once(() => readWaitingOf(pool, environmentId, endpointIds));
  return endpointIds.map((endpointId, index) => {
    const ofEndpoint = counts[index] as Buckets;
    const history = { window, now, buckets: toBuckets(ofEndpoint, window, now) };
    return {
      ...history,
      readWaiting: async () => (await readAllWaiting())[index] as Waiting,
      readEndpoints: () => (ofEndpoint.size === 0 ? [] : [{ endpointId, stats: sumUp(history) }]),
    };
  });
}

function toBuckets(counts: Buckets, window: BucketedWindow, now: Date): DeliveryStats[] {
  const bucketMs = window.bucketSeconds * 1_000;
  const length = (window.to.getTime() - window.from.getTime()) / bucketMs;
  return Array.from({ length }, (_, index) => {
    const from = new Date(window.from.getTime() + index * bucketMs);
    return toStats(counts.get(index) ?? NO_COUNTS, { from, to: new Date(from.getTime() + bucketMs), now });
  });
}

/** Reads at the first call, and gives the same to all. */
function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => {
    reading ??= read();
    return reading;
  };
}
