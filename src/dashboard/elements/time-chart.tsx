import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import dayjs from 'dayjs';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import classes from './time-chart.module.css';

export interface Series {
  label: string;
  color: string;
  /** One for each time; null: nothing is known. */
  values: (number | null)[];
  /** Filled down to the axis. @default false */
  isArea?: boolean;
}

export interface TimeChartProps {
  /** What it shows, in words, for those who can't see it. */
  label: string;
  /** Unix times in seconds, growing. */
  times: number[];
  series: Series[];
  /** Writes a value of the axis. */
  format: (value: number) => string;
  /** Ends of the time axis, as the times; left out: as the times are. */
  range?: [from: number, to: number];
  /** @default 190 */
  height?: number;
}

const INK = {
  light: { text: '#5b626a', grid: '#e9ecef' },
  dark: { text: '#9aa1aa', grid: '#2a2e35' },
};

/** Series over time. New values move in without the chart being made anew. */
export function TimeChart({ label, times, series, format, range, height = 190 }: TimeChartProps) {
  const { ref: frame, width } = useElementSize();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme('light');
  const latestProps = useRef({ format, range });
  latestProps.current = { format, range };
  const shape = series.map(({ label, color }) => `${label} ${color}`).join();
  const data = [times, ...series.map(({ values }) => values)] as uPlot.AlignedData;
  const latest = useRef({ data, series });
  latest.current = { data, series };

  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` says when the series are others
  useEffect(() => {
    if (!place.current || width === 0) return;
    const made = new uPlot(
      makeOptions({
        series: latest.current.series,
        ink: INK[scheme],
        width,
        height,
        format: (value) => latestProps.current.format(value),
        range: () => latestProps.current.range,
      }),
      latest.current.data,
      place.current,
    );
    plot.current = made;
    return () => {
      plot.current = null;
      made.destroy();
    };
  }, [width, height, scheme, shape]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: each answer brings arrays of its own
  useEffect(() => plot.current?.setData(data), [times, series]);

  return (
    <figure className={classes.figure} aria-label={label}>
      <div className={classes.legend} aria-hidden>
        {series.map(({ label, color, values }) => (
          <span key={label}>
            <i style={{ background: color }} />
            {label} <b>{describeLast(values, format)}</b>
          </span>
        ))}
      </div>
      <div ref={frame} style={{ height }}>
        <div ref={place} />
      </div>
      <figcaption className={classes.hidden}>
        {label}. Latest: {series.map(({ label, values }) => `${label} ${describeLast(values, format)}`).join(', ')}.
      </figcaption>
    </figure>
  );
}

function describeLast(values: (number | null)[], format: (value: number) => string): string {
  const last = values.findLast((value) => value !== null);
  return last === undefined || last === null ? '–' : format(last);
}

interface OptionsInput {
  series: Series[];
  ink: (typeof INK)['light'];
  width: number;
  height: number;
  format: (value: number) => string;
  range: () => [number, number] | undefined;
}

const DAY_SECONDS = 86_400;

/** Times of day, and days where the axis is longer than one. */
function describeTimes(times: number[]): string[] {
  const length = (times.at(-1) ?? 0) - (times[0] ?? 0);
  const step = (times[1] ?? 0) - (times[0] ?? 0);
  const format = length > DAY_SECONDS ? 'D MMM HH:mm' : step > 0 && step < 60 ? 'HH:mm:ss' : 'HH:mm';
  return times.map((time) => dayjs.unix(time).format(format));
}

/** Values without neighbours: no line leads through them, so each is drawn as a point. */
const findLonely = (values: uPlot.AlignedData[number] = []): number[] =>
  [...values.keys()].filter((at) => values[at] != null && values[at - 1] == null && values[at + 1] == null);

function makeOptions({ series, ink, width, height, format, range }: OptionsInput): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: ink.text,
    font: '11px Inter, system-ui, sans-serif',
    grid: { stroke: ink.grid, width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    // From nothing, and never flat: a chart without values still has an axis.
    scales: {
      x: { range: (_, min, max) => range() ?? [min, max] },
      y: { range: (_, __, max) => [0, Math.max(max * 1.08, 1)] },
    },
    axes: [
      { ...axis, size: 28, space: 64, values: (_, splits) => describeTimes(splits) },
      { ...axis, size: 58, values: (_, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...series.map(({ label, color, isArea }) => ({
        label,
        stroke: color,
        width: 1.75,
        ...(isArea && { fill: `${color}22` }),
        points: {
          size: 4,
          filter: (plot: uPlot, index: number, isShown: boolean) => (isShown ? null : findLonely(plot.data[index])),
        },
        value: (_: uPlot, value: number | null) => (value === null ? '–' : format(value)),
      })),
    ],
  };
}
