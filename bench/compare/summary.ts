import type { Sample } from './sides.ts';

/** Both sides' results of one pair. */
export interface Pair {
  this: Sample;
  other: Sample;
}

/** A figure of both sides over all pairs. */
export interface Figure {
  /** With its unit, for example `CPU ms per event`. */
  name: string;
  /** Median of this version. */
  this: number;
  /** Median of the other version. */
  other: number;
  /** `this / other`, the ratio of the medians; `null` if the other is 0. */
  ratio: number | null;
  /** Ratios of single pairs: the smallest, both quartiles, and the largest. `null` if one of them is not a number. */
  pairRatios: { min: number; q1: number; q3: number; max: number } | null;
}

/** The result of a scenario. */
export interface Summary {
  scenario: string;
  pairs: number;
  figures: Figure[];
}

type Reading = (sample: Sample) => number | undefined;

/** Figures of a scenario from its pairs. Figures that were not measured are omitted. */
export function summarize(scenario: string, operation: string, pairs: Pair[]): Summary {
  const toMsPerOperation = (seconds: number | undefined, { operations }: Sample) =>
    seconds === undefined ? undefined : (seconds * 1_000) / operations;
  const sumUp = ({ cpuSeconds }: Sample) =>
    cpuSeconds?.posthorn !== undefined ? cpuSeconds.posthorn + cpuSeconds.postgres : undefined;
  const readings: [string, Reading][] = [
    ['rate/s', (sample) => sample.ratePerSecond],
    [`CPU ms per ${operation}`, (sample) => toMsPerOperation(sumUp(sample), sample)],
    ['  of Posthorn', (sample) => toMsPerOperation(sample.cpuSeconds?.posthorn, sample)],
    ['  of Postgres', (sample) => toMsPerOperation(sample.cpuSeconds?.postgres, sample)],
    ['p50 ms', (sample) => sample.latency?.p50Ms],
    ['p99 ms', (sample) => sample.latency?.p99Ms],
  ];
  const figures = readings.flatMap(([name, read]) => toFigure(name, read, pairs) ?? []);
  return { scenario, pairs: pairs.length, figures };
}

function toFigure(name: string, read: Reading, pairs: Pair[]): Figure | null {
  const values = pairs.map((pair) => ({ this: read(pair.this), other: read(pair.other) }));
  const own = values.map((value) => value.this).filter((value) => value !== undefined);
  const others = values.map((value) => value.other).filter((value) => value !== undefined);
  if (own.length < pairs.length || others.length < pairs.length || pairs.length === 0) return null;
  const ratios = own.map((value, index) => value / (others[index] as number));
  const [ownMedian, otherMedian] = [median(own), median(others)];
  return {
    name: name.trim(),
    this: ownMedian,
    other: otherMedian,
    ratio: otherMedian === 0 ? null : ownMedian / otherMedian,
    pairRatios: ratios.every(Number.isFinite) ? toSpread(ratios) : null,
  };
}

/** Interpolates between the two nearest values: with few pairs, picking one of them would skew even numbers of pairs. */
function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const lower = sorted[Math.floor(position)] as number;
  const upper = sorted[Math.ceil(position)] as number;
  return lower + (upper - lower) * (position - Math.floor(position));
}

const median = (values: number[]) => quantile(values, 0.5);

const toSpread = (ratios: number[]) => ({
  min: Math.min(...ratios),
  q1: quantile(ratios, 0.25),
  q3: quantile(ratios, 0.75),
  max: Math.max(...ratios),
});

const HEADER = ['scenario', 'figure', 'other', 'this', 'ratio', 'middle half of pairs', 'all pairs'];
/** The first two columns are words, the others numbers. */
const WORD_COLUMNS = 2;

/** Summaries as a table for people. Above 1, the figure of this version is the larger one. */
export function formatSummaries(summaries: Summary[]): string {
  const lines = summaries.flatMap(({ scenario, figures }) =>
    figures.map((figure, index) => [index === 0 ? scenario : '', ...toCells(figure)]),
  );
  const widths = HEADER.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const pad = (text: string, column: number) =>
    column < WORD_COLUMNS ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  return [HEADER, widths.map((width) => '-'.repeat(width)), ...lines]
    .map((line) => line.map(pad).join('  ').trimEnd())
    .join('\n');
}

function toCells({ name, other, this: own, ratio, pairRatios }: Figure): string[] {
  const digits = name === 'rate/s' ? 0 : 3;
  const toRange = (from: number, to: number) => `${from.toFixed(3)} to ${to.toFixed(3)}`;
  return [
    name.startsWith('of ') ? `  ${name}` : name,
    other.toFixed(digits),
    own.toFixed(digits),
    ratio === null ? '' : ratio.toFixed(3),
    pairRatios ? toRange(pairRatios.q1, pairRatios.q3) : '',
    pairRatios ? toRange(pairRatios.min, pairRatios.max) : '',
  ];
}
