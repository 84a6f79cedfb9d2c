import { addHistograms, type DurationHistogram } from './duration-histogram.ts';

/** What happened in some time, of an endpoint or of an environment. */
export interface DeliveryCounts {
  /** Of an environment: events. Of an endpoint: deliveries that were made. */
  published: number;
  /** Deliveries that an attempt delivered. */
  delivered: number;
  /** Deliveries that became dead letters. */
  failed: number;
  /** Attempts that were retries, automatic or by hand. */
  retried: number;
  attemptsSucceeded: number;
  attemptsFailed: number;
  /** Of the attempts that have a duration: not of those made elsewhere. */
  durations: DurationHistogram;
}

/** Counts of a time, from its first moment to before its last. */
export interface DeliveryStats extends DeliveryCounts {
  from: Date;
  to: Date;
  /** How much of that time has passed, in seconds: what is over a second counts is over this. */
  elapsedSeconds: number;
}

/** Statistics of one endpoint. */
export interface EndpointStats {
  endpointId: string;
  stats: DeliveryStats;
}

/** Deliveries that wait: PENDING, RETRYING or HELD. */
export interface Waiting {
  waiting: number;
  /** When the oldest of them was made; null: none waits. */
  oldestWaitingAt: Date | null;
}

export const NO_COUNTS: DeliveryCounts = {
  published: 0,
  delivered: 0,
  failed: 0,
  retried: 0,
  attemptsSucceeded: 0,
  attemptsFailed: 0,
  durations: [],
};

/** What an environment's change log tells between two places. */
export interface LiveCounts {
  /** The place behind it: transaction ID of the first change that is not counted. */
  until: bigint;
  environment: DeliveryCounts;
  /** By endpoint's UUID; those with nothing to count are missing. */
  endpoints: Map<string, DeliveryCounts>;
  /** By the UUID of those asked for; {@link WHOLE_ENVIRONMENT_ID} is the environment. Where nothing waits, it may be missing. */
  waiting: Map<string, Waiting>;
}

export const NONE_WAITING: Waiting = { waiting: 0, oldestWaitingAt: null };

/** The ID that statistics of an environment as a whole stand under, where those of an endpoint have the endpoint's. */
export const WHOLE_ENVIRONMENT_ID = '00000000-0000-0000-0000-000000000000';

/** Counts with the time that they are of. */
export function toStats(counts: DeliveryCounts, { from, to, now }: { from: Date; to: Date; now: Date }): DeliveryStats {
  const end = Math.min(to.getTime(), now.getTime());
  return { ...counts, from, to, elapsedSeconds: Math.max(0, end - from.getTime()) / 1_000 };
}

/** Orders statistics of endpoints: those with the most failed attempts come first. */
export const compareByFailures = (a: EndpointStats, b: EndpointStats): number =>
  b.stats.attemptsFailed - a.stats.attemptsFailed ||
  b.stats.attemptsSucceeded - a.stats.attemptsSucceeded ||
  (a.endpointId < b.endpointId ? 1 : -1);

export const addCounts = (a: DeliveryCounts, b: DeliveryCounts): DeliveryCounts => ({
  published: a.published + b.published,
  delivered: a.delivered + b.delivered,
  failed: a.failed + b.failed,
  retried: a.retried + b.retried,
  attemptsSucceeded: a.attemptsSucceeded + b.attemptsSucceeded,
  attemptsFailed: a.attemptsFailed + b.attemptsFailed,
  durations: addHistograms(a.durations, b.durations),
});

/** Statistics are kept by the minute and by the hour, in seconds. */
export const MINUTE_SECONDS = 60;
export const HOUR_SECONDS = 3_600;

/** Windows of statistics by the minute may begin so long ago. Those by the hour are kept as long as events are. */
export const MINUTES_WINDOW_MS = 172_800_000;
/** A window is widened to whole buckets, and what it begins with is still there when it is read. */
export const MINUTES_KEPT_MS = MINUTES_WINDOW_MS + 3_600_000;
