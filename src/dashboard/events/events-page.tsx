import { Button, Group, MultiSelect, Paper, Stack, Table, TagsInput, Text, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconBroadcast, IconPlus } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { Link, useLocation, useSearchParams } from 'wouter';
import { EmptyState, ErrorNotice, Loading } from '../elements/notices.tsx';
import { PageTitle } from '../elements/page-title.tsx';
import { labelOf, StatusBadge } from '../elements/status-badge.tsx';
import { Ago } from '../elements/time.tsx';
import { markRow, useRowKeys } from '../elements/use-row-keys.ts';
import type { EventFilter, EventRowFragment, EventStatus } from '../generated/documents.ts';
import { useMay } from '../session/session.tsx';
import { PublishModal } from './publish-modal.tsx';
import { useEventList } from './use-event-list.ts';

const STATUSES: EventStatus[] = ['PENDING', 'DELIVERED', 'FAILED', 'SKIPPED'];

function readEventFilter(params: URLSearchParams): EventFilter {
  const list = (name: string) => params.get(name)?.split(',').filter(Boolean) ?? [];
  const statuses = list('status').filter((status): status is EventStatus => (STATUSES as string[]).includes(status));
  return {
    ...(statuses.length > 0 && { statuses }),
    ...(list('type').length > 0 && { types: list('type') }),
    ...(params.get('sourceKey') && { sourceKey: params.get('sourceKey') }),
  };
}

/** All events, newest first, and a way to publish one by hand. */
export default function EventsPage() {
  const [params, setParams] = useSearchParams();
  const filter = useMemo(() => readEventFilter(params), [params]);
  const mayPublish = useMay('EVENTS_PUBLISH');
  const set = (name: string, value: string | null) =>
    setParams(
      (now) => {
        const next = new URLSearchParams(now);
        if (value === null) next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <PageTitle title="Events" />
        {mayPublish && (
          <Button size="xs" leftSection={<IconPlus size={15} />} onClick={() => set('publish', '')}>
            Publish a test event
          </Button>
        )}
      </Group>
      <Filters params={params} onSet={set} />
      <Paper withBorder style={{ overflow: 'hidden' }}>
        <EventTable filter={filter} onPublish={mayPublish ? () => set('publish', '') : null} />
      </Paper>
      {params.has('publish') && mayPublish && <PublishModal onClose={() => set('publish', null)} />}
    </Stack>
  );
}

function Filters({ params, onSet }: { params: URLSearchParams; onSet: (name: string, value: string | null) => void }) {
  const list = (name: string) => params.get(name)?.split(',').filter(Boolean) ?? [];
  const [key, setKey] = useState<string | null>(null);
  const settleKey = useDebouncedCallback((value: string) => {
    onSet('sourceKey', value.trim() || null);
    setKey(null);
  }, 350);
  return (
    <Group gap="xs" align="flex-end" role="search" aria-label="Filter events">
      <MultiSelect
        size="xs"
        label="Status"
        placeholder={list('status').length === 0 ? 'Any' : undefined}
        data={STATUSES.map((value) => ({ value, label: labelOf(value) }))}
        value={list('status')}
        onChange={(values) => onSet('status', values.join(',') || null)}
        miw={130}
        clearable
      />
      <TagsInput
        size="xs"
        label="Type"
        placeholder={list('type').length === 0 ? 'Any' : undefined}
        value={list('type')}
        onChange={(values) => onSet('type', values.join(',') || null)}
        miw={130}
        clearable
      />
      <TextInput
        size="xs"
        label="Source key"
        placeholder="Any"
        value={key ?? params.get('sourceKey') ?? ''}
        onChange={(event) => {
          setKey(event.currentTarget.value);
          settleKey(event.currentTarget.value);
        }}
      />
    </Group>
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
