import 'uplot/dist/uPlot.min.css';
import { Box } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { TONES } from './status-badge.tsx';

export interface SparklineProps {
  /** Of each stretch of time, oldest first. */
  points: { attempts: number; succeeded: number }[];
  /** What it shows, in words, for those who can't see it. */
  label: string;
}

const WIDTH = 120;
const HEIGHT = 28;

const bars = uPlot.paths.bars?.({ size: [0.8, 8], align: 1 });

const OPTIONS: uPlot.Options = {
  width: WIDTH,
  height: HEIGHT,
  padding: [1, 0, 0, 0],
  legend: { show: false },
  cursor: { show: false },
  scales: { x: { time: false }, y: { range: (_, __, max) => [0, Math.max(max, 1)] } },
  axes: [{ show: false }, { show: false }],
  // What failed shows above what succeeded, which is drawn over it.
  series: [
    {},
    { paths: bars, fill: TONES.bad, width: 0, points: { show: false } },
    { paths: bars, fill: TONES.good, width: 0, points: { show: false } },
  ],
};

const toData = (points: SparklineProps['points']): uPlot.AlignedData => [
  points.map((_, index) => index),
  points.map(({ attempts }) => attempts),
  points.map(({ succeeded }) => succeeded),
];

/** Attempts over time as bars: what succeeded, and what failed on top. */
export function Sparkline({ points, label }: SparklineProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(points);
  latest.current = points;
  useEffect(() => {
    if (!place.current) return;
    const made = new uPlot(OPTIONS, toData(latest.current), place.current);
    plot.current = made;
    return () => made.destroy();
  }, []);
  useEffect(() => plot.current?.setData(toData(points)), [points]);
  return (
    <Box
      ref={place}
      role="img"
      aria-label={label}
      w={WIDTH}
      h={HEIGHT}
      style={{ borderBottom: '1px solid var(--mantine-color-default-border)' }}
    />
  );
}
