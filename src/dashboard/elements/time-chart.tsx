import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
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
  /** @default 190 */
  height?: number;
}

const INK = {
  light: { text: '#5b626a', grid: '#e9ecef' },
  dark: { text: '#9aa1aa', grid: '#2a2e35' },
};

/** Series over time. New values move in without the chart being made anew. */
export function TimeChart({ label, times, series, format, height = 190 }: TimeChartProps) {
  const { ref: frame, width } = useElementSize();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme('light');
  const writer = useRef(format);
  writer.current = format;
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
        format: (value) => writer.current(value),
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
}

function makeOptions({ series, ink, width, height, format }: OptionsInput): uPlot.Options {
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
    scales: { y: { range: (_, __, max) => [0, Math.max(max * 1.08, 1)] } },
    axes: [
      { ...axis, space: 70 },
      { ...axis, size: 58, values: (_, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...series.map(({ label, color, isArea }) => ({
        label,
        stroke: color,
        width: 1.75,
        ...(isArea && { fill: `${color}22` }),
        points: { show: false },
        value: (_: uPlot, value: number | null) => (value === null ? '–' : format(value)),
      })),
    ],
  };
}
