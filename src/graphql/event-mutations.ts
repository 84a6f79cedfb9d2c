import { retryEvent } from '../deliver/retry-event.ts';
import { EVENT_TYPE_MAX_CHARS } from '../domain/event-type.ts';
import { DeliveryNotRetryableError, IdempotencyConflictError, InvalidInputError, NotFoundError } from '../errors.ts';
import {
  CONTENT_TYPE_MAX_CHARS,
  EVENT_BODY_BYTES_MAX,
  KEY_MAX_CHARS,
  type PublishInput,
} from '../publish/event-input.ts';
import type { PublishedEvent } from '../publish/publisher.ts';
import { builder, LIST_MULTIPLIER } from './builder.ts';
import { DeliveryRef } from './delivery.ts';
import { EventRef, OWN_EVENT } from './event.ts';
import { decodeInput, decodeOptionalInput } from './ids.ts';
import { atMost, JSON_INPUT_MAX } from './input-limits.ts';
import { planOnce, selectsIdAlone } from './selection.ts';

/** Events of one `publishEvents`. */
export const EVENTS_PER_PUBLISH_MAX = 1_000;

const EventSourceInput = builder.inputType('EventSourceInput', {
  description: 'The workflow step that publishes the event. Each up to 256 characters.',
  fields: (t) => ({
    workflowId: t.string({ description: 'The workflow.', ...atMost({ chars: KEY_MAX_CHARS }) }),
    runId: t.string({ description: 'Its run.', ...atMost({ chars: KEY_MAX_CHARS }) }),
    nodeId: t.string({ description: 'The step in it.', ...atMost({ chars: KEY_MAX_CHARS }) }),
  }),
});

const PublishEventInput = builder.inputType('PublishEventInput', {
  description: 'An event to publish. Exactly one of payload and body, 256 KiB at most.',
  fields: (t) => ({
    type: t.string({
      required: true,
      description: 'Its type: words of letters, digits, `_` and `-` joined by dots, for example `invoice.paid`.',
      ...atMost({ chars: EVENT_TYPE_MAX_CHARS }),
    }),
    payload: t.field({
      type: 'JSON',
      description: 'Any JSON value but null; sent as compact JSON.',
      ...atMost(JSON_INPUT_MAX),
    }),
    body: t.string({ description: 'Sent to the letter.', ...atMost({ chars: EVENT_BODY_BYTES_MAX }) }),
    contentType: t.string({
      description: 'Content type of the body; left out: `application/json`.',
      ...atMost({ chars: CONTENT_TYPE_MAX_CHARS }),
    }),
    idempotencyKey: t.string({
      description:
        'Makes publishing twice store once: 1 to 256 characters. Kept for as long as the event. Of a `payload`, equal JSON values are the same content, whatever the order of keys; of a `body`, equal bytes.',
      ...atMost({ chars: KEY_MAX_CHARS }),
    }),
    sourceKey: t.string({
      description: 'Your own key of what the event is about: 1 to 256 characters.',
      ...atMost({ chars: KEY_MAX_CHARS }),
    }),
    source: t.field({ type: EventSourceInput, description: 'The workflow step that publishes it.' }),
    endpointId: t.id({
      description:
        'The one endpoint to send it to, whatever event types that takes: for test events and the like. Left out: every endpoint that takes its type.',
    }),
  }),
});

/** What the publisher takes. @param path where the event stands in the input. @throws {InvalidInputError} */
const toEvent = (input: typeof PublishEventInput.$inferInput, path: string[] = []): PublishInput =>
  typeof input.endpointId === 'string'
    ? { ...input, endpointId: decodeInput('Endpoint', input.endpointId, [...path, 'endpointId']) }
    : input;

const PublishEventPayload = builder.objectRef<PublishedEvent>('PublishEventPayload').implement({
  description: 'The event that is stored.',
  fields: (t) => ({
    event: t.field({
      type: EventRef,
      description:
        'The event. Its deliveries are queued. Without DELIVERIES_READ or DELIVERIES_RETRY, all of it but its deliveries can be read: it has the content that you sent.',
      grantScopes: [OWN_EVENT],
      // The publisher has the row as Prisma would read it. The plan tells Pothos so: its columns are not read again.
      resolve: ({ event }, _, context, info) => {
        if (!selectsIdAlone(info)) planOnce(context, info);
        return event;
      },
    }),
    duplicate: t.exposeBoolean('duplicate', {
      description: 'True where the idempotency key was seen before: event is the earlier one, and nothing was sent.',
    }),
  }),
});

builder.mutationField('publishEvent', (t) =>
  t.field({
    type: PublishEventPayload,
    description:
      'Publishes an event. Once this answers, the event is stored, and is delivered or visibly dead-lettered.',
    authScopes: { scope: 'EVENTS_PUBLISH' },
    errors: {
      types: [InvalidInputError, IdempotencyConflictError],
      union: { name: 'PublishEventResult', description: 'What `publishEvent` answers.' },
    },
    args: { input: t.arg({ type: PublishEventInput, required: true, description: 'The event.' }) },
    resolve: (_, { input }, { services, caller }) => services.publisher.publish(caller, toEvent(input)),
  }),
);

const PublishEventsInput = builder.inputType('PublishEventsInput', {
  description: 'What `publishEvents` takes.',
  fields: (t) => ({
    events: t.field({
      type: [PublishEventInput],
      required: true,
      description: '1 to 1,000; all are stored or none.',
      ...atMost({ entries: EVENTS_PER_PUBLISH_MAX }),
    }),
  }),
});

const PublishEventsPayload = builder.objectRef<{ results: PublishedEvent[] }>('PublishEventsPayload').implement({
  description: 'The events that are stored.',
  fields: (t) => ({
    results: t.field({
      type: [PublishEventPayload],
      description: 'One for each event given, in their order.',
      resolve: (payload) => payload.results,
    }),
  }),
});

/** The list of its results counts as many as the events are, in place of as many as any list. */
const publishEventsComplexity = ({ input }: { input: { events: readonly unknown[] } }) => ({
  field: 1,
  multiplier: Math.max(1, input.events.length / LIST_MULTIPLIER),
});

builder.mutationField('publishEvents', (t) =>
  t.field({
    type: PublishEventsPayload,
    description: 'Publishes many events, all or none.',
    authScopes: { scope: 'EVENTS_PUBLISH' },
    complexity: publishEventsComplexity,
    errors: {
      types: [InvalidInputError, IdempotencyConflictError],
      union: { name: 'PublishEventsResult', description: 'What `publishEvents` answers.' },
    },
    args: { input: t.arg({ type: PublishEventsInput, required: true, description: 'The events.' }) },
    resolve: async (_, { input }, { services, caller }) => {
      if (input.events.length < 1 || input.events.length > EVENTS_PER_PUBLISH_MAX) {
        const message = `must have 1 to ${EVENTS_PER_PUBLISH_MAX} events.`;
        throw new InvalidInputError([{ path: ['events'], message }]);
      }
      const events = input.events.map((event, index) => toEvent(event, ['events', String(index)]));
      return { results: await services.publisher.publishAll(caller, events) };
    },
  }),
);

const RetryEventInput = builder.inputType('RetryEventInput', {
  description: 'What `retryEvent` takes.',
  fields: (t) => ({
    eventId: t.id({ required: true, description: 'The event to send again.' }),
    endpointId: t.id({
      description:
        'The one endpoint to send it to. Left out: every active endpoint that the event matches today, also those added since it was published; an event that was published for one endpoint goes to that one.',
    }),
  }),
});

interface RetriedEvent {
  eventId: string;
  deliveryIds: string[];
}

const RetryEventPayload = builder.objectRef<RetriedEvent>('RetryEventPayload').implement({
  description: 'What was queued.',
  fields: (t) => ({
    event: t.prismaField({
      type: 'Event',
      description: 'The event.',
      resolve: (query, { eventId }, _, { services }) =>
        services.prisma.event.findUniqueOrThrow({ ...query, where: { id: eventId } }),
    }),
    endpointCount: t.int({
      description: 'Endpoints that the event was queued for.',
      resolve: ({ deliveryIds }) => deliveryIds.length,
    }),
    deliveries: t.prismaField({
      type: [DeliveryRef],
      description: 'The deliveries that were queued.',
      resolve: (query, { deliveryIds }, _, { services }) =>
        services.prisma.delivery.findMany({
          ...query,
          where: { id: { in: deliveryIds } },
          orderBy: { id: 'desc' },
        }),
    }),
    message: t.string({
      description: 'The same in words.',
      resolve: ({ deliveryIds }) => `Event queued for retry to ${deliveryIds.length} webhook(s)`,
    }),
  }),
});

builder.mutationField('retryEvent', (t) =>
  t.field({
    type: RetryEventPayload,
    description: 'Sends an event again by hand. Endpoints with an attempt queued already are passed over.',
    authScopes: { scope: 'DELIVERIES_RETRY' },
    errors: {
      types: [InvalidInputError, NotFoundError, DeliveryNotRetryableError],
      union: { name: 'RetryEventResult', description: 'What `retryEvent` answers.' },
    },
    args: { input: t.arg({ type: RetryEventInput, required: true, description: 'Which event, and where to.' }) },
    resolve: async (_, { input }, { services, caller }) => {
      const eventId = decodeInput('Event', input.eventId, 'eventId');
      const endpointId = decodeOptionalInput('Endpoint', input.endpointId, 'endpointId');
      return { eventId, deliveryIds: await retryEvent(services.deliveries, caller, { eventId, endpointId }) };
    },
  }),
);
