import { SimpleGrid } from '@mantine/core';
import { useMemo } from 'react';
import { Panel } from '../elements/panel.tsx';
import { TONES } from '../elements/status-badge.tsx';
import { describeDuration } from '../elements/time.tsx';
import { TimeChart } from '../elements/time-chart.tsx';
import type { StatsPointFragment } from '../generated/documents.ts';

const secondsOf = ({ from, to }: StatsPointFragment) => Math.max((Date.parse(to) - Date.parse(from)) / 1_000, 0.001);

/** A rate in so many digits as tell something. */
const describeRate = (rate: number): string => {
  const digits = rate === 0 || rate >= 10 ? 0 : rate >= 1 ? 1 : 2;
  return `${rate.toLocaleString('en', { maximumFractionDigits: digits })}/s`;
};

export interface StatsChartsProps {
  points: StatsPointFragment[];
  /** Length of the time axis, which ends now. */
  seconds: number;
}

/** What happens, and how long attempts take, over time. */
export function StatsCharts({ points, seconds }: StatsChartsProps) {
  const { times, flow, durations } = useMemo(() => toSeries(points), [points]);
  const now = Date.now() / 1_000;
  const range: [number, number] = [now - seconds, now];
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
      <Panel title="Deliveries a second">
        <TimeChart
          label="Deliveries a second over time"
          times={times}
          series={flow}
          format={describeRate}
          range={range}
        />
      </Panel>
      <Panel title="Attempt duration">
        <TimeChart
          label="Duration of attempts over time"
          times={times}
          series={durations}
          format={describeDuration}
          range={range}
        />
      </Panel>
    </SimpleGrid>
  );
}

function toSeries(points: StatsPointFragment[]) {
  const rates = (pick: (point: StatsPointFragment) => number) => points.map((point) => pick(point) / secondsOf(point));
  const percentiles = (name: 'p50' | 'p95' | 'p99') => points.map(({ durationMs }) => durationMs?.[name] ?? null);
  return {
    times: points.map(({ from }) => Date.parse(from) / 1_000),
    flow: [
      { label: 'Published', color: TONES.queued, values: rates((point) => point.published) },
      { label: 'Delivered', color: TONES.good, values: rates((point) => point.delivered), isArea: true },
      { label: 'Failed', color: TONES.bad, values: rates((point) => point.failed), isArea: true },
      { label: 'Retried', color: TONES.trying, values: rates((point) => point.retried) },
    ],
    durations: [
      { label: 'p50', color: TONES.good, values: percentiles('p50'), isArea: true },
      { label: 'p95', color: TONES.trying, values: percentiles('p95') },
      { label: 'p99', color: TONES.bad, values: percentiles('p99') },
    ],
  };
}
