import { ask } from './graphql.ts';
import { PAST_TYPE } from './past.ts';
import { median } from './statistics.ts';

/** The first page of a connection, with a filter. */
export interface FirstPage {
  /** Field of the schema and filter, as it is shown. */
  name: string;
  field: 'events' | 'deliveries' | 'deliveryAttempts' | 'endpoints';
  /** Null: none. */
  filter: object | null;
}

const FIELDS: Record<FirstPage['field'], { filterType: string; node: string }> = {
  events: { filterType: 'EventFilter', node: 'id type status createdAt' },
  deliveries: { filterType: 'DeliveryFilter', node: 'id status attemptCount createdAt' },
  deliveryAttempts: { filterType: 'DeliveryAttemptFilter', node: 'id status responseStatus createdAt' },
  endpoints: { filterType: 'EndpointFilter', node: 'id name url status' },
};

const DAY_MS = 86_400_000;

/** Every connection without a filter, and with each of its filters: some that much fits, and some that nothing fits. */
export async function listFirstPages(serverUrl: string): Promise<FirstPage[]> {
  const { eventId, endpointId, deliveryId } = await findPast(serverUrl);
  const lately = new Date(Date.now() - DAY_MS / 2).toISOString();
  const longAgo = new Date(Date.now() - 100 * DAY_MS).toISOString();
  const page = (field: FirstPage['field'], filter: object | null, name: string): FirstPage => ({
    name: `${field} ${name}`.trim(),
    field,
    filter,
  });
  const statuses = (field: FirstPage['field'], values: string[]) =>
    values.map((value) => page(field, { statuses: [value] }, value));
  const times = (field: FirstPage['field']) => [
    page(field, { createdAfter: lately }, 'createdAfter'),
    page(field, { createdBefore: lately }, 'createdBefore'),
    page(field, { createdBefore: longAgo }, 'createdBefore, none'),
  ];
  return [
    page('events', null, ''),
    page('events', { types: [PAST_TYPE] }, 'types'),
    page('events', { types: ['absent.event'] }, 'types, none'),
    page('events', { sourceKey: 'source-1' }, 'sourceKey'),
    page('events', { sourceKey: 'absent' }, 'sourceKey, none'),
    ...statuses('events', ['PENDING', 'DELIVERED', 'FAILED', 'SKIPPED']),
    ...times('events'),
    page('deliveries', null, ''),
    page('deliveries', { endpointId }, 'endpointId'),
    page('deliveries', { eventId }, 'eventId'),
    page('deliveries', { eventTypes: [PAST_TYPE] }, 'eventTypes'),
    page('deliveries', { eventTypes: ['absent.event'] }, 'eventTypes, none'),
    page('deliveries', { sourceKey: 'source-1' }, 'sourceKey'),
    page('deliveries', { sourceKey: 'absent' }, 'sourceKey, none'),
    page('deliveries', { responseStatus: 200 }, 'responseStatus 200'),
    page('deliveries', { responseStatus: 418 }, 'responseStatus, none'),
    ...statuses('deliveries', ['PENDING', 'RETRYING', 'DELIVERED', 'FAILED']),
    ...times('deliveries'),
    page('deliveryAttempts', null, ''),
    page('deliveryAttempts', { endpointId }, 'endpointId'),
    page('deliveryAttempts', { eventId }, 'eventId'),
    page('deliveryAttempts', { deliveryId }, 'deliveryId'),
    page('deliveryAttempts', { triggers: ['INITIAL'] }, 'triggers'),
    page('deliveryAttempts', { triggers: ['MANUAL'] }, 'triggers, none'),
    page('deliveryAttempts', { isDeadLetter: true }, 'isDeadLetter, none'),
    page('deliveryAttempts', { isDeadLetter: false }, 'isDeadLetter false'),
    ...statuses('deliveryAttempts', ['SUCCEEDED', 'FAILED']),
    ...times('deliveryAttempts'),
    page('endpoints', null, ''),
    page('endpoints', { eventType: PAST_TYPE }, 'eventType'),
    ...statuses('endpoints', ['ACTIVE', 'PAUSED']),
  ];
}

async function findPast(serverUrl: string) {
  const query = `query ($filter: DeliveryFilter) {
    deliveries(first: 1, filter: $filter) { edges { node { id event { id } endpoint { id } } } } }`;
  const { edges } = await ask(serverUrl, query, { filter: { eventTypes: [PAST_TYPE] } });
  const { id, event, endpoint } = edges[0].node;
  return { deliveryId: id, eventId: event.id, endpointId: endpoint.id };
}

const CALLS = 40;
/** A page that takes long is asked for less often, so that a scan of everything does not stop the run. */
const TIME_MAX_MS = 3_000;

/** Asks for each page once: servers that have just started answer slowly at first. */
export async function warmUp(serverUrl: string, pages: readonly FirstPage[]): Promise<void> {
  for (const page of pages) await timeCall(serverUrl, page);
}

/** Times a page on two servers in turns, so that whatever else the machine does falls on both. @returns medians, in ms */
export async function timeFirstPage(
  servers: [string, string],
  pages: [FirstPage, FirstPage],
): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []];
  const start = performance.now();
  for (let call = 0; call < CALLS && performance.now() < start + TIME_MAX_MS; call += 1) {
    times[0].push(await timeCall(servers[0], pages[0]));
    times[1].push(await timeCall(servers[1], pages[1]));
  }
  return [median(times[0]), median(times[1])];
}

async function timeCall(serverUrl: string, { field, filter }: FirstPage): Promise<number> {
  const { filterType, node } = FIELDS[field];
  const query = `query ($filter: ${filterType}) { ${field}(first: 20, filter: $filter) {
    edges { cursor node { ${node} } } pageInfo { hasNextPage endCursor } } }`;
  const start = performance.now();
  await ask(serverUrl, query, { filter });
  return performance.now() - start;
}
