import { patternsFor } from '../domain/event-type.ts';
import { encodeId, newId } from '../domain/ids.ts';
import { EndpointChangeKind } from '../generated/prisma/enums.ts';
import type { EventRow } from '../storage/insert-events.ts';
import type { ChangedEndpoint, DeadLetter, News } from '../storage/read-news.ts';

const DEAD_LETTERED = 'posthorn.delivery.dead_lettered';

/** For example `posthorn.endpoint.disabled`. */
const typeOfChange = (kind: EndpointChangeKind) => `posthorn.endpoint.${kind.toLowerCase()}`;

/** Every pattern by which a route asks for some of them. */
export const OPERATIONAL_PATTERNS: string[] = [
  ...new Set([DEAD_LETTERED, ...Object.values(EndpointChangeKind).map(typeOfChange)].flatMap(patternsFor)),
];

/** An event that Posthorn publishes itself. */
export interface OperationalEvent extends EventRow {
  /** The endpoint that it tells of. */
  aboutEndpointId: string;
}

/** The events that tell some news, in its order: what became of deliveries, then of endpoints. */
export const makeOperationalEvents = ({ deadLetters, changedEndpoints }: News): OperationalEvent[] => [
  ...deadLetters.map((news) => makeEvent(DEAD_LETTERED, news, describeDeadLetter(news))),
  ...changedEndpoints.map((news) => makeEvent(typeOfChange(news.kind), news, describeChange(news))),
];

const describeDeadLetter = (news: DeadLetter) => ({
  deliveryId: encodeId('Delivery', news.deliveryId),
  eventId: encodeId('Event', news.eventId),
  eventType: news.eventType,
  attemptCount: news.attemptCount,
  lastError: { code: news.errorCode, message: news.errorMessage, responseStatus: news.responseStatus },
});

const describeChange = ({ status, reason }: ChangedEndpoint) => ({ status, reason });

/** The body has the form that Standard Webhooks 1.0 recommends: type, timestamp, data. */
function makeEvent(type: string, news: DeadLetter | ChangedEndpoint, data: object): OperationalEvent {
  const { endpointId, endpointName, endpointUrl, organizationId, environmentId, at } = news;
  const endpoint = { endpointId: encodeId('Endpoint', endpointId), endpointName, endpointUrl };
  const body = JSON.stringify({ type, timestamp: at, data: { ...endpoint, ...data } });
  return {
    id: newId(),
    organizationId,
    environmentId,
    type,
    sourceKey: endpoint.endpointId,
    workflowId: null,
    runId: null,
    nodeId: null,
    idempotencyKey: null,
    contentHash: null,
    body: Buffer.from(body),
    contentType: 'application/json',
    endpointCount: 0,
    createdAt: new Date(),
    aboutEndpointId: endpointId,
  };
}
