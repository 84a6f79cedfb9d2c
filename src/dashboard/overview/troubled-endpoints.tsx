import { Anchor, Group, Stack, Text } from '@mantine/core';
import { IconCircleCheck, IconWebhook } from '@tabler/icons-react';
import { useEffect } from 'react';
import { Link } from 'wouter';
import { usePulse } from '../elements/clock.ts';
import { EmptyState, ErrorNotice, Loading } from '../elements/notices.tsx';
import { Panel } from '../elements/panel.tsx';
import { StatusBadge } from '../elements/status-badge.tsx';
import { Ago } from '../elements/time.tsx';
import { EndpointsByHealthDocument, type EndpointsByHealthQuery } from '../generated/documents.ts';
import { useSteadyQuery } from '../graphql/use-steady-query.ts';
import { describeRatio } from './stat-tiles.tsx';

const READ_MS = 5_000;
const SHOWN = 8;

type Endpoint = EndpointsByHealthQuery['endpoints']['edges'][number]['node'];

/** The worst first. */
const URGENCY: Record<Endpoint['health']['state'], number> = {
  FAILING: 0,
  DISABLED: 1,
  PAUSED: 2,
  HEALTHY: 3,
  IDLE: 4,
};

const isInTrouble = ({ health }: Endpoint) => URGENCY[health.state] < URGENCY.HEALTHY;

const byUrgency = (a: Endpoint, b: Endpoint) =>
  URGENCY[a.health.state] - URGENCY[b.health.state] || b.health.waiting - a.health.waiting;

/** Endpoints that somebody should look at. */
export function TroubledEndpoints() {
  const pulse = usePulse(READ_MS);
  const { data, error, read } = useSteadyQuery({ query: EndpointsByHealthDocument, variables: {} });
  useEffect(() => {
    if (pulse > 0) read();
  }, [pulse, read]);
  return (
    <Panel title="Endpoints in trouble">
      {error && !data ? <ErrorNotice error={error} onRetry={read} /> : data ? <Endpoints data={data} /> : <Loading />}
    </Panel>
  );
}

function Endpoints({ data: { endpoints } }: { data: EndpointsByHealthQuery }) {
  const all = endpoints.edges.map(({ node }) => node);
  const troubled = all.filter(isInTrouble).sort(byUrgency);
  if (all.length === 0) {
    return (
      <EmptyState icon={IconWebhook} title="No endpoints yet">
        An endpoint is a URL that wants events. <Link to="/endpoints?new">Create the first one</Link>.
      </EmptyState>
    );
  }
  if (troubled.length === 0) {
    const which = endpoints.pageInfo.hasNextPage
      ? `The newest ${all.length} endpoints are`
      : all.length === 1
        ? 'The endpoint is'
        : `All ${all.length} endpoints are`;
    return (
      <Group gap="xs" py="md" justify="center">
        <IconCircleCheck size={20} color="var(--mantine-color-green-6)" aria-hidden />
        <Text size="sm">{which} fine.</Text>
      </Group>
    );
  }
  return (
    <Stack gap="sm" component="ul" p={0} m={0} style={{ listStyle: 'none' }}>
      {troubled.slice(0, SHOWN).map((endpoint) => (
        <TroubledEndpoint key={endpoint.id} endpoint={endpoint} />
      ))}
      {troubled.length > SHOWN && (
        <li>
          <Anchor component={Link} to="/endpoints" size="sm">
            and {troubled.length - SHOWN} more
          </Anchor>
        </li>
      )}
    </Stack>
  );
}

function TroubledEndpoint({ endpoint: { id, name, health, disabledReason } }: { endpoint: Endpoint }) {
  const { state, failingSince, failuresInARow, waiting, recent } = health;
  return (
    <li>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Anchor component={Link} to={`/endpoints/${id}`} size="sm" fw={550} className="cut">
          {name}
        </Anchor>
        <StatusBadge status={state} />
      </Group>
      <Text size="xs" c="dimmed">
        {state === 'DISABLED' && (disabledReason ?? 'Disabled by hand.')}
        {state === 'PAUSED' && `${waiting.toLocaleString('en')} deliveries are held.`}
        {state === 'FAILING' && (
          <>
            {failuresInARow >= 100 ? '100 or more' : failuresInARow} failures in a row
            {failingSince && (
              <>
                , since <Ago at={failingSince} />
              </>
            )}
            . {waiting.toLocaleString('en')} waiting, {describeRatio(recent.successRatio)} success lately.
          </>
        )}
      </Text>
    </li>
  );
}
