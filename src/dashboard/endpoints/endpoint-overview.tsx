import { Stack } from '@mantine/core';
import { useState } from 'react';
import { usePulse } from '../elements/clock.ts';
import { Id } from '../elements/copy.tsx';
import { Facts } from '../elements/facts.tsx';
import { ErrorNotice } from '../elements/notices.tsx';
import { Panel } from '../elements/panel.tsx';
import { StatusBadge } from '../elements/status-badge.tsx';
import { Ago, Countdown, describeDuration } from '../elements/time.tsx';
import {
  EndpointHealthTicksDocument,
  type EndpointPartsFragment,
  EndpointStatsDocument,
  type HealthFragment,
} from '../generated/documents.ts';
import { useSteadyQuery } from '../graphql/use-steady-query.ts';
import { useFollow } from '../live/follow.ts';
import { StatTiles } from '../overview/stat-tiles.tsx';
import { StatsCharts } from '../overview/stats-charts.tsx';
import { beginningOf } from '../overview/stats-window.ts';
import { EventTypes } from './endpoints-page.tsx';

const WINDOW_SECONDS = 3_600;
const BUCKET_SECONDS = 60;
const READ_MS = 5_000;

/** How an endpoint fares, live, and what it is. */
export function EndpointOverview({ endpoint }: { endpoint: EndpointPartsFragment }) {
  const [health, setHealth] = useState(endpoint.health);
  useFollow(
    EndpointHealthTicksDocument,
    { id: endpoint.id },
    { onData: ({ endpointHealth }) => setHealth(endpointHealth) },
  );
  const { stats, error } = useEndpointStats(endpoint.id);
  return (
    <Stack>
      <Panel title="Health now">
        <HealthFacts health={health} />
      </Panel>
      {error && !stats && <ErrorNotice error={error} />}
      <StatTiles total={stats?.total ?? null} waiting={health.waiting} oldestWaitingAt={health.oldestWaitingAt} />
      <StatsCharts points={stats?.buckets ?? []} seconds={WINDOW_SECONDS} />
      <Panel title="What it is">
        <EndpointFacts endpoint={endpoint} />
      </Panel>
    </Stack>
  );
}

function useEndpointStats(id: string) {
  const from = beginningOf({ seconds: WINDOW_SECONDS }, usePulse(READ_MS));
  const variables = { id, from, bucketSeconds: BUCKET_SECONDS };
  const { data, error } = useSteadyQuery({ query: EndpointStatsDocument, variables, about: id });
  return { stats: data?.deliveryStats ?? null, error };
}

function HealthFacts({ health }: { health: HealthFragment }) {
  const { state, failuresInARow, failingSince, nextProbeAt, hasOwnLane } = health;
  return (
    <Facts
      facts={[
        ['State', <StatusBadge key="state" status={state} />],
        ['Failures in a row', failuresInARow >= 100 ? '100 or more' : failuresInARow],
        ['Failing since', failingSince && <Ago at={failingSince} />],
        ['Backed off, tried again', nextProbeAt && <Countdown to={nextProbeAt} />],
        ['Waits', hasOwnLane ? 'in a lane of its own' : 'in the shared lane'],
      ]}
    />
  );
}

function EndpointFacts({ endpoint }: { endpoint: EndpointPartsFragment }) {
  const { retryPolicy, headers } = endpoint;
  const headerNames = Object.keys(headers as object);
  return (
    <Facts
      facts={[
        ['Address', `${endpoint.method} ${endpoint.url}`],
        ['Description', endpoint.description],
        ['Event types', <EventTypes key="types" types={endpoint.eventTypes} shown={12} />],
        ['Timeout', describeDuration(endpoint.timeoutMs)],
        [
          'Rate',
          endpoint.rateLimitPerSecond === null ? 'no limit' : `${endpoint.rateLimitPerSecond} attempts a second`,
        ],
        [
          'Retries',
          retryPolicy.maxRetries === 0
            ? 'none'
            : `${retryPolicy.maxRetries}, after ${retryPolicy.delaysSeconds
                .slice(0, retryPolicy.maxRetries)
                .map((seconds) => describeDuration(seconds * 1_000))
                .join(', ')}`,
        ],
        ['Headers of its own', headerNames.length > 0 ? headerNames.join(', ') : 'none'],
        ['Made', <Ago key="made" at={endpoint.createdAt} />],
        ['Changed', <Ago key="changed" at={endpoint.updatedAt} />],
        ['Endpoint ID', <Id key="id" id={endpoint.id} what="endpoint ID" />],
      ]}
    />
  );
}
