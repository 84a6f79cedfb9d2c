import { Alert, Anchor, Button, Grid, Stack } from '@mantine/core';
import { IconBan, IconRefresh, IconRestore, IconSendOff } from '@tabler/icons-react';
import { useState } from 'react';
import { Link, useParams, useSearchParams } from 'wouter';
import { ActButton } from '../elements/act-button.tsx';
import { Id } from '../elements/copy.tsx';
import { Facts } from '../elements/facts.tsx';
import { EmptyState, ErrorNotice, Loading, tell, tellFault } from '../elements/notices.tsx';
import { PageHead } from '../elements/page-head.tsx';
import { Panel } from '../elements/panel.tsx';
import { StatusBadge } from '../elements/status-badge.tsx';
import { Ago } from '../elements/time.tsx';
import { useKeys } from '../elements/use-keys.ts';
import {
  CancelDeliveryDocument,
  DeliveryDetailChangesDocument,
  DeliveryDetailDocument,
  type DeliveryDetailPartsFragment,
  RetryDeliveryDocument,
} from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { useLiveQuery } from '../graphql/use-live-query.ts';
import { useMay } from '../session/session.tsx';
import { AttemptDetail } from './attempt-detail.tsx';
import { AttemptTimeline } from './attempt-timeline.tsx';
import { findCancelRefusal, NOT_RETRYABLE } from './not-retryable.ts';

const ATTEMPTS_FIRST = 30;
const ATTEMPTS_MAX = 100;

/** One delivery: its attempts, what was sent and answered, and what can be done. */
export default function DeliveryPage() {
  const { deliveryId = '' } = useParams();
  return <DeliveryById key={deliveryId} deliveryId={deliveryId} />;
}

function DeliveryById({ deliveryId }: { deliveryId: string }) {
  const [attemptCount, setAttemptCount] = useState(ATTEMPTS_FIRST);
  const { data, error, read } = useLiveQuery({
    query: DeliveryDetailDocument,
    variables: { id: deliveryId, attempts: attemptCount },
    feed: DeliveryDetailChangesDocument,
    feedVariables: { id: deliveryId },
  });
  if (error && !data) return <ErrorNotice error={error} onRetry={read} />;
  if (!data) return <Loading label="Loading the delivery" />;
  if (!data.delivery) {
    return (
      <EmptyState icon={IconSendOff} title="There is no such delivery">
        Its event may be older than deliveries are kept, or it belongs to another environment.{' '}
        <Link to="/deliveries">All deliveries</Link>
      </EmptyState>
    );
  }
  const hasMore = data.delivery.attempts.pageInfo.hasNextPage && attemptCount < ATTEMPTS_MAX;
  return <DeliveryView delivery={data.delivery} onMore={hasMore ? () => setAttemptCount(ATTEMPTS_MAX) : null} />;
}

/** @param onMore shows older attempts; null: there are none, or too many */
function DeliveryView({ delivery, onMore }: { delivery: DeliveryDetailPartsFragment; onMore: (() => void) | null }) {
  const [params, setParams] = useSearchParams();
  const { event } = delivery;
  const attempts = delivery.attempts.edges.map(({ node }) => node).toReversed();
  const shown = attempts.find(({ id }) => id === params.get('attempt')) ?? attempts.at(-1) ?? null;
  return (
    <Stack>
      <PageHead
        parent={{ path: '/deliveries', label: 'Deliveries' }}
        title={event.type}
        badge={<StatusBadge status={delivery.status} />}
        actions={<Actions delivery={delivery} />}
      />
      <Summary delivery={delivery} />
      <Grid gap="md">
        <Grid.Col span={{ base: 12, lg: 4 }}>
          <Panel title="Time line">
            {onMore && (
              <Button size="compact-sm" variant="default" onClick={onMore} mb="sm">
                Show earlier attempts
              </Button>
            )}
            <AttemptTimeline
              delivery={delivery}
              attempts={attempts}
              shownId={shown?.id ?? null}
              onShow={(attempt) => setParams({ attempt }, { replace: true })}
            />
          </Panel>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 8 }}>
          {shown ? (
            <AttemptDetail attempt={shown} body={event.body} />
          ) : (
            <Panel title="No attempt yet">What is sent and what comes back shows here, as soon as it does.</Panel>
          )}
        </Grid.Col>
      </Grid>
    </Stack>
  );
}

function Actions({ delivery }: { delivery: DeliveryDetailPartsFragment }) {
  const { id, status, notRetryableReason } = delivery;
  const mayRetry = useMay('DELIVERIES_RETRY');
  const [busy, setBusy] = useState<string | null>(null);
  const noScope = mayRetry ? null : 'Your key may only read: it lacks the scope DELIVERIES_RETRY.';
  const retryRefusal = noScope ?? (notRetryableReason && NOT_RETRYABLE[notRetryableReason]);

  const retry = async (restartSchedule: boolean) => {
    setBusy(restartSchedule ? 'restart' : 'retry');
    const result = await perform(RetryDeliveryDocument, { input: { deliveryId: id, restartSchedule } });
    setBusy(null);
    if (!result.ok) return tellFault(result.message);
    tell(restartSchedule ? 'Queued, with the whole schedule.' : 'One attempt is queued.');
  };
  const cancel = async () => {
    setBusy('cancel');
    const result = await perform(CancelDeliveryDocument, { input: { deliveryId: id } });
    setBusy(null);
    if (!result.ok) return tellFault(result.message);
    tell('The delivery is canceled.');
  };
  useKeys({
    r: () => {
      if (retryRefusal) tellFault(retryRefusal);
      else if (busy === null) void retry(false);
    },
  });
  return (
    <>
      <ActButton
        size="xs"
        leftSection={<IconRefresh size={15} />}
        refusal={retryRefusal}
        loading={busy === 'retry'}
        onClick={() => void retry(false)}
      >
        Retry now
      </ActButton>
      <ActButton
        size="xs"
        variant="default"
        leftSection={<IconRestore size={15} />}
        refusal={retryRefusal}
        loading={busy === 'restart'}
        onClick={() => void retry(true)}
      >
        Retry with the whole schedule
      </ActButton>
      <ActButton
        size="xs"
        variant="default"
        leftSection={<IconBan size={15} />}
        refusal={noScope ?? findCancelRefusal(status)}
        loading={busy === 'cancel'}
        onClick={() => void cancel()}
      >
        Cancel
      </ActButton>
    </>
  );
}

function Summary({ delivery }: { delivery: DeliveryDetailPartsFragment }) {
  const { id, event, endpoint, route, attemptCount, retryCount, maxRetries } = delivery;
  return (
    <Panel title="Delivery">
      {endpoint.status !== 'ACTIVE' && endpoint.deletedAt === null && (
        <Alert color="orange" variant="outline" mb="sm">
          Its endpoint is {endpoint.status.toLowerCase()}
          {endpoint.disabledReason ? `: ${endpoint.disabledReason}` : '.'}
        </Alert>
      )}
      <Facts
        facts={[
          [
            'Event',
            <Anchor key="event" component={Link} to={`/events/${event.id}`} size="sm">
              {event.type}
            </Anchor>,
          ],
          [
            'Endpoint',
            <Anchor key="endpoint" component={Link} to={`/endpoints/${endpoint.id}`} size="sm">
              {endpoint.name}
              {endpoint.deletedAt && ' (deleted)'}
            </Anchor>,
          ],
          ['Address', endpoint.url],
          ['Source key', event.sourceKey],
          ['Route', route?.name],
          ['Attempts made', attemptCount],
          ['Automatic retries used', `${retryCount} of ${maxRetries}`],
          ['Made', <Ago key="made" at={delivery.createdAt} />],
          ['Delivered', delivery.deliveredAt && <Ago at={delivery.deliveredAt} />],
          ['Dead letter since', delivery.deadLetteredAt && <Ago at={delivery.deadLetteredAt} />],
          ['Delivery ID', <Id key="id" id={id} what="delivery ID" />],
        ]}
      />
    </Panel>
  );
}
