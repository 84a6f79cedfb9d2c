import { Anchor, Menu, Paper, Stack, Title } from '@mantine/core';
import { IconBroadcastOff, IconChevronDown, IconRefresh } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { useQuery } from 'urql';
import { Link, useParams } from 'wouter';
import { DeliveryTable } from '../deliveries/delivery-table.tsx';
import { NoDeliveries } from '../deliveries/no-deliveries.tsx';
import { ActButton } from '../elements/act-button.tsx';
import { Copy, Id } from '../elements/copy.tsx';
import { Facts } from '../elements/facts.tsx';
import { Body } from '../elements/json-view.tsx';
import { EmptyState, ErrorNotice, Loading, tell, tellFault } from '../elements/notices.tsx';
import { PageHead } from '../elements/page-head.tsx';
import { Panel } from '../elements/panel.tsx';
import { StatusBadge } from '../elements/status-badge.tsx';
import { Ago } from '../elements/time.tsx';
import {
  EndpointChoicesDocument,
  EventDetailChangesDocument,
  EventDetailDocument,
  type EventDetailPartsFragment,
  RetryEventDocument,
} from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { useLiveQuery } from '../graphql/use-live-query.ts';
import { useMay } from '../session/session.tsx';

/** One event: what was published, and what became of it everywhere. */
export default function EventPage() {
  const { eventId = '' } = useParams();
  return <EventById key={eventId} eventId={eventId} />;
}

function EventById({ eventId }: { eventId: string }) {
  const { data, error, read } = useLiveQuery({
    query: EventDetailDocument,
    variables: { id: eventId },
    feed: EventDetailChangesDocument,
    feedVariables: { id: eventId },
  });
  if (error && !data) return <ErrorNotice error={error} onRetry={read} />;
  if (!data) return <Loading label="Loading the event" />;
  if (!data.event) {
    return (
      <EmptyState icon={IconBroadcastOff} title="There is no such event">
        It may be older than events are kept, or belong to another environment. <Link to="/events">All events</Link>
      </EmptyState>
    );
  }
  return <EventView event={data.event} onRetried={read} />;
}

function EventView({ event, onRetried }: { event: EventDetailPartsFragment; onRetried: () => void }) {
  const filter = useMemo(() => ({ eventId: event.id }), [event.id]);
  return (
    <Stack>
      <PageHead
        parent={{ path: '/events', label: 'Events' }}
        title={event.type}
        badge={<StatusBadge status={event.status} />}
        actions={<SendAgain event={event} onRetried={onRetried} />}
      />
      <Panel title="Event">
        <EventFacts event={event} />
      </Panel>
      <Panel title="Body" actions={<Copy text={event.body} what="body" />}>
        <Body text={event.body} label="Body of the event" />
      </Panel>
      <Paper withBorder component="section" style={{ overflow: 'hidden' }}>
        <Title order={2} size="h5" p="md" pb="xs">
          Deliveries
        </Title>
        <DeliveryTable
          key={event.id}
          filter={filter}
          maxHeight="480px"
          empty={
            <NoDeliveries>
              No endpoint took events of this type when it was published. Send it again to one by hand.
            </NoDeliveries>
          }
        />
      </Paper>
    </Stack>
  );
}

function EventFacts({ event }: { event: EventDetailPartsFragment }) {
  const { source } = event;
  return (
    <Facts
      facts={[
        ['Published', <Ago key="published" at={event.createdAt} />],
        ['Last change', <Ago key="changed" at={event.updatedAt} />],
        ['Endpoints', event.endpointCount],
        ['Source key', event.sourceKey],
        ['Idempotency key', event.idempotencyKey],
        ['Content type', event.contentType],
        ['Workflow', source?.workflowId],
        ['Run', source?.runId],
        ['Node', source?.nodeId],
        ['Event ID', <Id key="id" id={event.id} what="event ID" />],
      ]}
    />
  );
}

function SendAgain({ event, onRetried }: { event: EventDetailPartsFragment; onRetried: () => void }) {
  const mayRetry = useMay('DELIVERIES_RETRY');
  const [isBusy, setBusy] = useState(false);
  const [{ data }] = useQuery({ query: EndpointChoicesDocument });
  const send = async (endpointId: string | null) => {
    setBusy(true);
    const result = await perform(RetryEventDocument, { input: { eventId: event.id, endpointId } });
    setBusy(false);
    if (!result.ok) return tellFault(result.message);
    tell(`${result.payload.message}.`);
    onRetried();
  };
  const endpoints = data?.endpoints.edges.map(({ node }) => node) ?? [];
  return (
    <Menu position="bottom-end" withArrow disabled={!mayRetry}>
      <Menu.Target>
        <ActButton
          size="xs"
          leftSection={<IconRefresh size={15} />}
          rightSection={<IconChevronDown size={14} />}
          refusal={mayRetry ? null : 'Your key may only read: it lacks the scope DELIVERIES_RETRY.'}
          loading={isBusy}
          onClick={() => {}}
        >
          Send again
        </ActButton>
      </Menu.Target>
      <Menu.Dropdown mah={420} style={{ overflowY: 'auto' }}>
        <Menu.Item onClick={() => void send(null)}>To all endpoints that match today</Menu.Item>
        <Menu.Divider />
        <Menu.Label>To one</Menu.Label>
        {endpoints.map(({ id, name, url }) => (
          <Menu.Item key={id} onClick={() => void send(id)}>
            {name}
            <Anchor component="span" c="dimmed" size="xs" display="block" className="cut" maw={320}>
              {url}
            </Anchor>
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
