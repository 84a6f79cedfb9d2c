import { HOUR_SECONDS, MINUTE_SECONDS, MINUTES_WINDOW_MS } from '../domain/delivery-stats.ts';
import { RequestError } from '../errors.ts';
import type { StatsWindow } from '../storage/read-stats-buckets.ts';

const BUCKETS_DEFAULT = 60;
export const BUCKETS_MAX = 1_440;
const WINDOW_MS_DEFAULT = 3_600_000;
/** Who asks for exactly the longest window is not refused because the question took a moment. */
const GRACE_MS = 60_000;
const INTERVAL_SECONDS_MIN = 1;
const INTERVAL_SECONDS_MAX = 60;

/** The arguments of a window, as a caller gives them. */
export interface WindowArgs {
  from?: Date | null;
  to?: Date | null;
  bucketSeconds?: number | null;
}

/**
 * Chooses what is left out of a window, and widens it to whole buckets. They lie where they lie for every window, whenever
 * it is asked for, so that a bucket of the past stays as it is.
 *
 * @throws {RequestError} BAD_USER_INPUT
 */
export function chooseWindow(args: WindowArgs, now: Date): Omit<StatsWindow, 'environmentId' | 'endpointId'> {
  const to = args.to ?? now;
  const from = args.from ?? new Date(to.getTime() - WINDOW_MS_DEFAULT);
  if (from >= to) throw badInput('from must be before to, which is now where it is left out.');
  const needsHours = from.getTime() < now.getTime() - MINUTES_WINDOW_MS - GRACE_MS;
  const unitSeconds = needsHours ? HOUR_SECONDS : MINUTE_SECONDS;
  const windowSeconds = (to.getTime() - from.getTime()) / 1_000;
  const bucketSeconds =
    args.bucketSeconds ?? unitSeconds * Math.max(1, Math.round(windowSeconds / BUCKETS_DEFAULT / unitSeconds));
  checkBuckets(bucketSeconds, unitSeconds, windowSeconds);
  const isHours = bucketSeconds % HOUR_SECONDS === 0;
  // Buckets of an hour and a half, say, may begin at any minute: on a grid of their own the first might begin too early.
  const gridMs = 1_000 * (isHours || bucketSeconds < HOUR_SECONDS ? bucketSeconds : MINUTE_SECONDS);
  const startMs = Math.floor(from.getTime() / gridMs) * gridMs;
  const bucketMs = bucketSeconds * 1_000;
  const endMs = startMs + Math.ceil((to.getTime() - startMs) / bucketMs) * bucketMs;
  const resolutionSeconds = isHours ? HOUR_SECONDS : MINUTE_SECONDS;
  return { from: new Date(startMs), to: new Date(endMs), bucketSeconds, resolutionSeconds };
}

function checkBuckets(bucketSeconds: number, unitSeconds: number, windowSeconds: number) {
  if (bucketSeconds < unitSeconds || bucketSeconds % unitSeconds !== 0) {
    const where = unitSeconds === HOUR_SECONDS ? ', as the window begins more than 48 h ago' : '';
    throw badInput(`bucketSeconds must be a whole multiple of ${unitSeconds}${where}.`);
  }
  // Whole ones: a day until now, asked for a moment ago, is a day.
  const count = Math.floor(windowSeconds / bucketSeconds);
  if (count <= BUCKETS_MAX) return;
  throw badInput(
    `This window has ${count} buckets, where ${BUCKETS_MAX} are allowed. Make bucketSeconds larger or the window shorter.`,
  );
}

/** @throws {RequestError} BAD_USER_INPUT where a watch may not tick so often, or so seldom */
export function checkInterval(intervalSeconds: number): void {
  if (intervalSeconds >= INTERVAL_SECONDS_MIN && intervalSeconds <= INTERVAL_SECONDS_MAX) return;
  throw badInput(`intervalSeconds must be from ${INTERVAL_SECONDS_MIN} to ${INTERVAL_SECONDS_MAX}.`);
}

const badInput = (message: string) => new RequestError('BAD_USER_INPUT', message);
