import type { ClientBase } from 'pg';
import { isOperational } from '../domain/event-type.ts';
import { encodeId } from '../domain/ids.ts';
import type { Tenant } from '../domain/tenant.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { insertMissingDeliveries, makeDelivery } from '../storage/insert-deliveries.ts';
import { type MatchedEndpoint, matchEndpoints } from '../storage/match-endpoints.ts';
import { inTransaction } from '../storage/transaction.ts';
import { changeDeliveries, type DeliveryChangerOptions, signalChanges } from './change-deliveries.ts';
import { decideRetry, retryDeliveriesOf } from './retry-delivery.ts';

const NO_ENDPOINT = 'There is no endpoint with this ID.';

export interface RetryEventInput {
  eventId: string;
  /** Left out: every active endpoint that the event matches today, or the one that it was published for. */
  endpointId?: string | null;
}

/**
 * Sends an event again: to one endpoint, or to every active endpoint that it matches today. Where an endpoint has no
 * delivery of the event yet, one is made, with the whole schedule.
 *
 * @returns IDs of the deliveries that were queued
 * @throws {NotFoundError} where there is no such event or endpoint
 * @throws {DeliveryNotRetryableError} where the one endpoint named can't take it now
 * @throws {InvalidInputError} where the one endpoint named does not take events of this type
 */
export async function retryEvent(
  options: DeliveryChangerOptions,
  tenant: Tenant,
  { eventId, endpointId }: RetryEventInput,
): Promise<string[]> {
  const deliveryIds = await inTransaction(options.pool, async (client) => {
    const event = await findEvent(client, tenant, eventId);
    const target = chooseEndpoint(tenant, endpointId);
    return target ? retryToOne(client, options, { event, endpointId: target }) : retryToAll(client, options, event);
  });
  signalChanges(options.signals);
  return deliveryIds;
}

/** Whoever sees one endpoint sends to that one. @throws {NotFoundError} */
function chooseEndpoint({ endpointId: own }: Tenant, asked: string | null | undefined): string | null {
  if (own !== null && asked && asked !== own) throw new NotFoundError(NO_ENDPOINT);
  return asked ?? own;
}

interface EventToRetry extends Tenant {
  id: string;
  type: string;
  sourceKey: string | null;
}

/** Locked against retention, which must not take it away while it gets a delivery. */
async function findEvent(client: ClientBase, tenant: Tenant, eventId: string): Promise<EventToRetry> {
  const { rows } = await client.query(
    `select id, type, source_key as "sourceKey" from events e where id = $1 and environment_id = $2
       and ($3::uuid is null or exists (select 1 from deliveries d where d.event_id = e.id and d.endpoint_id = $3))
     for key share`,
    [eventId, tenant.environmentId, tenant.endpointId],
  );
  if (rows.length === 0) throw new NotFoundError('There is no event with this ID.');
  return { ...rows[0], ...tenant };
}

async function retryToAll(client: ClientBase, options: DeliveryChangerOptions, event: EventToRetry) {
  const targets = await findTargets(client, event.id);
  if (targets !== null) {
    const retried = await retryDeliveriesOf(client, options, { eventId: event.id, endpointIds: targets });
    return retried.map((delivery) => delivery.id);
  }
  const matched = await findTakers(client, event);
  const active = matched.filter((endpoint) => endpoint.endpointStatus === 'ACTIVE');
  const created = await addDeliveries(client, options, { event, endpoints: active });
  const endpointIds = active.map((endpoint) => endpoint.endpointId);
  const retried = await retryDeliveriesOf(client, options, { eventId: event.id, endpointIds });
  return [...retried.map((delivery) => delivery.id), ...created];
}

/**
 * Endpoints that an event was sent to which was published for one endpoint: it goes to no others unless they are named. Its
 * first delivery has no route.
 *
 * @returns null: it was published for all that take its type
 */
async function findTargets(client: ClientBase, eventId: string): Promise<string[] | null> {
  const { rows } = await client.query<{ id: string; isNamed: boolean }>(
    'select endpoint_id as id, route_id is null as "isNamed" from deliveries where event_id = $1',
    [eventId],
  );
  return rows.some(({ isNamed }) => isNamed) ? rows.map(({ id }) => id) : null;
}

async function retryToOne(
  client: ClientBase,
  options: DeliveryChangerOptions,
  { event, endpointId }: { event: EventToRetry; endpointId: string },
) {
  const where = 'd.event_id = $1 and d.endpoint_id = $2';
  const condition = { name: 'of-event-and-endpoint', where, values: [event.id, endpointId] };
  const decide = (delivery: Parameters<typeof decideRetry>[0]) => decideRetry(delivery, false);
  const retried = await changeDeliveries(client, options.queue, { condition, decide });
  if (retried.length > 0) return retried.map((delivery) => delivery.id);
  await requireEndpoint(client, event, endpointId);
  const matched = (await findTakers(client, event)).find((endpoint) => endpoint.endpointId === endpointId);
  if (matched?.endpointStatus !== 'ACTIVE') throw refuseFirstDelivery(event, matched);
  return addDeliveries(client, options, { event, endpoints: [matched] });
}

/** Endpoints that take the event. No operational event goes to the endpoint that it tells of. */
async function findTakers(client: ClientBase, event: EventToRetry): Promise<MatchedEndpoint[]> {
  const matched = await matchEndpoints(client, [event]);
  if (!isOperational(event.type)) return matched;
  return matched.filter(({ endpointId }) => encodeId('Endpoint', endpointId) !== event.sourceKey);
}

async function requireEndpoint(client: ClientBase, { environmentId }: Tenant, endpointId: string) {
  const { rows } = await client.query(
    'select 1 from endpoints where id = $1 and environment_id = $2 and deleted_at is null',
    [endpointId, environmentId],
  );
  if (rows.length === 0) throw new NotFoundError(NO_ENDPOINT);
}

/** There is no delivery to name in a DeliveryNotRetryableError, so this says what to change. */
function refuseFirstDelivery(event: EventToRetry, endpoint: MatchedEndpoint | undefined): InvalidInputError {
  const message = endpoint
    ? `The endpoint is ${endpoint.endpointStatus.toLowerCase()}. Make it active first.`
    : `The endpoint takes no events of type ${event.type}. Add the type to its eventTypes first.`;
  return new InvalidInputError([{ path: ['endpointId'], message }]);
}

/** Makes deliveries to endpoints that have none of this event yet. @returns IDs of those made */
async function addDeliveries(
  client: ClientBase,
  { queue }: DeliveryChangerOptions,
  { event, endpoints }: { event: EventToRetry; endpoints: MatchedEndpoint[] },
): Promise<string[]> {
  const now = new Date();
  const deliveries = endpoints.map((endpoint) => makeDelivery(event, endpoint, now));
  const inserted = await insertMissingDeliveries(client, deliveries, now);
  const added = deliveries.filter((delivery) => inserted.has(delivery.id));
  if (added.length === 0) return [];
  const queued = added.filter(({ state }) => state.status === 'PENDING' && !state.inLane);
  await queue.add(
    client,
    queued.map(({ id, state }) => ({ deliveryId: id, plan: state.plan })),
  );
  await client.query('update events set endpoint_count = endpoint_count + $2 where id = $1', [event.id, added.length]);
  return added.map((delivery) => delivery.id);
}
