import { RESPONSE_STATUS_MAX, RESPONSE_STATUS_MIN } from '../deliver/record-attempt.ts';
import { decodeId, type IdKind } from '../domain/ids.ts';
import { InvalidInputError, RequestError } from '../errors.ts';
import type { DeliveryWhereInput } from '../generated/prisma/models/Delivery.ts';
import { builder } from './builder.ts';
import { DeliveryStatusRef } from './delivery-status.ts';
import { areFilterTexts, FILTER_TEXT_RULE } from './filter-text.ts';
import { describeId } from './ids.ts';
import { atMost, ENUM_ENTRIES_MAX, FILTER_CHARS_MAX, FILTER_TEXTS_MAX } from './input-limits.ts';

/** IDs of one filter. */
export const FILTER_IDS_MAX = 500;

export const DeliveryFilter = builder.inputType('DeliveryFilter', {
  description: 'Which deliveries: all that is given must fit.',
  fields: (t) => ({
    ids: t.idList({ description: 'One of these: 1 to 500.', ...atMost({ entries: FILTER_IDS_MAX }) }),
    eventId: t.id({ description: 'Of this event.' }),
    endpointId: t.id({ description: 'To this endpoint, also a deleted one.' }),
    statuses: t.field({
      type: [DeliveryStatusRef],
      description: 'In one of these statuses.',
      ...atMost({ entries: ENUM_ENTRIES_MAX }),
    }),
    eventTypes: t.stringList({
      description: 'Of events of one of these types, each in full.',
      ...atMost({ entries: FILTER_TEXTS_MAX, chars: FILTER_CHARS_MAX }),
    }),
    sourceKey: t.string({
      description: "Of events with this key, the producer's own of what they are about.",
      ...atMost({ chars: FILTER_CHARS_MAX }),
    }),
    responseStatus: t.int({ description: 'Whose last attempt was answered with this status, 100 to 599.' }),
    createdAfter: t.field({ type: 'DateTime', description: 'Made after this time.' }),
    createdBefore: t.field({ type: 'DateTime', description: 'Made before this time.' }),
  }),
});

export type DeliveryFilterInput = typeof DeliveryFilter.$inferInput;

/** Makes the error of a fault: of the field of the filter that has it, and what is allowed there. */
export type Refuse = (field: string, message: string) => Error;

/** For a filter that is an argument: BAD_USER_INPUT. */
export const refuseArgument: Refuse = (field, message) =>
  new RequestError('BAD_USER_INPUT', `filter.${field} ${message}`);

/** For a filter in a mutation's input. */
export const refuseInput: Refuse = (field, message) => new InvalidInputError([{ path: ['filter', field], message }]);

/**
 * The condition that a filter is on deliveries, its times aside: the same for lists, counts, and changes of many. Times are
 * ranges, see `findCreatedRanges`.
 *
 * @throws what `refuse` makes, where the filter can't be read
 */
export function toDeliveryWhere(filter: DeliveryFilterInput, refuse: Refuse): DeliveryWhereInput {
  const { ids, statuses, eventTypes, sourceKey, responseStatus } = filter;
  if (!areFilterTexts(eventTypes)) throw refuse('eventTypes', FILTER_TEXT_RULE);
  if (!areFilterTexts(sourceKey)) throw refuse('sourceKey', FILTER_TEXT_RULE);
  checkResponseStatus(responseStatus, refuse);
  return {
    eventId: decode('Event', 'eventId', filter.eventId, refuse),
    endpointId: decode('Endpoint', 'endpointId', filter.endpointId, refuse),
    ...(statuses && { status: { in: statuses } }),
    ...(eventTypes && { eventType: { in: eventTypes } }),
    ...(typeof sourceKey === 'string' && { sourceKey }),
    ...(typeof responseStatus === 'number' && { lastResponseStatus: responseStatus }),
    ...(ids && { AND: { id: { in: decodeIds(ids, refuse) } } }),
  };
}

function checkResponseStatus(status: number | null | undefined, refuse: Refuse) {
  if (typeof status !== 'number' || (status >= RESPONSE_STATUS_MIN && status <= RESPONSE_STATUS_MAX)) return;
  throw refuse('responseStatus', `must be from ${RESPONSE_STATUS_MIN} to ${RESPONSE_STATUS_MAX}.`);
}

function decode(kind: IdKind, field: string, id: string | null | undefined, refuse: Refuse): string | undefined {
  if (id === null || id === undefined) return undefined;
  const uuid = decodeId(kind, id);
  if (uuid === null) throw refuse(field, describeId(kind));
  return uuid;
}

function decodeIds(ids: string[], refuse: Refuse): string[] {
  if (ids.length < 1 || ids.length > FILTER_IDS_MAX) throw refuse('ids', `must have 1 to ${FILTER_IDS_MAX} IDs.`);
  return ids.map((id) => decode('Delivery', 'ids', id, refuse) as string);
}
