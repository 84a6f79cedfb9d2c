import { RequestError } from '../errors.ts';
import { CHANGES_KEPT_MS, type ChangeBatch, type DeliveryChange } from '../live/change-feed.ts';
import { type ChangePosition, decodeCursor, encodeCursor } from '../live/cursor.ts';
import { builder } from './builder.ts';
import { DeliveryStatusRef } from './delivery.ts';
import { decodeOptional } from './ids.ts';

const DeliveryChangeRef = builder.objectRef<DeliveryChange>('DeliveryChange').implement({
  description: "A delivery's change of status.",
  fields: (t) => ({
    delivery: t.prismaField({
      type: 'Delivery',
      description: 'The delivery.',
      resolve: (query, { deliveryId }, _, { services }) =>
        services.prisma.delivery.findUniqueOrThrow({ ...query, where: { id: deliveryId } }),
    }),
    status: t.field({
      type: DeliveryStatusRef,
      description: 'The status that this change set; delivery.status may be a later one by now.',
      resolve: (change) => change.status,
    }),
    previousStatus: t.field({
      type: DeliveryStatusRef,
      nullable: true,
      description: 'Null when the delivery was created by this change.',
      resolve: (change) => change.previousStatus,
    }),
    attempt: t.prismaField({
      type: 'DeliveryAttempt',
      nullable: true,
      description: 'The attempt behind the change; null where there was none.',
      resolve: (query, { attemptId }, _, { services }) =>
        attemptId === null ? null : services.prisma.deliveryAttempt.findUnique({ ...query, where: { id: attemptId } }),
    }),
    changedAt: t.field({ type: 'DateTime', description: 'When.', resolve: (change) => change.changedAt }),
  }),
});

const DeliveryChangesRef = builder.objectRef<ChangeBatch>('DeliveryChanges').implement({
  description: 'Changes that were committed together or shortly after one another, in commit order.',
  fields: (t) => ({
    changes: t.field({ type: [DeliveryChangeRef], description: 'At least one.', resolve: ({ changes }) => changes }),
    cursor: t.string({
      description: 'Resumes behind the last change of this batch. Good for 24 h.',
      resolve: ({ changes, position }) => {
        const { environmentId, changedAt } = changes.at(-1) as DeliveryChange;
        return encodeCursor({ ...position, environmentId, at: changedAt });
      },
    }),
  }),
});

const DeliveryChangeFilter = builder.inputType('DeliveryChangeFilter', {
  description: 'Which changes to follow: all that is given must fit.',
  fields: (t) => ({
    eventId: t.id({ description: 'Of deliveries of this event.' }),
    endpointId: t.id({ description: 'Of deliveries to this endpoint.' }),
    deliveryId: t.id({ description: 'Of this delivery.' }),
    statuses: t.field({ type: [DeliveryStatusRef], description: 'To one of these statuses.' }),
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
      after: t.arg.string({ description: 'Cursor to resume behind; left out: from now on.' }),
    },
    subscribe: (_, { filter, after }, { services, caller }) =>
      services.feed.subscribe(
        {
          environmentId: caller.environmentId,
          eventId: decodeOptional('Event', filter?.eventId, 'filter.eventId'),
          endpointId: decodeOptional('Endpoint', filter?.endpointId, 'filter.endpointId'),
          deliveryId: decodeOptional('Delivery', filter?.deliveryId, 'filter.deliveryId'),
          statuses: filter?.statuses ?? undefined,
        },
        typeof after === 'string' ? readCursor(after, caller.environmentId) : null,
      ),
    resolve: (batch) => batch,
  }),
);

function readCursor(text: string, environmentId: string): ChangePosition {
  const cursor = decodeCursor(text);
  if (cursor?.environmentId !== environmentId) {
    throw new RequestError('BAD_USER_INPUT', 'after is no cursor of this feed. Take one from an earlier batch.');
  }
  if (Date.now() - cursor.at.getTime() > CHANGES_KEPT_MS) {
    const message =
      'Changes behind this cursor are no longer kept. Read the deliveries anew, and subscribe without after.';
    throw new RequestError('CURSOR_EXPIRED', message);
  }
  return cursor;
}
