import { queryFromInfo } from '@pothos/plugin-prisma';
import type { Caller } from '../access/caller.ts';
import { visibleDeliveries } from '../access/visible.ts';
import { findRetryRefusal } from '../domain/delivery.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import type { DeliveryWhereInput } from '../generated/prisma/models/Delivery.ts';
import { builder } from './builder.ts';
import { findCreatedRanges, findInRanges } from './created-ranges.ts';
import { AttemptConnectionRef, AttemptEdgeRef, DeliveryAttemptRef } from './delivery-attempt.ts';
import { DeliveryFilter, type DeliveryFilterInput, refuseArgument, toDeliveryWhere } from './delivery-filter.ts';
import { DeliveryStatusRef } from './delivery-status.ts';
import { NotRetryableReasonRef } from './errors.ts';
import { decodeArgument } from './ids.ts';
import { loadNestedPage, pageComplexity, pageQuery, readPage, toConnection } from './pages.ts';

const MAY_READ: Scope[] = ['DELIVERIES_READ', 'DELIVERIES_RETRY'];
/** More are not counted: a count takes as long as what it counts. */
export const DELIVERY_COUNT_MAX = 10_000;
/** A count costs the database as much as some pages. */
const COUNT_COMPLEXITY = 100;

export const DeliveryRef = builder.prismaNode('Delivery', {
  description: 'One event on its way to one endpoint: the unit that has a status and can be retried.',
  select: { id: true },
  id: { resolve: (delivery) => delivery.id },
  findUnique: (id, { caller }) => ({ ...visibleDeliveries(caller), id }),
  authScopes: { anyScope: MAY_READ },
  fields: (t) => ({
    organization: t.relation('organization', { description: 'The organization that it belongs to.' }),
    environment: t.relation('environment', { description: 'The environment that it belongs to.' }),
    event: t.relation('event', { description: 'What is delivered.' }),
    endpoint: t.relation('endpoint', { description: 'Where to; also when it was deleted since.' }),
    route: t.relation('route', {
      nullable: true,
      description: 'The route that matched; null: sent by hand, or its event was for this endpoint alone.',
    }),
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
      select: { status: true, deadLetteredAt: true },
      resolve: ({ status, deadLetteredAt }) => (status === 'FAILED' ? deadLetteredAt : null),
    }),
    notRetryableReason: t.field({
      type: NotRetryableReasonRef,
      nullable: true,
      description: 'Why it can not be retried by hand now; null: it can.',
      select: { status: true, endpoint: { select: { status: true, deletedAt: true } } },
      resolve: ({ status, endpoint }) =>
        findRetryRefusal(
          { status },
          { endpointStatus: endpoint.status, isEndpointDeleted: endpoint.deletedAt !== null },
        ),
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

const whereOf = (caller: Caller, filter: DeliveryFilterInput | null | undefined): DeliveryWhereInput[] => [
  visibleDeliveries(caller),
  toDeliveryWhere(filter ?? {}, refuseArgument),
];

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
        const conditions = [...whereOf(context.caller, args.filter), keys];
        const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
        const { prisma } = context.services;
        const ranges = await findCreatedRanges(context, 'deliveries', args.filter ?? {});
        const rows = await findInRanges(ranges, { ...page, ...rest }, (range, take) =>
          prisma.delivery.findMany({ ...query, ...rest, take, where: { AND: [...conditions, range] } }),
        );
        return toConnection(page, rows);
      },
    },
    DeliveryConnectionRef,
    DeliveryEdgeRef,
  ),
);

builder.queryField('deliveryCount', (t) =>
  t.int({
    description: 'How many deliveries there are, counted up to 10,000: that number stands for so many or more.',
    authScopes: { anyScope: MAY_READ },
    complexity: COUNT_COMPLEXITY,
    args: { filter: t.arg({ type: DeliveryFilter, description: 'Which ones; left out: all.' }) },
    resolve: async (_, { filter }, context) => {
      const conditions = whereOf(context.caller, filter);
      let count = 0;
      for (const range of await findCreatedRanges(context, 'deliveries', filter ?? {})) {
        count += await context.services.prisma.delivery.count({
          where: { AND: [...conditions, range] },
          // As the list: where old ones were deleted, an index is long to walk from its other end.
          orderBy: { id: 'desc' },
          take: DELIVERY_COUNT_MAX,
        });
      }
      return Math.min(count, DELIVERY_COUNT_MAX);
    },
  }),
);
