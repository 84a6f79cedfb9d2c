import type { GraphQLResolveInfo } from 'graphql';
import { visibleDeliveries, visibleEndpoints, visibleEvents } from '../access/visible.ts';
import { RequestError } from '../errors.ts';
import type { DeliveryChange } from '../live/change-log.ts';
import type { ChangeBatch, ChangeFilter } from '../live/topic.ts';
import { builder } from './builder.ts';
import { loadChangeRow } from './change-rows.ts';
import type { Context } from './context.ts';
import { DeliveryRef } from './delivery.ts';
import { DeliveryAttemptRef } from './delivery-attempt.ts';
import { DeliveryStatusRef } from './delivery-status.ts';
import { decodeArgument, decodeOptional } from './ids.ts';
import { atMost, CURSOR_CHARS_MAX, ENUM_ENTRIES_MAX } from './input-limits.ts';
import { AFTER_DESCRIPTION, CURSOR_DESCRIPTION, readAfter } from './live-cursor.ts';
import { requireFound } from './require-found.ts';
import { planBelow } from './selection.ts';
import { spreadOverTurns } from './turnstile.ts';

const COALESCE_MS_MIN = 100;
const COALESCE_MS_MAX = 60_000;

/** A change, with the rows that are selected of it. */
interface ToldChange {
  change: DeliveryChange;
  /** `null` if it is not selected. */
  delivery: { id: string } | null;
  /** `null` if it is not selected, or there was none. */
  attempt: { id: string } | null;
}

const DeliveryChangeRef = builder.objectRef<ToldChange>('DeliveryChange').implement({
  description: "A delivery's change of status.",
  fields: (t) => ({
    delivery: t.field({
      type: DeliveryRef,
      description: 'The delivery.',
      // Changes of deleted deliveries are left out.
      resolve: ({ delivery }) => delivery as { id: string },
    }),
    status: t.field({
      type: DeliveryStatusRef,
      description: 'The status that this change set; delivery.status may be a later one by now.',
      resolve: ({ change }) => change.status,
    }),
    previousStatus: t.field({
      type: DeliveryStatusRef,
      nullable: true,
      description: 'Null when the delivery was created by this change.',
      resolve: ({ change }) => change.previousStatus,
    }),
    attempt: t.field({
      type: DeliveryAttemptRef,
      nullable: true,
      description: 'The attempt behind the change; null where there was none.',
      resolve: ({ attempt }) => attempt,
    }),
    changedAt: t.field({ type: 'DateTime', description: 'When.', resolve: ({ change }) => change.changedAt }),
  }),
});

/**
 * Loads the rows that are selected of the changes in a batch. Retention keeps deliveries longer than their changes; if
 * one was deleted all the same, its changes are left out.
 */
async function loadChanges(
  { changes, round }: ChangeBatch,
  context: Context,
  info: GraphQLResolveInfo,
): Promise<readonly (ToldChange | Promise<ToldChange>)[]> {
  const { prisma } = context.services;
  // Both are planned before anything is loaded: Pothos looks up what is loaded at this field.
  const deliveryQuery = planBelow(context, info, 'delivery');
  const attemptQuery = planBelow(context, info, 'attempt');
  const loadDelivery = (id: string) =>
    deliveryQuery &&
    loadChangeRow({
      ...{ round, id, table: 'deliveries', query: deliveryQuery },
      findMany: (ids) => prisma.delivery.findMany({ ...deliveryQuery, where: { id: { in: ids } } }),
    });
  const loadAttempt = (id: string) =>
    attemptQuery &&
    loadChangeRow({
      ...{ round, id, table: 'delivery_attempts', query: attemptQuery },
      findMany: (ids) => prisma.deliveryAttempt.findMany({ ...attemptQuery, where: { id: { in: ids } } }),
    });
  const told = await Promise.all(
    changes.map(async (change) => {
      const [delivery, attempt] = await Promise.all([
        loadDelivery(change.deliveryId),
        change.attemptId === null ? null : loadAttempt(change.attemptId),
      ]);
      return { change, delivery, attempt };
    }),
  );
  return spreadOverTurns(deliveryQuery ? told.filter(({ delivery }) => delivery !== null) : told);
}

const DeliveryChangesRef = builder.objectRef<ChangeBatch>('DeliveryChanges').implement({
  description: 'Changes that were committed together or shortly after one another, in commit order.',
  fields: (t) => ({
    changes: t.field({
      type: [DeliveryChangeRef],
      description: 'The changes. None where nothing happened for ten minutes: the batch is there for its cursor.',
      resolve: (batch, _, context, info) => loadChanges(batch, context, info),
    }),
    cursor: t.exposeString('cursor', { description: CURSOR_DESCRIPTION }),
  }),
});

const EventChangesRef = builder.objectRef<ChangeBatch & { eventId: string }>('EventChanges').implement({
  description: 'An event, and what happened to its deliveries.',
  fields: (t) => ({
    event: t.prismaField({
      type: 'Event',
      description: 'The event as it is now.',
      resolve: async (query, { eventId, round }, _, { services }) => {
        const findMany = (ids: string[]) => services.prisma.event.findMany({ ...query, where: { id: { in: ids } } });
        const event = await loadChangeRow({ round, table: 'events', query, id: eventId, findMany });
        if (!event) throw new RequestError('BAD_USER_INPUT', 'The event was deleted by age.');
        return event;
      },
    }),
    changes: t.field({
      type: [DeliveryChangeRef],
      description: 'What changed since the batch before, in commit order. None in the first batch.',
      resolve: (batch, _, context, info) => loadChanges(batch, context, info),
    }),
    cursor: t.exposeString('cursor', { description: CURSOR_DESCRIPTION }),
  }),
});

const DeliveryChangeFilter = builder.inputType('DeliveryChangeFilter', {
  description: 'Which changes to follow: all that is given must fit.',
  fields: (t) => ({
    eventId: t.id({ description: 'Of deliveries of this event.' }),
    endpointId: t.id({ description: 'Of deliveries to this endpoint, also a deleted one.' }),
    deliveryId: t.id({ description: 'Of this delivery.' }),
    statuses: t.field({
      type: [DeliveryStatusRef],
      description: 'To one of these statuses: at least one.',
      ...atMost({ entries: ENUM_ENTRIES_MAX }),
    }),
  }),
});

builder.subscriptionField('deliveryChanges', (t) =>
  t.field({
    type: DeliveryChangesRef,
    description:
      "Every status change of the caller's deliveries, in commit order, in batches. `after` resumes behind a cursor that an earlier batch carried: nothing is missed and nothing is repeated.",
    authScopes: { scope: 'DELIVERIES_READ' },
    args: {
      filter: t.arg({ type: DeliveryChangeFilter, description: 'Which changes; left out: all.' }),
      after: t.arg.string({ description: AFTER_DESCRIPTION, ...atMost({ chars: CURSOR_CHARS_MAX }) }),
      coalesceMs: t.arg.int({
        description:
          'For pages that draw only the present: tell only the latest change of each delivery within so many milliseconds, 100 to 60,000; left out: every change.',
      }),
    },
    subscribe: async (_, { filter, after, coalesceMs }, context) => {
      const wanted = { ...(await readFilter(filter ?? {}, context)), ...readCoalesceMs(coalesceMs) };
      return context.services.feed.subscribe(wanted, await readAfter(after, context));
    },
    resolve: (batch) => batch as ChangeBatch,
  }),
);

builder.subscriptionField('eventChanges', (t) =>
  t.field({
    type: EventChangesRef,
    description:
      'One event with all its deliveries: at once as it is, and again whenever something happens to one of them.',
    authScopes: { scope: 'DELIVERIES_READ' },
    args: {
      eventId: t.arg.id({ required: true, description: 'The event.' }),
      after: t.arg.string({ description: AFTER_DESCRIPTION, ...atMost({ chars: CURSOR_CHARS_MAX }) }),
    },
    subscribe: async (_, args, context) => {
      const eventId = decodeArgument('Event', args.eventId, 'eventId');
      const { environmentId, endpointId } = context.caller;
      const where = { ...visibleEvents(context.caller), id: eventId };
      await requireFound(context.services.prisma.event.count({ where }), 'eventId');
      const after = await readAfter(args.after, context);
      return context.services.feed.subscribe({ environmentId, eventId, endpointId: endpointId ?? undefined }, after, {
        isGreeted: true,
      });
    },
    resolve: (batch, { eventId }) => ({
      ...(batch as ChangeBatch),
      eventId: decodeArgument('Event', eventId, 'eventId'),
    }),
  }),
);

/** @throws {RequestError} BAD_USER_INPUT where it names something that is not there for the caller */
async function readFilter(filter: typeof DeliveryChangeFilter.$inferInput, context: Context): Promise<ChangeFilter> {
  const { caller, services } = context;
  const { event, endpoint, delivery } = services.prisma;
  const eventId = decodeOptional('Event', filter.eventId, 'filter.eventId');
  const endpointId = decodeOptional('Endpoint', filter.endpointId, 'filter.endpointId');
  const deliveryId = decodeOptional('Delivery', filter.deliveryId, 'filter.deliveryId');
  const statuses = filter.statuses ?? undefined;
  if (statuses?.length === 0) throw new RequestError('BAD_USER_INPUT', 'filter.statuses must name at least one.');
  if (eventId) {
    await requireFound(event.count({ where: { ...visibleEvents(caller), id: eventId } }), 'filter.eventId');
  }
  if (endpointId) {
    await requireFound(endpoint.count({ where: { ...visibleEndpoints(caller), id: endpointId } }), 'filter.endpointId');
  }
  if (deliveryId) {
    await requireFound(
      delivery.count({ where: { ...visibleDeliveries(caller), id: deliveryId } }),
      'filter.deliveryId',
    );
  }
  const ownEndpointId = caller.endpointId ?? endpointId;
  return { environmentId: caller.environmentId, eventId, endpointId: ownEndpointId, deliveryId, statuses };
}

function readCoalesceMs(coalesceMs: number | null | undefined) {
  if (typeof coalesceMs !== 'number') return {};
  if (coalesceMs >= COALESCE_MS_MIN && coalesceMs <= COALESCE_MS_MAX) return { coalesceMs };
  throw new RequestError('BAD_USER_INPUT', `coalesceMs must be from ${COALESCE_MS_MIN} to ${COALESCE_MS_MAX}.`);
}
