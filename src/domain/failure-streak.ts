/** An endpoint whose last so many attempts all failed is backed off: it gets one attempt at a time, with rests between. */
export const BACK_OFF_AFTER = 20;
/** How long a backed-off endpoint rests before its next attempt: twice as long after each one that fails. */
export const PROBE_REST_SECONDS_MIN = 1;
export const PROBE_REST_SECONDS_MAX = 60;
/** Failures that come within so long of one another count as one where it is decided whether to disable an endpoint. */
export const FAILURE_SPACING_SECONDS = 3_600;
/** An endpoint is disabled only after so many failures at that distance: one bad minute after a quiet week is no reason. */
export const SPACED_FAILURES_MIN = 5;

/** An endpoint's attempts that failed one after the other, none succeeding between. */
export interface FailureStreak {
  endpointId: string;
  /** Where they were sent: the endpoint's address. */
  url: string;
  failures: number;
  /** When the first of them was recorded. */
  beganAt: Date;
  /** Of them, those at least {@link FAILURE_SPACING_SECONDS} apart. */
  spacedFailures: number;
}

/** Whether a backed-off endpoint's rest is over. One that is longer than any rest was begun by a clock that went back since. */
export const isProbeDue = (nextProbeAt: Date | null, now: number): boolean =>
  nextProbeAt === null || nextProbeAt.getTime() <= now || nextProbeAt.getTime() > now + PROBE_REST_SECONDS_MAX * 1_000;

/**
 * Why an endpoint is to be disabled for its failures; null: it is not.
 *
 * @param disableAfterMs how long nothing but failures it may have; null: for ever
 */
export function findDisableReason(
  { failures, beganAt, spacedFailures }: Omit<FailureStreak, 'endpointId' | 'url'>,
  disableAfterMs: number | null,
  now: Date,
): string | null {
  if (disableAfterMs === null || spacedFailures < SPACED_FAILURES_MIN) return null;
  if (now.getTime() - beganAt.getTime() < disableAfterMs) return null;
  return `Nothing has succeeded since ${beganAt.toISOString()}: ${failures} attempts failed.`;
}
