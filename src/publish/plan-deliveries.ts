import type { ClientBase } from 'pg';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import { insertDeliveries, makeDelivery, type NewDelivery } from '../storage/insert-deliveries.ts';
import type { EventRow } from '../storage/insert-events.ts';
import type { EventTypeOfEnvironment, MatchedEndpoint } from '../storage/match-endpoints.ts';
import type { Sent } from '../storage/transaction.ts';

const keyOf = ({ environmentId, type }: EventTypeOfEnvironment) => `${environmentId} ${type}`;

/** The types of some events, each once. */
export const typesOf = (events: EventRow[]): EventTypeOfEnvironment[] => [
  ...new Map(events.map((event) => [keyOf(event), event])).values(),
];

/**
 * The deliveries of each event, to the endpoints that want its type. Tells the events how many they are.
 *
 * @param mayGet leaves out endpoints. @default none
 */
export function planDeliveries<Event extends EventRow>(
  events: Event[],
  endpoints: MatchedEndpoint[],
  mayGet: (event: Event, endpoint: MatchedEndpoint) => boolean = () => true,
): NewDelivery[] {
  const now = new Date();
  const matched = Map.groupBy(endpoints, keyOf);
  return events.flatMap((event) => {
    const wanted = (matched.get(keyOf(event)) ?? []).filter((endpoint) => mayGet(event, endpoint));
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
