import { Anchor, Badge, Button, Group, Paper, Stack, Table, Text, TextInput } from '@mantine/core';
import { useThrottledCallback } from '@mantine/hooks';
import { IconPlus, IconWebhook } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { Link, Redirect, useLocation, useSearchParams } from 'wouter';
import { usePulse } from '../elements/clock.ts';
import { EmptyState, ErrorNotice, Loading } from '../elements/notices.tsx';
import { PageTitle } from '../elements/page-title.tsx';
import { Sparkline } from '../elements/sparkline.tsx';
import { StatusBadge } from '../elements/status-badge.tsx';
import { markRow, useRowKeys } from '../elements/use-row-keys.ts';
import { EndpointListChangesDocument, EndpointListDocument, type EndpointListQuery } from '../generated/documents.ts';
import { useSteadyQuery } from '../graphql/use-steady-query.ts';
import { useFollow } from '../live/follow.ts';
import { describeRatio } from '../overview/stat-tiles.tsx';
import { beginningOf } from '../overview/stats-window.ts';
import { useMay, useViewer } from '../session/session.tsx';
import { CreateEndpointModal } from './create-endpoint-modal.tsx';

const PAGE_ROWS = 40;
const READ_MS = 10_000;
const WINDOW_SECONDS = 3_600;
/** Bars of a sparkline: 30 in an hour. */
const BUCKET_SECONDS = 120;

type Endpoint = EndpointListQuery['endpoints']['edges'][number]['node'];

/** All endpoints with how they fare. */
export default function EndpointsPage() {
  const { endpoint: only } = useViewer();
  const [params, setParams] = useSearchParams();
  const mayManage = useMay('ENDPOINTS_MANAGE');
  // A view of one endpoint has no list.
  if (only) return <Redirect to={`/endpoints/${only.id}`} replace />;
  const create = () => setParams({ new: '' });
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <PageTitle title="Endpoints" />
        {mayManage && (
          <Button size="xs" leftSection={<IconPlus size={15} />} onClick={create}>
            Create an endpoint
          </Button>
        )}
      </Group>
      <EndpointList name={params.get('name') ?? ''} onCreate={mayManage ? create : null} />
      {params.has('new') && mayManage && <CreateEndpointModal onClose={() => setParams({}, { replace: true })} />}
    </Stack>
  );
}

/** @param name shows those whose name or address has it */
function EndpointList({ name, onCreate }: { name: string; onCreate: (() => void) | null }) {
  const [changedAt, setChangedAt] = useState(0);
  const [after, setAfter] = useState<string | null>(null);
  const [text, setText] = useState(name);
  useEffect(() => setText(name), [name]);
  const from = beginningOf({ seconds: WINDOW_SECONDS }, Math.max(usePulse(READ_MS), changedAt));
  const variables = { first: PAGE_ROWS, after, from, bucketSeconds: BUCKET_SECONDS };
  const { data: page, error, fetching, read } = useSteadyQuery({ query: EndpointListDocument, variables });
  const refresh = useThrottledCallback(() => setChangedAt(Date.now()), 1_000);
  const [cursor, setCursor] = useState<string | null>(null);
  if (cursor === null && page) setCursor(page.liveCursor);
  useFollow(
    EndpointListChangesDocument,
    { after: cursor },
    { pause: cursor === null, onData: refresh, onExpired: () => setCursor(page?.liveCursor ?? null) },
  );

  if (error && !page) return <ErrorNotice error={error} onRetry={read} />;
  if (!page) return <Loading label="Loading endpoints" />;
  const all = page.endpoints.edges.map(({ node }) => node);
  if (all.length === 0 && after === null) return <NoEndpoints onCreate={onCreate} />;
  const wanted = text.trim().toLowerCase();
  const rows = all.filter((row) => `${row.name} ${row.url}`.toLowerCase().includes(wanted));
  return (
    <>
      <TextInput
        size="xs"
        w={260}
        label="Name or address"
        placeholder="Any"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <Paper withBorder style={{ overflow: 'hidden' }}>
        <EndpointTable rows={rows} />
        {rows.length === 0 && (
          <Text size="sm" c="dimmed" p="md" ta="center">
            No endpoint shown here has “{text}” in its name or address.
            {page.endpoints.pageInfo.hasNextPage && ' Older ones are further down.'}
          </Text>
        )}
        <Group justify="center" p={after || page.endpoints.pageInfo.hasNextPage ? 'xs' : 0}>
          {after && (
            <Button size="xs" variant="default" onClick={() => setAfter(null)}>
              Back to the newest
            </Button>
          )}
          {page.endpoints.pageInfo.hasNextPage && (
            <Button
              size="xs"
              variant="default"
              loading={fetching}
              onClick={() => setAfter(page.endpoints.pageInfo.endCursor)}
            >
              Show older endpoints
            </Button>
          )}
        </Group>
      </Paper>
    </>
  );
}

function NoEndpoints({ onCreate }: { onCreate: (() => void) | null }) {
  return (
    <Paper withBorder>
      <EmptyState
        icon={IconWebhook}
        title="No endpoints yet"
        action={
          onCreate && (
            <Button size="xs" onClick={onCreate}>
              Create an endpoint
            </Button>
          )
        }
      >
        An endpoint is a URL that wants events. To try it out, run <code>npm run receiver</code> and create one for
        http://127.0.0.1:4400/.
      </EmptyState>
    </Paper>
  );
}

function EndpointTable({ rows }: { rows: Endpoint[] }) {
  const [, navigate] = useLocation();
  const { active } = useRowKeys({
    ids: rows.map(({ id }) => id),
    onOpen: (id) => navigate(`/endpoints/${id}`),
  });
  return (
    <Table.ScrollContainer minWidth={760}>
      <Table highlightOnHover verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={120}>Health</Table.Th>
            <Table.Th>Endpoint</Table.Th>
            <Table.Th w={190}>Event types</Table.Th>
            <Table.Th w={150}>Last hour</Table.Th>
            <Table.Th w={90}>Success</Table.Th>
            <Table.Th w={90}>Waiting</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <EndpointRow key={row.id} row={row} isChosen={row.id === active} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function EndpointRow({ row, isChosen }: { row: Endpoint; isChosen: boolean }) {
  const { id, name, url, eventTypes, health, stats } = row;
  const points = stats.buckets.map(({ attempts, successRatio }) => ({
    attempts,
    succeeded: Math.round((successRatio ?? 0) * attempts),
  }));
  return (
    <Table.Tr {...markRow(isChosen)}>
      <Table.Td>
        <StatusBadge status={health.state} />
      </Table.Td>
      <Table.Td maw={300}>
        <Anchor component={Link} to={`/endpoints/${id}`} size="sm" fw={550}>
          {name}
        </Anchor>
        <Text size="xs" c="dimmed" className="cut" title={url}>
          {url}
        </Text>
      </Table.Td>
      <Table.Td>
        <EventTypes types={eventTypes} />
      </Table.Td>
      <Table.Td>
        <Sparkline points={points} label={`${stats.total.attempts} attempts in the last hour`} />
      </Table.Td>
      <Table.Td>{describeRatio(stats.total.successRatio)}</Table.Td>
      <Table.Td>{health.waiting.toLocaleString('en')}</Table.Td>
    </Table.Tr>
  );
}

const TYPES_SHOWN = 3;

/** Event types as badges; more than a few are counted. */
export function EventTypes({ types, shown = TYPES_SHOWN }: { types: string[]; shown?: number }) {
  return (
    <Group gap={4}>
      {types.slice(0, shown).map((type) => (
        <Badge key={type} size="sm" variant="default" tt="none" fw={500}>
          {type}
        </Badge>
      ))}
      {types.length > shown && (
        <Text size="xs" c="dimmed" title={types.slice(shown).join(', ')}>
          and {types.length - shown} more
        </Text>
      )}
    </Group>
  );
}
