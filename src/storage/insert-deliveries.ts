import type { ClientBase } from 'pg';
import { type DeliveryState, newDelivery, transition } from '../domain/delivery.ts';
import { newId } from '../domain/ids.ts';
import { type EndpointColumns, toRetryPolicy } from './endpoint-columns.ts';
import type { EventRow } from './insert-events.ts';

/** A delivery that is about to be stored, in its first state. */
export interface NewDelivery {
  id: string;
  organizationId: string;
  environmentId: string;
  eventId: string;
  endpointId: string;
  routeId: string | null;
  /** Of the event, as the source key is. */
  eventType: string;
  sourceKey: string | null;
  state: DeliveryState;
}

/** An endpoint that takes an event. */
export interface Taker extends EndpointColumns {
  endpointId: string;
  /** Null: the event names the endpoint. */
  routeId: string | null;
}

/** The delivery of an event to an endpoint that takes it: queued, held or skipped, as the endpoint's status has it. */
export function makeDelivery(
  event: Pick<EventRow, 'id' | 'organizationId' | 'environmentId' | 'type' | 'sourceKey'>,
  endpoint: Taker,
  now: Date,
): NewDelivery {
  const retryPolicy = toRetryPolicy(endpoint);
  const context = { ...endpoint, retryPolicy, now, random: 0 };
  return {
    id: newId(),
    organizationId: event.organizationId,
    environmentId: event.environmentId,
    eventId: event.id,
    endpointId: endpoint.endpointId,
    routeId: endpoint.routeId,
    eventType: event.type,
    sourceKey: event.sourceKey,
    state: transition(newDelivery(retryPolicy.maxRetries), { type: 'due' }, context),
  };
}

const toSql = (onConflict: string) => `
with inserted as (
  insert into deliveries (
    id, organization_id, environment_id, event_id, endpoint_id, route_id, event_type, source_key, status, max_retries,
    plan, queued_trigger, in_lane, created_at, updated_at)
  select *, $14::timestamptz, $14::timestamptz from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[],
    $9::delivery_status[], $10::int[], $11::int[], $12::attempt_trigger[], $13::boolean[])
  ${onConflict}
  returning id, environment_id, event_id, endpoint_id, status
), changed as (
  insert into delivery_changes (environment_id, delivery_id, event_id, endpoint_id, status, changed_at)
  select environment_id, id, event_id, endpoint_id, status, $14 from inserted
)
select id from inserted`;

const SQL = toSql('');
const MISSING_SQL = toSql('on conflict (event_id, endpoint_id) do nothing');

/** Stores the deliveries of new events, and the changes that tell of them. */
export async function insertDeliveries(client: ClientBase, deliveries: NewDelivery[], now: Date): Promise<void> {
  if (deliveries.length === 0) return;
  await client.query({ name: 'insert-deliveries', text: SQL, values: toValues(deliveries, now) });
}

/**
 * The same where some may be there already: an event has one delivery to an endpoint at the most, so the new one is
 * left out. Looking out for that costs a seventh of the statement.
 *
 * @returns IDs of the deliveries stored
 */
export async function insertMissingDeliveries(
  client: ClientBase,
  deliveries: NewDelivery[],
  now: Date,
): Promise<Set<string>> {
  if (deliveries.length === 0) return new Set();
  const values = toValues(deliveries, now);
  const { rows } = await client.query({ name: 'insert-missing-deliveries', text: MISSING_SQL, values });
  return new Set(rows.map((row) => row.id));
}

const toValues = (deliveries: NewDelivery[], now: Date): unknown[] => [
  deliveries.map((delivery) => delivery.id),
  deliveries.map((delivery) => delivery.organizationId),
  deliveries.map((delivery) => delivery.environmentId),
  deliveries.map((delivery) => delivery.eventId),
  deliveries.map((delivery) => delivery.endpointId),
  deliveries.map((delivery) => delivery.routeId),
  deliveries.map((delivery) => delivery.eventType),
  deliveries.map((delivery) => delivery.sourceKey),
  deliveries.map((delivery) => delivery.state.status),
  deliveries.map((delivery) => delivery.state.maxRetries),
  deliveries.map((delivery) => delivery.state.plan),
  deliveries.map((delivery) => delivery.state.queuedTrigger),
  deliveries.map((delivery) => delivery.state.inLane),
  now,
];
