/** Each class begins where the one before ends, and ends so much later: what is read from a class is off by less. */
const GROWTH = 1.2;
/** The longest that an attempt may take, with room for the time that it takes to give up. */
const LAST_BOUND_MS = 75_000;

/**
 * Upper bounds of the classes that durations are counted in, in milliseconds, each within its class. Durations are whole
 * milliseconds, so classes of one millisecond, which are those up to 10 ms, lose nothing; 0 counts as 1. What is longer
 * than the last bound stands in one more class. Stored histograms count by these classes: a change of the bounds needs a migration.
 */
export const DURATION_BOUNDS_MS: readonly number[] = makeBounds();

/** Classes of durations: one for each bound, and one for what is longer than the last. */
export const DURATION_CLASSES = DURATION_BOUNDS_MS.length + 1;

function makeBounds(): number[] {
  const bounds = [1];
  for (let last = 1; last < LAST_BOUND_MS; bounds.push(last)) last = Math.max(last + 1, Math.floor(last * GROWTH));
  return bounds;
}

/** How many durations there are of each class. Classes at the end without any may be missing. */
export type DurationHistogram = readonly number[];

/** Durations that so many percent are no longer than, in whole milliseconds. */
export interface DurationPercentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** Index of the class that a duration stands in. */
export function durationClassOf(durationMs: number): number {
  const index = DURATION_BOUNDS_MS.findIndex((boundMs) => durationMs <= boundMs);
  return index === -1 ? DURATION_BOUNDS_MS.length : index;
}

/** The histogram of all durations of two. */
export function addHistograms(a: DurationHistogram, b: DurationHistogram): DurationHistogram {
  const [longer, shorter] = a.length >= b.length ? [a, b] : [b, a];
  return shorter.length === 0 ? longer : longer.map((count, index) => count + (shorter[index] ?? 0));
}

/**
 * Reads percentiles out of a histogram. Each is off by less than a fifth of the true one. One that is longer than the
 * last bound is given as that bound.
 *
 * @returns null where the histogram is empty
 */
export function readPercentiles(histogram: DurationHistogram): DurationPercentiles | null {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const read = (percent: number) => readRank(histogram, Math.ceil((total * percent) / 100));
  return { p50: read(50), p95: read(95), p99: read(99) };
}

/** Duration at a rank, from 1: within its class, durations are taken to lie evenly. */
function readRank(histogram: DurationHistogram, rank: number): number {
  let before = 0;
  // By index: entries() would make an array of each class, of each bucket that is read.
  for (let index = 0; index < histogram.length; index += 1) {
    const count = histogram[index] as number;
    if (before + count >= rank) return placeInClass(index, (rank - before) / count);
    before += count;
  }
  throw new Error(`A histogram of ${before} durations has no rank ${rank}.`);
}

function placeInClass(index: number, share: number): number {
  const upperMs = DURATION_BOUNDS_MS[index] ?? (DURATION_BOUNDS_MS.at(-1) as number);
  const lowerMs = DURATION_BOUNDS_MS[index - 1] ?? 0;
  return Math.ceil(lowerMs + (upperMs - lowerMs) * share);
}
