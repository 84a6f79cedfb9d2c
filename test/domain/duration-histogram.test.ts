import { describe, expect, it } from 'vitest';
import {
  addHistograms,
  DURATION_BOUNDS_MS,
  DURATION_CLASSES,
  durationClassOf,
  readPercentiles,
} from '../../src/domain/duration-histogram.ts';

const LAST_BOUND_MS = DURATION_BOUNDS_MS.at(-1) as number;

function count(durationsMs: number[]): number[] {
  const histogram = new Array<number>(DURATION_CLASSES).fill(0);
  for (const durationMs of durationsMs) histogram[durationClassOf(durationMs)] = at(histogram, durationMs) + 1;
  return histogram;
}

const at = (histogram: number[], durationMs: number) => histogram[durationClassOf(durationMs)] as number;

/** The true percentile: the duration that so many percent are no longer than. */
const findPercentile = (sorted: number[], percent: number) =>
  sorted[Math.ceil((sorted.length * percent) / 100) - 1] as number;

/** Numbers that look random and are the same in each run. */
function* draw(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield state / 2_147_483_648;
  }
}

describe('the classes of durations', () => {
  it('are about 50 to 65, from 1 ms to more than the longest timeout', () => {
    expect(DURATION_CLASSES).toBeGreaterThanOrEqual(50);
    expect(DURATION_CLASSES).toBeLessThanOrEqual(65);
    expect(DURATION_BOUNDS_MS[0]).toBe(1);
    expect(LAST_BOUND_MS).toBeGreaterThan(60_000);
  });

  it('grow by a fifth at the most, but for those of one millisecond', () => {
    for (const [index, boundMs] of DURATION_BOUNDS_MS.entries()) {
      const previousMs = DURATION_BOUNDS_MS[index - 1] ?? 0;
      expect(boundMs).toBeGreaterThan(previousMs);
      expect(boundMs - previousMs === 1 || boundMs <= previousMs * 1.2).toBe(true);
    }
  });

  it('hold their upper bound and not their lower one', () => {
    expect([0, 1, 2].map(durationClassOf)).toEqual([0, 0, 1]);
    for (const [index, boundMs] of DURATION_BOUNDS_MS.entries()) {
      expect(durationClassOf(boundMs)).toBe(index);
      expect(durationClassOf(boundMs + 1)).toBe(index + 1);
    }
    expect(durationClassOf(10_000_000)).toBe(DURATION_CLASSES - 1);
  });

  it('are those that stored histograms were counted by', () => {
    expect(DURATION_BOUNDS_MS.join(' ')).toBe(
      '1 2 3 4 5 6 7 8 9 10 12 14 16 19 22 26 31 37 44 52 62 74 88 105 126 151 181 217 260 312 374 448 537 644 772 926 1111 1333 1599 1918 2301 2761 3313 3975 4770 5724 6868 8241 9889 11866 14239 17086 20503 24603 29523 35427 42512 51014 61216 73459 88150',
    );
  });
});

describe('readPercentiles', () => {
  it('gives null for no durations', () => {
    expect(readPercentiles([])).toBe(null);
    expect(readPercentiles([0, 0, 0])).toBe(null);
  });

  it('is exact up to 10 ms', () => {
    const durations = Array.from({ length: 100 }, (_, index) => 1 + Math.floor(index / 10));
    expect(readPercentiles(count(durations))).toEqual({ p50: 5, p95: 10, p99: 10 });
    expect(readPercentiles(count([7]))).toEqual({ p50: 7, p95: 7, p99: 7 });
  });

  it('takes 0 ms for 1 ms, and what is longer than the last bound for that bound', () => {
    expect(readPercentiles(count([0, 0]))).toEqual({ p50: 1, p95: 1, p99: 1 });
    expect(readPercentiles(count([10_000_000]))).toEqual({
      p50: LAST_BOUND_MS,
      p95: LAST_BOUND_MS,
      p99: LAST_BOUND_MS,
    });
  });

  it.each([
    ['all alike', (x: number) => 437 + 0 * x],
    ['even', (x: number) => 1 + x * 60_000],
    ['long-tailed', (x: number) => 5 * (1 / (1 - 0.999 * x)) ** 1.2],
    ['of two heaps', (x: number) => (x < 0.9 ? 20 + 10 * x : 15_000 + 100 * x)],
    ['short', (x: number) => 1 + x * 30],
  ])('is off by less than a fifth where durations are %s', (_, shape) => {
    for (const size of [1, 2, 10, 99, 1_000, 20_000]) {
      const random = draw(size);
      const durations = Array.from({ length: size }, () => Math.round(shape(random.next().value)));
      const sorted = durations.toSorted((a, b) => a - b);
      const read = readPercentiles(count(durations));
      for (const percent of [50, 95, 99] as const) {
        const truth = findPercentile(sorted, percent);
        expect(Math.abs((read?.[`p${percent}`] as number) - truth) / truth).toBeLessThan(0.2);
      }
    }
  });

  it('reads one whose last classes are left out', () => {
    expect(readPercentiles([0, 4])).toEqual({ p50: 2, p95: 2, p99: 2 });
  });
});

describe('addHistograms', () => {
  it('adds class by class, whichever is longer', () => {
    expect(addHistograms([1, 2], [10, 20, 30])).toEqual([11, 22, 30]);
    expect(addHistograms([10, 20, 30], [1])).toEqual([11, 20, 30]);
    expect(addHistograms([], [1])).toEqual([1]);
    expect(addHistograms([], [])).toEqual([]);
  });
});
