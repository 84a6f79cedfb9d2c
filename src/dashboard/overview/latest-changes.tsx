import { Anchor, Group, ScrollArea, Stack, Text } from '@mantine/core';
import { IconActivity } from '@tabler/icons-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { describeAttemptError } from '../deliveries/attempt-words.ts';
import { EmptyState, ErrorNotice } from '../elements/notices.tsx';
import { Panel } from '../elements/panel.tsx';
import { StatusBadge } from '../elements/status-badge.tsx';
import { Ago } from '../elements/time.tsx';
import {
  LatestChangesDocument,
  type LatestChangesSubscription,
  LatestDeliveriesDocument,
  type LatestDeliveriesQuery,
} from '../generated/documents.ts';
import { useSteadyQuery } from '../graphql/use-steady-query.ts';
import { useFollow } from '../live/follow.ts';

const SHOWN = 30;

type Change = LatestChangesSubscription['deliveryChanges']['changes'][number];

/** The newest deliveries as they stand, until something happens. */
const toChanges = ({ deliveries }: LatestDeliveriesQuery): Change[] =>
  deliveries.edges.map(({ node: { id, status, updatedAt, event, endpoint, lastAttempt } }) => ({
    ...{ status, previousStatus: null, changedAt: updatedAt, attempt: lastAttempt },
    delivery: { id, event, endpoint },
  }));

const keyOf = ({ delivery, status }: Change) => `${delivery.id} ${status}`;

/** What happens, as it happens. */
export function LatestChanges() {
  const { data, error, read } = useSteadyQuery({ query: LatestDeliveriesDocument, variables: {} });
  const [told, setTold] = useState<Change[]>([]);
  useFollow(
    LatestChangesDocument,
    { after: data?.liveCursor },
    {
      pause: !data,
      onData: ({ deliveryChanges }) =>
        setTold((now) => [...deliveryChanges.changes.toReversed(), ...now].slice(0, SHOWN)),
      onExpired: read,
    },
  );
  const toldKeys = new Set(told.map(keyOf));
  const changes =
    data && [...told, ...toChanges(data).filter((change) => !toldKeys.has(keyOf(change)))].slice(0, SHOWN);
  return (
    <Panel title="Latest changes">
      {error && !data && <ErrorNotice error={error} onRetry={read} />}
      {changes?.length === 0 ? (
        <EmptyState icon={IconActivity} title="Nothing has happened yet">
          <Link to="/events?publish">Publish an event</Link>, and watch it here.
        </EmptyState>
      ) : (
        <ScrollArea.Autosize
          mah={420}
          type="auto"
          offsetScrollbars="y"
          // Not read out as it comes: it may be hundreds of lines a second.
          viewportProps={{ tabIndex: 0, role: 'log', 'aria-live': 'off', 'aria-label': 'Latest changes' }}
        >
          <Stack gap={10}>
            {changes?.map((change) => (
              <ChangeLine key={`${keyOf(change)} ${change.changedAt}`} change={change} />
            ))}
          </Stack>
        </ScrollArea.Autosize>
      )}
    </Panel>
  );
}

function ChangeLine({ change: { delivery, status, attempt, changedAt } }: { change: Change }) {
  return (
    <div>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Anchor component={Link} to={`/deliveries/${delivery.id}`} size="sm" fw={550} className="cut">
          {delivery.event.type}
        </Anchor>
        <StatusBadge status={status} />
      </Group>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="xs" c="dimmed" className="cut">
          {delivery.endpoint.name}
          {attempt && `, attempt ${attempt.number}: ${describeAttempt(attempt)}`}
        </Text>
        <Text size="xs" c="dimmed" component="span">
          <Ago at={changedAt} />
        </Text>
      </Group>
    </div>
  );
}

const describeAttempt = ({ responseStatus, error }: NonNullable<Change['attempt']>): string =>
  responseStatus !== null ? String(responseStatus) : error ? describeAttemptError(error.code) : 'recorded';
