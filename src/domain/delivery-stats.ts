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

export const NONE_WAITING: Waiting = { waiting: 0, oldestWaitingAt: null };

/** The ID that statistics of an environment as a whole stand under, where those of an endpoint have the endpoint's. */
export const WHOLE_ENVIRONMENT_ID = '00000000-0000-0000-0000-000000000000';

export const addCounts = (a: DeliveryCounts, b: DeliveryCounts): DeliveryCounts => ({
  published: a.published + b.published,
  delivered: a.delivered + b.delivered,
  failed: a.failed + b.failed,
  retried: a.retried + b.retried,
  attemptsSucceeded: a.attemptsSucceeded + b.attemptsSucceeded,
  attemptsFailed: a.attemptsFailed + b.attemptsFailed,
  durations: addHistograms(a.durations, b.durations),
});
