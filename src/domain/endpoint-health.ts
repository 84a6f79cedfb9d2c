import type { EndpointStatus } from './delivery.ts';
import type { DeliveryStats, Waiting } from './delivery-stats.ts';

export type EndpointHealthState = 'HEALTHY' | 'FAILING' | 'IDLE' | 'PAUSED' | 'DISABLED';

/** The newest attempts of an endpoint that are looked at. */
export const HEALTH_ATTEMPTS_MAX = 100;
/** What counts as recent. */
export const HEALTH_WINDOW_MS = 300_000;
/** An endpoint whose newest attempts failed so often in a row is failing. */
export const FAILURES_IN_A_ROW_MIN = 5;
/** One of which more than half of the recent attempts failed is failing too, where there are so many of them. */
export const RECENT_ATTEMPTS_MIN = 10;

/** What is known of an endpoint's health. */
export interface HealthFacts extends Waiting {
  endpointId: string;
  environmentId: string;
  status: EndpointStatus;
  isDeleted: boolean;
  updatedAt: Date;
  /** It has a lane of its own. */
  hasOwnLane: boolean;
  /** When the first attempt failed since the last one that succeeded; null: none did. */
  failingSince: Date | null;
  /** When the next attempt may begin, where it is backed off; null: it is not. */
  nextProbeAt: Date | null;
  /** Of the newest {@link HEALTH_ATTEMPTS_MAX} attempts. */
  failuresInARow: number;
  /** Of the newest attempt; null: none was made. */
  lastAttemptAt: Date | null;
  /** Null: none of the newest attempts succeeded, or failed. */
  lastSucceededAt: Date | null;
  lastFailedAt: Date | null;
  /** The minute that runs and the five before it. */
  recent: DeliveryStats;
}

export interface EndpointHealth extends HealthFacts {
  state: EndpointHealthState;
}

/** State of an endpoint's health. The first that fits, in this order: disabled, paused, failing, idle, healthy. */
export function judgeHealth(facts: HealthFacts, now: Date): EndpointHealthState {
  if (facts.isDeleted || facts.status === 'DISABLED') return 'DISABLED';
  if (facts.status === 'PAUSED') return 'PAUSED';
  if (isFailing(facts)) return 'FAILING';
  const isQuiet = facts.lastAttemptAt === null || now.getTime() - facts.lastAttemptAt.getTime() > HEALTH_WINDOW_MS;
  return isQuiet && facts.waiting === 0 ? 'IDLE' : 'HEALTHY';
}

function isFailing({ failuresInARow, recent }: HealthFacts): boolean {
  if (failuresInARow >= FAILURES_IN_A_ROW_MIN) return true;
  const attempts = recent.attemptsSucceeded + recent.attemptsFailed;
  return attempts >= RECENT_ATTEMPTS_MIN && recent.attemptsFailed > attempts / 2;
}
