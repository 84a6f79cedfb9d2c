import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleDeliveries } from '../access/visible.ts';
import { RESPONSE_STATUS_MAX, RESPONSE_STATUS_MIN } from '../deliver/record-attempt.ts';
import { RequestError } from '../errors.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import type { DeliveryWhereInput } from '../generated/prisma/models/Delivery.ts';
import { builder } from './builder.ts';
import { AttemptConnectionRef, AttemptEdgeRef, DeliveryAttemptRef } from './delivery-attempt.ts';
import { checkFilterTexts } from './filter-text.ts';
import { decodeArgument, decodeOptional } from './ids.ts';
import { createdBetween, loadNestedPage, pageComplexity, pageQuery, readPage, toConnection } from './pages.ts';

const MAY_READ: Scope[] = ['DELIVERIES_READ', 'DELIVERIES_RETRY'];

export const DeliveryStatusRef = builder.enumType('DeliveryStatus', {
  description: 'How far a delivery has come.',
  values: {
    PENDING: { description: 'Queued: an attempt is due now or in flight.' },
    RETRYING: { description: 'The last attempt failed; the next one is due at nextAttemptAt.' },
    HELD: { description: 'Its endpoint is paused.' },
    DELIVERED: { description: 'An attempt succeeded.' },
    FAILED: { description: "No retry is left or the failure can't be retried: a dead letter." },
    CANCELED: { description: 'Somebody ended it by hand.' },
    SKIPPED: { description: 'Its endpoint was disabled or deleted when its turn came.' },
  } as const,
});

export const DeliveryRef = builder.prismaNode('Delivery', {
  description: 'One event on its way to one endpoint: the unit that has a status and can be retried.',
  id: { resolve: (delivery) => delivery.id },
  findUnique: (id, { caller }) => ({ ...visibleDeliveries(caller), id }),
  authScopes: { anyScope: MAY_READ },
  fields: (t) => ({
    organization: t.relation('organization', { description: 'The organization that it belongs to.' }),
    environment: t.relation('environment', { description: 'The environment that it belongs to.' }),
    event: t.relation('event', { description: 'What is delivered.' }),
    endpoint: t.relation('endpoint', { description: 'Where to; also when it was deleted since.' }),
    route: t.relation('route', { nullable: true, description: 'The route that matched; null: sent by hand.' }),
    status: t.expose('status', { type: DeliveryStatusRef, description: 'How far it has come.' }),
    attemptCount: t.exposeInt('attemptCount', { description: 'Attempts made so far, of every trigger.' }),
    retryCount: t.exposeInt('retryCount', { description: 'Automatic retries used, of maxRetries.' }),
    maxRetries: t.exposeInt('maxRetries', {
      description: 'Automatic retries that it gets: those of its endpoint when it was queued first.',
    }),
    nextAttemptAt: t.expose('nextAttemptAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the next retry of its schedule is due; null where none is scheduled.',
    }),
    lastAttempt: t.relation('lastAttempt', { nullable: true, description: 'The newest attempt; null: none was made.' }),
    attempts: t.connection(
      {
        type: DeliveryAttemptRef,
        description: 'Its attempts, newest first.',
        complexity: pageComplexity,
        resolve: ({ id }, args, context, info) => {
          const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
          const { prisma } = context.services;
          return loadNestedPage(context, info, {
            page: readPage('DeliveryAttempt', args),
            parentId: id,
            table: 'delivery_attempts',
            parentColumn: 'delivery_id',
            findMany: (ids) => prisma.deliveryAttempt.findMany({ ...query, where: { id: { in: ids } } }),
          });
        },
      },
      AttemptConnectionRef,
      AttemptEdgeRef,
    ),
    deliveredAt: t.expose('deliveredAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When an attempt first succeeded; null: none did.',
    }),
    deadLetteredAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it became a dead letter; null while it is none.',
      resolve: ({ status, deadLetteredAt }) => (status === 'FAILED' ? deadLetteredAt : null),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
  }),
});

export const DeliveryEdgeRef = builder.edgeObject({
  type: DeliveryRef,
  name: 'DeliveryEdge',
  description: 'A delivery in its place.',
});

export const DeliveryConnectionRef = builder.connectionObject(
  { type: DeliveryRef, name: 'DeliveryConnection', description: 'A page of deliveries, newest first.' },
  DeliveryEdgeRef,
);

const DeliveryFilter = builder.inputType('DeliveryFilter', {
  description: 'Which deliveries to list: all that is given must fit.',
  fields: (t) => ({
    eventId: t.id({ description: 'Of this event.' }),
    endpointId: t.id({ description: 'To this endpoint, also a deleted one.' }),
    statuses: t.field({ type: [DeliveryStatusRef], description: 'In one of these statuses.' }),
    eventTypes: t.stringList({ description: 'Of events of one of these types, each in full.' }),
    responseStatus: t.int({ description: 'Whose last attempt was answered with this status, 100 to 599.' }),
    createdAfter: t.field({ type: 'DateTime', description: 'Made after this time.' }),
    createdBefore: t.field({ type: 'DateTime', description: 'Made before this time.' }),
  }),
});

function toWhere(filter: typeof DeliveryFilter.$inferInput): DeliveryWhereInput {
  const { statuses, eventTypes, responseStatus, createdAfter, createdBefore } = filter;
  checkFilterTexts('filter.eventTypes', eventTypes);
  if (
    typeof responseStatus === 'number' &&
    (responseStatus < RESPONSE_STATUS_MIN || responseStatus > RESPONSE_STATUS_MAX)
  ) {
    const range = `${RESPONSE_STATUS_MIN} to ${RESPONSE_STATUS_MAX}`;
    throw new RequestError('BAD_USER_INPUT', `filter.responseStatus must be from ${range}.`);
  }
  return {
    eventId: decodeOptional('Event', filter.eventId, 'filter.eventId'),
    endpointId: decodeOptional('Endpoint', filter.endpointId, 'filter.endpointId'),
    ...(statuses && { status: { in: statuses } }),
    ...(eventTypes && { event: { type: { in: eventTypes } } }),
    ...(typeof responseStatus === 'number' && { lastResponseStatus: responseStatus }),
    ...createdBetween(createdAfter, createdBefore),
  };
}

builder.queryField('delivery', (t) =>
  t.prismaField({
    type: 'Delivery',
    nullable: true,
    description: 'A delivery by its ID. Null where there is none.',
    authScopes: { anyScope: MAY_READ },
    args: { id: t.arg.id({ required: true, description: 'Its ID.' }) },
    resolve: (query, _, { id }, { services, caller }) =>
      services.prisma.delivery.findFirst({
        ...query,
        where: { ...visibleDeliveries(caller), id: decodeArgument('Delivery', id, 'id') },
      }),
  }),
);

builder.queryField('deliveries', (t) =>
  t.connection(
    {
      type: DeliveryRef,
      description: 'Deliveries, newest first.',
      authScopes: { anyScope: MAY_READ },
      complexity: pageComplexity,
      args: { filter: t.arg({ type: DeliveryFilter, description: 'Which ones; left out: all.' }) },
      resolve: async (_, args, context, info) => {
        const page = readPage('Delivery', args);
        const { where: keys, ...rest } = pageQuery(page);
        const where = { AND: [visibleDeliveries(context.caller), toWhere(args.filter ?? {}), keys] };
        const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
        const { prisma } = context.services;
        return toConnection(page, await prisma.delivery.findMany({ ...query, ...rest, where }));
      },
    },
    DeliveryConnectionRef,
    DeliveryEdgeRef,
  ),
);
