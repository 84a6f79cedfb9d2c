import { Button, Group, Paper, Stack, Table, Text } from '@mantine/core';
import { IconBroadcast, IconPlus } from '@tabler/icons-react';
import { useMemo } from 'react';
import { Link, useLocation } from 'wouter';
import { StatusFilter, TextFilter, TextsFilter } from '../elements/filter-fields.tsx';
import { EmptyState, ErrorNotice, Loading } from '../elements/notices.tsx';
import { PageTitle } from '../elements/page-title.tsx';
import { StatusBadge } from '../elements/status-badge.tsx';
import { Ago } from '../elements/time.tsx';
import { readList, useFilters } from '../elements/use-filters.ts';
import { markRow, useRowKeys } from '../elements/use-row-keys.ts';
import type { EventFilter, EventRowFragment, EventStatus } from '../generated/documents.ts';
import { useMay } from '../session/session.tsx';
import { PublishModal } from './publish-modal.tsx';
import { useEventList } from './use-event-list.ts';

const STATUSES: EventStatus[] = ['PENDING', 'DELIVERED', 'FAILED', 'SKIPPED'];

function readEventFilter(params: URLSearchParams): EventFilter {
  const statuses = readList(params, 'status') as EventStatus[];
  const types = readList(params, 'type');
  const sourceKey = params.get('sourceKey');
  return {
    ...(statuses.length > 0 && { statuses: statuses.filter((status) => STATUSES.includes(status)) }),
    ...(types.length > 0 && { types }),
    ...(sourceKey && { sourceKey }),
  };
}

/** All events, newest first, and a way to publish one by hand. */
export default function EventsPage() {
  const filters = useFilters();
  const { params } = filters;
  const filter = useMemo(() => readEventFilter(params), [params]);
  const mayPublish = useMay('EVENTS_PUBLISH');
  const publish = () => filters.set('publish', 'now');
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <PageTitle title="Events" />
        {mayPublish && (
          <Button size="xs" leftSection={<IconPlus size={15} />} onClick={publish}>
            Publish a test event
          </Button>
        )}
      </Group>
      <Group gap="xs" align="flex-end" role="search" aria-label="Filter events">
        <StatusFilter filters={filters} statuses={STATUSES} />
        <TextsFilter filters={filters} name="type" label="Type" />
        <TextFilter filters={filters} name="sourceKey" label="Source key" />
      </Group>
      <Paper withBorder style={{ overflow: 'hidden' }}>
        <EventTable filter={filter} onPublish={mayPublish ? publish : null} />
      </Paper>
      {params.has('publish') && mayPublish && <PublishModal onClose={() => filters.set('publish', null)} />}
    </Stack>
  );
}

function EventTable({ filter, onPublish }: { filter: EventFilter; onPublish: (() => void) | null }) {
  const list = useEventList(filter);
  const { rows, hasNextPage, isLoading, isLoadingMore, hasNew, error, loadMore, reload } = list;
  const [, navigate] = useLocation();
  const { active } = useRowKeys({
    ids: rows.map(({ id }) => id),
    onOpen: (id) => navigate(`/events/${id}`),
  });
  if (error && rows.length === 0) return <ErrorNotice error={error} onRetry={reload} />;
  if (isLoading && rows.length === 0) return <Loading label="Loading events" />;
  if (rows.length === 0) {
    return (
      <EmptyState
        icon={IconBroadcast}
        title="No events"
        action={
          onPublish && (
            <Button size="xs" onClick={onPublish}>
              Publish a test event
            </Button>
          )
        }
      >
        {Object.keys(filter).length > 0
          ? 'None fits these filters.'
          : 'Producers publish events with the mutation publishEvent. You can publish one by hand, too.'}
      </EmptyState>
    );
  }
  return (
    <>
      {error && <ErrorNotice error={error} onRetry={reload} />}
      {hasNew && (
        <Group justify="center" role="status">
          <Button size="compact-sm" variant="light" onClick={reload} my={4}>
            There are new events or changes: show them
          </Button>
        </Group>
      )}
      <Table.ScrollContainer minWidth={480}>
        <Table highlightOnHover verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={120}>Status</Table.Th>
              <Table.Th>Type</Table.Th>
              <Table.Th>Source key</Table.Th>
              <Table.Th w={100}>Endpoints</Table.Th>
              <Table.Th w={120}>Published</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <EventTableRow key={row.id} row={row} isChosen={row.id === active} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {hasNextPage && (
        <Group justify="center" p="xs">
          <Button size="xs" variant="default" onClick={() => void loadMore()} loading={isLoadingMore}>
            Show older events
          </Button>
        </Group>
      )}
    </>
  );
}

function EventTableRow({ row, isChosen }: { row: EventRowFragment; isChosen: boolean }) {
  const { id, type, status, sourceKey, endpointCount, createdAt } = row;
  return (
    <Table.Tr {...markRow(isChosen)}>
      <Table.Td>
        <StatusBadge status={status} />
      </Table.Td>
      <Table.Td>
        <Link to={`/events/${id}`} className="link">
          <Text span fw={550} size="sm">
            {type}
          </Text>
        </Link>
      </Table.Td>
      <Table.Td>{sourceKey ?? '–'}</Table.Td>
      <Table.Td>{endpointCount}</Table.Td>
      <Table.Td>
        <Ago at={createdAt} />
      </Table.Td>
    </Table.Tr>
  );
}
