import { readList } from '../elements/use-filters.ts';
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

const readTime = (text: string | null): string | undefined =>
  text !== null && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : undefined;

export interface ReadFilter {
  filter: DeliveryFilter;
  /** What of the address says nothing, in words. Nothing may be listed by what is left: it would be more than was meant. */
  faults: string[];
}

/** The filter that an address says. */
export function readDeliveryFilter(params: URLSearchParams): ReadFilter {
  const statuses = readList(params, 'status');
  const eventTypes = readList(params, 'type');
  const response = params.get('response');
  const filter: DeliveryFilter = {
    statuses: statuses.length > 0 ? (statuses as DeliveryStatus[]) : undefined,
    endpointId: params.get('endpoint') || undefined,
    eventId: params.get('event') || undefined,
    eventTypes: eventTypes.length > 0 ? eventTypes : undefined,
    sourceKey: params.get('sourceKey') || undefined,
    responseStatus: response ? Number(response) : undefined,
    createdAfter: readTime(params.get('from')),
    createdBefore: readTime(params.get('to')),
  };
  const faults = [
    ...statuses
      .filter((status) => !(DELIVERY_STATUSES as string[]).includes(status))
      .map((status) => `There is no status ${status}.`),
    ...(response && !/^[1-5]\d\d$/.test(response) ? [`An answer is a status from 100 to 599, not ${response}.`] : []),
    ...['from', 'to']
      .filter((name) => params.get(name) && !readTime(params.get(name)))
      .map((name) => `${params.get(name)} is no time.`),
  ];
  return { filter: Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)), faults };
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
