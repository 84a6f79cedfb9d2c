import { Grid, Group, SegmentedControl, Stack } from '@mantine/core';
import { useSearchParams } from 'wouter';
import { ErrorNotice } from '../elements/notices.tsx';
import { PageTitle } from '../elements/page-title.tsx';
import { LatestChanges } from './latest-changes.tsx';
import { StatTiles } from './stat-tiles.tsx';
import { StatsCharts } from './stats-charts.tsx';
import { type StatsWindow, WINDOWS } from './stats-window.ts';
import { TroubledEndpoints } from './troubled-endpoints.tsx';
import { useStats } from './use-stats.ts';

/** How everything does, now and lately. */
export default function OverviewPage() {
  const [params, setParams] = useSearchParams();
  const chosen = WINDOWS.find(({ value }) => value === params.get('window')) ?? (WINDOWS[1] as StatsWindow);
  const { points, error, ...numbers } = useStats(chosen);
  return (
    <Stack>
      <Group justify="space-between">
        <PageTitle title="Overview" />
        <SegmentedControl
          size="xs"
          aria-label="Window of time"
          data={WINDOWS.map(({ value, label }) => ({ value, label }))}
          value={chosen.value}
          onChange={(window) => setParams({ window }, { replace: true })}
        />
      </Group>
      {error && points.length === 0 && <ErrorNotice error={error} />}
      <StatTiles {...numbers} />
      <StatsCharts points={points} seconds={chosen.seconds} />
      <Grid gap="md">
        <Grid.Col span={{ base: 12, md: 6 }}>
          <TroubledEndpoints />
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 6 }}>
          <LatestChanges />
        </Grid.Col>
      </Grid>
    </Stack>
  );
}
