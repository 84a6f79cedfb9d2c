import type { ClientBase } from 'pg';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import { findNamedEndpoints, keyOfName, type NamedEndpoint } from '../storage/find-named-endpoints.ts';
import { insertDeliveries, makeDelivery, type NewDelivery } from '../storage/insert-deliveries.ts';
import type { EventRow } from '../storage/insert-events.ts';
import { type EventTypeOfEnvironment, type MatchedEndpoint, matchEndpoints } from '../storage/match-endpoints.ts';
import type { Sent } from '../storage/transaction.ts';
import { isTargeted, type TargetedEvent } from './event-input.ts';

const keyOf = ({ environmentId, type }: EventTypeOfEnvironment) => `${environmentId} ${type}`;

/** The types of some events, each once. */
const typesOf = (events: EventRow[]): EventTypeOfEnvironment[] => [
  ...new Map(events.map((event) => [keyOf(event), event])).values(),
];

const nameOf = ({ environmentId, target }: TargetedEvent) => ({ environmentId, endpointId: target.endpointId });

/** Endpoints that take some events. */
export interface Takers {
  /** Those that want their types. */
  matched: MatchedEndpoint[];
  /** Those that events name, by {@link keyOfName}. */
  named: Map<string, NamedEndpoint>;
}

/** Finds who takes some events. Its statements are sent at once; what is not asked for has none. */
export async function findTakers(client: ClientBase, events: EventRow[]): Promise<Takers> {
  const targeted = events.filter(isTargeted);
  const others = targeted.length === 0 ? events : events.filter((event) => !isTargeted(event));
  const [matched, named] = await Promise.all([
    others.length === 0 ? [] : matchEndpoints(client, typesOf(others)),
    targeted.length === 0 ? new Map<string, NamedEndpoint>() : findNamedEndpoints(client, targeted.map(nameOf)),
  ]);
  return { matched, named };
}

/**
 * The deliveries of each event, to the endpoint that it names or to those that want its type. Tells the events how many
 * they are.
 *
 * @param mayGet leaves out endpoints that want the type. @default none
 */
export function planDeliveries<Event extends EventRow>(
  events: Event[],
  { matched, named }: Takers,
  mayGet: (event: Event, endpoint: MatchedEndpoint) => boolean = () => true,
): NewDelivery[] {
  const now = new Date();
  const byType = Map.groupBy(matched, keyOf);
  return events.flatMap((event) => {
    const wanted = isTargeted(event)
      ? [named.get(keyOfName(nameOf(event)))].filter((endpoint) => endpoint !== undefined)
      : (byType.get(keyOf(event)) ?? []).filter((endpoint) => mayGet(event, endpoint));
    event.endpointCount = wanted.length;
    return wanted.map((endpoint) => makeDelivery(event, endpoint, now));
  });
}

/** Stores deliveries, and jobs for those that the shared lane takes. */
export async function sendDeliveries(
  client: ClientBase,
  queue: DeliveryQueue,
  deliveries: NewDelivery[],
): Promise<Sent<unknown>> {
  const queued = deliveries.filter(({ state }) => state.status === 'PENDING' && !state.inLane);
  const jobs = queued.map(({ id, state }) => ({ deliveryId: id, plan: state.plan }));
  const sent = await queue.send(client, jobs);
  return { done: Promise.all([insertDeliveries(client, deliveries, new Date()), sent.done]) };
}
