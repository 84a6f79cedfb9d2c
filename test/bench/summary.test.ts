import { expect, it } from 'vitest';
import type { Sample } from '../../bench/compare/sides.ts';
import { formatSummaries, summarize } from '../../bench/compare/summary.ts';

const makeSample = (ratePerSecond: number, cpuSeconds: Sample['cpuSeconds']): Sample => ({
  ratePerSecond,
  operations: 1_000,
  cpuSeconds,
  latency: null,
});

it('a comparison divides the medians of both versions and shows the spread of the pairs', () => {
  const rates = [
    [110, 100],
    [200, 100],
    [90, 100],
  ] as const;
  const pairs = rates.map(([own, other]) => ({
    this: makeSample(own, { posthorn: 2, postgres: 1 }),
    other: makeSample(other, { posthorn: 1, postgres: 1 }),
  }));
  const summary = summarize('deliver', 'delivery', pairs);
  expect(summary.figures[0]).toEqual({
    name: 'rate/s',
    this: 110,
    other: 100,
    ratio: 1.1,
    pairRatios: { min: 0.9, q1: 1, q3: 1.55, max: 2 },
  });
  expect(summary.figures.map(({ name, ratio }) => [name, ratio])).toEqual([
    ['rate/s', 1.1],
    ['CPU ms per delivery', 1.5],
    ['of Posthorn', 2],
    ['of Postgres', 1],
  ]);
  expect(formatSummaries([summary])).toContain('1.550');
});

it('a comparison omits CPU where the system does not report it', () => {
  const summary = summarize('live', 'event', [{ this: makeSample(1, null), other: makeSample(1, null) }]);
  expect(summary.figures.map(({ name }) => name)).toEqual(['rate/s']);
});
