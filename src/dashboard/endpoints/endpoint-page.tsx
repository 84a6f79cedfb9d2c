import { Alert, Paper, Stack, Tabs } from '@mantine/core';
import { IconWebhookOff } from '@tabler/icons-react';
import { useMemo } from 'react';
import { Link, useParams, useSearchParams } from 'wouter';
import { DeliveryTable } from '../deliveries/delivery-table.tsx';
import { NoDeliveries } from '../deliveries/no-deliveries.tsx';
import { EmptyState, ErrorNotice, Loading } from '../elements/notices.tsx';
import { PageHead } from '../elements/page-head.tsx';
import { StatusBadge } from '../elements/status-badge.tsx';
import { Ago } from '../elements/time.tsx';
import {
  EndpointDetailChangesDocument,
  EndpointDetailDocument,
  type EndpointPartsFragment,
} from '../generated/documents.ts';
import { useLiveQuery } from '../graphql/use-live-query.ts';
import { useMay } from '../session/session.tsx';
import { EditEndpoint } from './edit-endpoint.tsx';
import { EndpointActions } from './endpoint-actions.tsx';
import { EndpointOverview } from './endpoint-overview.tsx';
import { Signing } from './signing.tsx';

/** One endpoint: how it fares, its deliveries, its settings, and how it is signed. */
export default function EndpointPage() {
  const { endpointId = '' } = useParams();
  return <EndpointById key={endpointId} endpointId={endpointId} />;
}

function EndpointById({ endpointId }: { endpointId: string }) {
  const { data, error, read } = useLiveQuery({
    query: EndpointDetailDocument,
    variables: { id: endpointId },
    feed: EndpointDetailChangesDocument,
    feedVariables: { id: endpointId },
  });
  if (error && !data) return <ErrorNotice error={error} onRetry={read} />;
  if (!data) return <Loading label="Loading the endpoint" />;
  if (!data.endpoint) {
    return (
      <EmptyState icon={IconWebhookOff} title="There is no such endpoint">
        It was deleted, or belongs to another environment. Its deliveries can still be read.{' '}
        <Link to="/endpoints">All endpoints</Link>
      </EmptyState>
    );
  }
  return <EndpointView endpoint={data.endpoint} onChanged={read} />;
}

function EndpointView({ endpoint, onChanged }: { endpoint: EndpointPartsFragment; onChanged: () => void }) {
  const [params, setParams] = useSearchParams();
  const mayManage = useMay('ENDPOINTS_MANAGE');
  const filter = useMemo(() => ({ endpointId: endpoint.id }), [endpoint.id]);
  return (
    <Stack>
      <PageHead
        parent={{ path: '/endpoints', label: 'Endpoints' }}
        title={endpoint.name}
        badge={<StatusBadge status={endpoint.status} />}
        actions={<EndpointActions endpoint={endpoint} onChanged={onChanged} />}
      />
      {endpoint.status === 'DISABLED' && (
        <Alert color="red" variant="outline" title="Disabled">
          {endpoint.disabledReason ?? 'Disabled by hand.'}{' '}
          {endpoint.disabledAt && (
            <>
              It has been so since <Ago at={endpoint.disabledAt} />.{' '}
            </>
          )}
          What is published meanwhile is skipped, and can be retried once it is enabled.
        </Alert>
      )}
      {endpoint.status === 'PAUSED' && (
        <Alert color="violet" variant="outline" title="Paused">
          Deliveries are held, and go out when it is resumed.
        </Alert>
      )}
      <Tabs
        value={params.get('tab') ?? 'overview'}
        onChange={(tab) => setParams(tab && tab !== 'overview' ? { tab } : {}, { replace: true })}
        keepMounted={false}
      >
        <Tabs.List mb="md">
          <Tabs.Tab value="overview">Overview</Tabs.Tab>
          <Tabs.Tab value="deliveries">Deliveries</Tabs.Tab>
          {mayManage && <Tabs.Tab value="settings">Settings</Tabs.Tab>}
          <Tabs.Tab value="signing">Signing</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="overview">
          <EndpointOverview endpoint={endpoint} />
        </Tabs.Panel>
        <Tabs.Panel value="deliveries">
          <Paper withBorder style={{ overflow: 'hidden' }}>
            <DeliveryTable
              filter={filter}
              maxHeight="calc(100dvh - 300px)"
              isOfEndpoint
              empty={<NoDeliveries>Nothing was sent to this endpoint yet. Send it a test event.</NoDeliveries>}
            />
          </Paper>
        </Tabs.Panel>
        {mayManage && (
          <Tabs.Panel value="settings">
            <EditEndpoint endpoint={endpoint} onSaved={onChanged} />
          </Tabs.Panel>
        )}
        <Tabs.Panel value="signing">
          <Signing endpoint={endpoint} onRotated={onChanged} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}
