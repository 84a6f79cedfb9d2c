/** A stretch of time up to now, in buckets. */
export interface StatsWindow {
  value: string;
  label: string;
  seconds: number;
  bucketSeconds: number;
}

/** The first goes on each second while one looks; the others are history. */
export const WINDOWS: StatsWindow[] = [
  { value: 'now', label: 'Now', seconds: 300, bucketSeconds: 60 },
  { value: 'hour', label: 'Hour', seconds: 3_600, bucketSeconds: 60 },
  { value: 'day', label: 'Day', seconds: 86_400, bucketSeconds: 900 },
  { value: 'week', label: 'Week', seconds: 604_800, bucketSeconds: 7_200 },
];

/** When a window begins. @param endMs when it ends */
export const beginningOf = ({ seconds }: Pick<StatsWindow, 'seconds'>, endMs: number): string =>
  new Date(endMs - seconds * 1_000).toISOString();
