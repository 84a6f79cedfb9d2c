import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleEvents } from '../access/visible.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import type { EventWhereInput } from '../generated/prisma/models/Event.ts';
import { findEventsByStatus } from '../storage/find-events-by-status.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { findCreatedRanges, findInRanges } from './created-ranges.ts';
import { DeliveryConnectionRef, DeliveryEdgeRef, DeliveryRef } from './delivery.ts';
import { checkFilterTexts } from './filter-text.ts';
import { decodeArgument } from './ids.ts';
import { atMost, ENUM_ENTRIES_MAX, FILTER_CHARS_MAX, FILTER_TEXTS_MAX } from './input-limits.ts';
import { loadNestedPage, type Page, pageComplexity, pageQuery, readPage, toConnection } from './pages.ts';

const MAY_READ: Scope[] = ['DELIVERIES_READ', 'DELIVERIES_RETRY'];

const EventStatusRef = builder.enumType('EventStatus', {
  description: 'How far an event has come, over all its deliveries.',
  values: {
    PENDING: { description: 'At least one delivery is not at its end.' },
    DELIVERED: { description: 'Every delivery is at its end; at least one delivered and none failed.' },
    FAILED: { description: 'Every delivery is at its end; at least one failed.' },
    SKIPPED: {
      description: 'Nothing was or will be sent: no endpoint matched, or every delivery was skipped or canceled.',
    },
  } as const,
});

interface Source {
  workflowId: string | null;
  runId: string | null;
  nodeId: string | null;
}

const EventSourceRef = builder.objectRef<Source>('EventSource').implement({
  description: 'The workflow step that published the event.',
  fields: (t) => ({
    workflowId: t.exposeString('workflowId', { nullable: true, description: 'The workflow; null: not given.' }),
    runId: t.exposeString('runId', { nullable: true, description: 'Its run; null: not given.' }),
    nodeId: t.exposeString('nodeId', { nullable: true, description: 'The step in it; null: not given.' }),
  }),
});

/**
 * Granted by fields whose event has the content that the caller sent in the same operation: whoever publishes may read
 * that back without a scope for reading.
 */
export const OWN_EVENT = 'ownEvent';

export const EventRef = builder.prismaNode('Event', {
  description: 'What was published, once. Its body is kept to the letter.',
  select: { id: true },
  id: {
    resolve: (event) => event.id,
    // An ID alone tells nothing of the content.
    skipTypeScopes: true,
    authScopes: { anyScope: [...MAY_READ, 'EVENTS_PUBLISH'] },
  },
  findUnique: (id, { caller }) => ({ ...visibleEvents(caller), id }),
  authScopes: { anyScope: MAY_READ, $granted: OWN_EVENT },
  fields: (t) => ({
    organization: t.relation('organization', { description: 'The organization that it belongs to.' }),
    environment: t.relation('environment', { description: 'The environment that it belongs to.' }),
    type: t.exposeString('type', { description: 'Its type, for example `invoice.paid`.' }),
    sourceKey: t.exposeString('sourceKey', {
      nullable: true,
      description: "The producer's own key of what the event is about; null: not given.",
    }),
    source: t.field({
      type: EventSourceRef,
      nullable: true,
      description: 'The workflow step that published it; null: not given.',
      select: { workflowId: true, runId: true, nodeId: true },
      resolve: ({ workflowId, runId, nodeId }) =>
        workflowId === null && runId === null && nodeId === null ? null : { workflowId, runId, nodeId },
    }),
    idempotencyKey: t.exposeString('idempotencyKey', {
      nullable: true,
      description: 'Publishing with the same key again gives this event; null: not given.',
    }),
    payload: t.field({
      type: 'JSON',
      description:
        'The body as JSON, with numbers as they are written. A body that is not JSON, the JSON value null, or nested more than 500 deep is answered as the text that it is.',
      resolve: (event, _, { eventContents }) => eventContents.payloadOf(event),
    }),
    body: t.string({
      description: 'The body to the letter, as endpoints receive it.',
      resolve: (event, _, { eventContents }) => eventContents.textOf(event) as Promise<string>,
    }),
    contentType: t.exposeString('contentType', { description: 'Content type of the body.' }),
    status: t.field({
      type: EventStatusRef,
      description: 'How far it has come, over all its deliveries.',
      resolve: async ({ id }, _, { loaders }) => (await loaders.eventSummary.load(id)).status,
    }),
    endpointCount: t.int({
      description: 'Endpoints that it has a delivery to, of those that the caller may see.',
      select: { endpointCount: true },
      resolve: ({ endpointCount }, _, { caller }) => (caller.endpointId === null ? endpointCount : 1),
    }),
    deliveries: t.connection(
      {
        type: DeliveryRef,
        description: 'Its deliveries, newest first.',
        authScopes: { anyScope: MAY_READ },
        complexity: pageComplexity,
        resolve: ({ id }, args, context, info) => {
          const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
          return loadNestedPage(context, info, {
            page: readPage('Delivery', args),
            parentId: id,
            table: 'deliveries',
            parentColumn: 'event_id',
            findMany: (ids) => context.services.prisma.delivery.findMany({ ...query, where: { id: { in: ids } } }),
          });
        },
      },
      DeliveryConnectionRef,
      DeliveryEdgeRef,
    ),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was published.' }),
    updatedAt: t.field({
      type: 'DateTime',
      description: 'When it or one of its deliveries last changed.',
      select: { createdAt: true },
      resolve: async ({ id, createdAt }, _, { loaders }) =>
        (await loaders.eventSummary.load(id)).changedAt ?? createdAt,
    }),
  }),
});

const EventFilter = builder.inputType('EventFilter', {
  description: 'Which events to list: all that is given must fit.',
  fields: (t) => ({
    types: t.stringList({
      description: 'One of these types, each in full.',
      ...atMost({ entries: FILTER_TEXTS_MAX, chars: FILTER_CHARS_MAX }),
    }),
    statuses: t.field({
      type: [EventStatusRef],
      description: 'One of these statuses.',
      ...atMost({ entries: ENUM_ENTRIES_MAX }),
    }),
    sourceKey: t.string({
      description: "The producer's own key of what they are about.",
      ...atMost({ chars: FILTER_CHARS_MAX }),
    }),
    createdAfter: t.field({ type: 'DateTime', description: 'Published after this time.' }),
    createdBefore: t.field({ type: 'DateTime', description: 'Published before this time.' }),
  }),
});

builder.queryField('event', (t) =>
  t.prismaField({
    type: 'Event',
    nullable: true,
    description: 'An event by its ID. Null where there is none.',
    authScopes: { anyScope: MAY_READ },
    args: { id: t.arg.id({ required: true, description: 'Its ID.' }) },
    resolve: (query, _, { id }, { services, caller }) =>
      services.prisma.event.findFirst({
        ...query,
        where: { ...visibleEvents(caller), id: decodeArgument('Event', id, 'id') },
      }),
  }),
);

builder.queryField('events', (t) =>
  t.connection(
    {
      type: EventRef,
      description: 'Events, newest first.',
      authScopes: { anyScope: MAY_READ },
      complexity: pageComplexity,
      args: { filter: t.arg({ type: EventFilter, description: 'Which ones; left out: all.' }) },
      resolve: async (_, args, context, info) => {
        const page = readPage('Event', args);
        const { types, sourceKey } = args.filter ?? {};
        checkFilterTexts('filter.types', types);
        checkFilterTexts('filter.sourceKey', sourceKey);
        const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
        const { found, ranges, where, ...rest } = await toQuery(page, args.filter ?? {}, context);
        const rows = await findInRanges(ranges, { ...page, ...rest }, (range, take) =>
          context.services.prisma.event.findMany({ ...query, ...rest, take, where: { AND: [where, range] } }),
        );
        return toConnection(page, rows, found);
      },
    },
    { name: 'EventConnection', description: 'A page of events, newest first.' },
    { name: 'EventEdge', description: 'An event in its place.' },
  ),
);

/** The status of an event is not in its row, so events of a status are found first, and then read by their IDs. */
async function toQuery(page: Page, filter: typeof EventFilter.$inferInput, context: Context) {
  const { services, caller } = context;
  const { types, statuses, sourceKey, createdAfter, createdBefore } = filter;
  const { where: keys, ...rest } = pageQuery(page);
  if (!statuses) {
    const where: EventWhereInput = {
      ...visibleEvents(caller),
      ...(types && { type: { in: types } }),
      ...(typeof sourceKey === 'string' && { sourceKey }),
    };
    const matching: EventWhereInput = { AND: [where, keys] };
    const ranges = await findCreatedRanges(context, 'events', filter);
    return { ...rest, where: matching, ranges, found: undefined };
  }
  const ids = await findEventsByStatus(services.deliveries.pool, {
    environmentId: caller.environmentId,
    endpointId: caller.endpointId,
    statuses,
    types: types ?? undefined,
    sourceKey: sourceKey ?? undefined,
    // Lists run from the newest to the oldest, IDs the other way.
    after: page.before,
    before: page.after,
    createdAfter: createdAfter ?? undefined,
    createdBefore: createdBefore ?? undefined,
    isBackward: page.isBackward,
    limit: rest.take,
  });
  const where: EventWhereInput = { id: { in: ids } };
  return { ...rest, where, ranges: [{}], found: ids.length };
}
