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

/** When a window that ends now begins. */
export const beginningOf = ({ seconds }: StatsWindow): string => new Date(Date.now() - seconds * 1_000).toISOString();
