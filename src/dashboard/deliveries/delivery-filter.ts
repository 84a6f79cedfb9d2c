import type { DeliveryFilter, DeliveryRowFragment, DeliveryStatus } from '../generated/documents.ts';

export const DELIVERY_STATUSES: DeliveryStatus[] = [
  'PENDING',
  'RETRYING',
  'HELD',
  'DELIVERED',
  'FAILED',
  'CANCELED',
  'SKIPPED',
];

/** A list in the address: `status=FAILED,RETRYING`. */
const readList = (text: string | null): string[] | undefined => {
  const parts = text?.split(',').filter((part) => part !== '') ?? [];
  return parts.length > 0 ? parts : undefined;
};

const readTime = (text: string | null): string | undefined =>
  text !== null && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : undefined;

/** The filter that an address says. What is not understood counts as left out. */
export function readDeliveryFilter(params: URLSearchParams): DeliveryFilter {
  const statuses = readList(params.get('status'))?.filter((status): status is DeliveryStatus =>
    (DELIVERY_STATUSES as string[]).includes(status),
  );
  const response = Number(params.get('response'));
  const filter: DeliveryFilter = {
    statuses: statuses?.length ? statuses : undefined,
    endpointId: params.get('endpoint') || undefined,
    eventId: params.get('event') || undefined,
    eventTypes: readList(params.get('type')),
    sourceKey: params.get('sourceKey') || undefined,
    responseStatus: Number.isInteger(response) && response >= 100 && response <= 599 ? response : undefined,
    createdAfter: readTime(params.get('from')),
    createdBefore: readTime(params.get('to')),
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

/** Whether a delivery is one that the filter lists, as far as its row tells. */
export function fits(row: DeliveryRowFragment, filter: DeliveryFilter): boolean {
  const { statuses, endpointId, eventId, eventTypes, sourceKey, responseStatus, createdAfter, createdBefore } = filter;
  return (
    (!statuses || statuses.includes(row.status)) &&
    (!endpointId || row.endpoint.id === endpointId) &&
    (!eventId || row.event.id === eventId) &&
    (!eventTypes || eventTypes.includes(row.event.type)) &&
    (!sourceKey || row.event.sourceKey === sourceKey) &&
    (!responseStatus || row.lastAttempt?.responseStatus === responseStatus) &&
    (!createdAfter || row.createdAt > createdAfter) &&
    (!createdBefore || row.createdAt < createdBefore)
  );
}
