import { logFailure } from '../database-outage.ts';
import {
  compareByFailures,
  type DeliveryCounts,
  type DeliveryStats,
  type EndpointStats,
  type LiveCounts,
  NO_COUNTS,
  NONE_WAITING,
  toStats,
  type Waiting,
  WHOLE_ENVIRONMENT_ID,
} from '../domain/delivery-stats.ts';
import type { Log } from '../log.ts';
import { Look } from './look.ts';
import { type LookTaker, SharedWatches } from './shared-watches.ts';

/** What was settled since the tick before, and what waits now. */
export interface StatsTick extends Waiting {
  stats: DeliveryStats;
  /** Those where anything happened, the most failed attempts first; of an endpoint's tick itself alone. */
  endpoints: EndpointStats[];
}

export interface StatsWatchesOptions {
  log: Log;
  /** Counts what an environment's change log tells behind a place. `from` null: what is not older than `since`. */
  readCounts: (range: {
    environmentId: string;
    from: bigint | null;
    since: Date;
    waitingIds: string[];
  }) => Promise<LiveCounts>;
  /** @param endpointId null: the whole environment */
  readWaiting: (environmentId: string, endpointId: string | null) => Promise<Waiting>;
}

/** Whose statistics to follow. IDs are UUIDs. */
export interface StatsTarget {
  environmentId: string;
  /** Null: the whole environment. */
  endpointId: string | null;
  intervalSeconds: number;
}

/**
 * Counts what happens for those who watch it. All who watch one environment at one interval share a watch, whatever
 * endpoint they want: it makes one query a tick.
 */
export class StatsWatches {
  readonly #options: StatsWatchesOptions;
  readonly #watches: SharedWatches<StatsTick>;

  constructor(options: StatsWatchesOptions) {
    this.#options = options;
    this.#watches = new SharedWatches(options.log);
  }

  /** Resolves when no query is under way. */
  stop(): Promise<void> {
    return this.#watches.stop();
  }

  /** A tick at once, and then one each interval. Everyone gets the identical object. */
  follow({ environmentId, endpointId, intervalSeconds }: StatsTarget): AsyncIterable<StatsTick> {
    const key = `stats of ${environmentId} each ${intervalSeconds} s`;
    const intervalMs = intervalSeconds * 1_000;
    return this.#watches.follow({ key, id: endpointId ?? WHOLE_ENVIRONMENT_ID, intervalMs }, () =>
      this.#begin(environmentId, intervalMs),
    );
  }

  /** The place moves only where a look succeeds, so one that fails loses no counts. */
  #begin(environmentId: string, intervalMs: number): LookTaker<StatsTick> {
    const { readCounts, readWaiting, log } = this.#options;
    let position: bigint | null = null;
    let since = new Date(Date.now() - intervalMs);
    return async (previous) => {
      const now = new Date();
      const waitingIds = previous?.ids ?? [WHOLE_ENVIRONMENT_ID];
      const counts = await readCounts({ environmentId, from: position, since, waitingIds });
      const time = { from: since, to: now, now };
      position = counts.until;
      since = now;
      const items = waitingIds.map((id): [string, StatsTick] => [
        id,
        makeTick(counts, id, counts.waiting.get(id) ?? NONE_WAITING, time),
      ]);
      return new Look(items, async (id) => {
        try {
          const endpointId = id === WHOLE_ENVIRONMENT_ID ? null : id;
          return makeTick(counts, id, await readWaiting(environmentId, endpointId), time);
        } catch (error) {
          logFailure(log, { level: 'warn', error, environmentId }, 'watch.failed');
          return null;
        }
      });
    };
  }
}

function makeTick(
  { environment, endpoints }: LiveCounts,
  id: string,
  waiting: Waiting,
  time: { from: Date; to: Date; now: Date },
): StatsTick {
  const isWhole = id === WHOLE_ENVIRONMENT_ID;
  const own: DeliveryCounts = isWhole ? environment : (endpoints.get(id) ?? NO_COUNTS);
  const listed = [...endpoints].filter(([endpointId]) => isWhole || endpointId === id);
  return {
    ...waiting,
    stats: toStats(own, time),
    endpoints: listed
      .map(([endpointId, counts]) => ({ endpointId, stats: toStats(counts, time) }))
      .sort(compareByFailures),
  };
}
