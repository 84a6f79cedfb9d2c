import { expect } from 'vitest';
import type { useFollowing } from './following.ts';
import type { TestBed } from './posthorn.ts';
import { ALL_SCOPES, until } from './posthorn.ts';
import type { Receiver } from './receiver.ts';

export interface MainJobOptions {
  bed: TestBed;
  receiver: Receiver;
  follow: ReturnType<typeof useFollowing>['follow'];
}

const HOUR_MS = 3_600_000;
/** Clocks of the test and of Postgres are the same, but rows are written after a time was taken. */
const TOLERANCE_MS = 60_000;

const inHours = (hours: number) => new Date(Date.now() + hours * HOUR_MS).toISOString();

function expectNow(text: string) {
  expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  expect(Math.abs(Date.parse(text) - Date.now())).toBeLessThan(TOLERANCE_MS);
}

/**
 * Everything whose result would change if a session's settings reached it: times that are written, read and compared,
 * keys that expire, binary columns, statistics, pages, the feed.
 *
 * @returns the key of the tenant that it created, which has published one event
 */
export async function doMainJob({ bed, receiver, follow }: MainJobOptions): Promise<string> {
  const { environmentId } = await bed.createTenant('Customer with ümlauts, İ and 日本');
  const key = { key: await createExpiringKey(bed, environmentId, inHours(1)) };
  receiver.answer = ({ headers }) => ({ status: headers['x-kind'] === 'failing' ? 500 : 200, body: '日本' });

  const good = await bed.createEndpoint({ url: receiver.url('/good'), eventTypes: ['invoice.*'] }, key);
  const bad = await bed.createEndpoint(
    { url: receiver.url('/bad'), eventTypes: ['invoice.paid'], headers: { 'x-kind': 'failing' } },
    key,
  );
  const feed = follow<{ changes: { changedAt: string; delivery: { id: string; createdAt: string } }[] }>('WebSocket', {
    query: 'subscription { deliveryChanges { changes { changedAt delivery { id createdAt } } } }',
    key: key.key,
  });
  const firstChange = feed.next();
  // Both secrets sign from now on.
  await bed.ask(
    `mutation ($id: ID!) { rotateEndpointSecret(input: { endpointId: $id, overlapSeconds: 3600 }) {
      ... on RotateEndpointSecretPayload { endpoint { id } } ... on Error { message } } }`,
    { id: good.id },
    key,
  );
  const event = await bed.publish({ type: 'invoice.paid', idempotencyKey: 'once', payload: { total: 0.1 } }, key);
  expect(await bed.publish({ type: 'invoice.paid', idempotencyKey: 'once', payload: { total: 0.1 } }, key)).toEqual(
    event,
  );
  const toGood = await findDelivery(bed, event.id, good.id, key);
  const toBad = await findDelivery(bed, event.id, bad.id, key);

  const delivered = await waitFor(bed, toGood, 'DELIVERED', key);
  expectNow(delivered.createdAt);
  expectNow(delivered.deliveredAt);
  const request = receiver.requests.find(({ path }) => path === '/good');
  expect(String(request?.headers['webhook-signature']).split(' ')).toHaveLength(2);

  const retrying = await waitFor(bed, toBad, 'RETRYING', key);
  // The first retry of the default schedule comes after 5 s, with jitter.
  const dueInMs = Date.parse(retrying.nextAttemptAt) - Date.parse(retrying.attempts.edges[0].node.createdAt);
  expect(dueInMs).toBeGreaterThan(1_000);
  expect(dueInMs).toBeLessThan(20_000);
  expect(retrying.attempts.edges[0].node.responseBody).toBe('日本');
  await bed.ask(
    'mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) { ... on Error { message } } }',
    { id: toBad },
    key,
  );
  await until(async () => (await readDelivery(bed, toBad, key)).attemptCount >= 2, 'the manual retry');

  await expectTimeFilters(bed, [toGood, toBad], key);
  await expectStatistics(bed, key);
  const change = (await firstChange).value.changes[0];
  expectNow(change.delivery.createdAt);
  expectNow(change.changedAt);
  await feed.return(undefined);

  const gone = await createExpiringKey(bed, environmentId, new Date(Date.now() + 1_500).toISOString());
  const { errors } = await until(async () => {
    const answer = await bed.graphql('{ environments(first: 1) { edges { node { id } } } }', {}, { key: gone });
    return answer.errors?.[0]?.extensions.code === 'UNAUTHENTICATED' ? answer : null;
  }, 'the key to expire');
  expect(errors).toHaveLength(1);
  return key.key;
}

interface Key {
  key: string;
}

async function createExpiringKey(bed: TestBed, environmentId: string, expiresAt: string): Promise<string> {
  const made = await bed.ask(
    `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
      ... on CreateApiKeyPayload { secret apiKey { expiresAt } } ... on InvalidInputError { message } } }`,
    { input: { environmentId, name: 'expiring', scopes: ALL_SCOPES, expiresAt } },
  );
  expect(Date.parse(made.apiKey?.expiresAt)).toBe(Date.parse(expiresAt));
  return made.secret;
}

async function findDelivery(bed: TestBed, eventId: string, endpointId: string, key: Key): Promise<string> {
  const page = await bed.ask(
    'query ($filter: DeliveryFilter!) { deliveries(filter: $filter, first: 10) { edges { node { id } } } }',
    { filter: { eventId, endpointId, createdAfter: inHours(-0.5), createdBefore: inHours(0.5) } },
    key,
  );
  expect(page.edges).toHaveLength(1);
  return page.edges[0].node.id;
}

const readDelivery = (bed: TestBed, id: string, key: Key) =>
  bed.ask(
    `query ($id: ID!) { delivery(id: $id) { status createdAt deliveredAt nextAttemptAt attemptCount
      attempts(first: 5) { edges { node { createdAt responseBody } } } } }`,
    { id },
    key,
  );

const waitFor = (bed: TestBed, id: string, status: string, key: Key) =>
  until(async () => {
    const delivery = await readDelivery(bed, id, key);
    return delivery.status === status ? delivery : null;
  }, `delivery ${id} to be ${status}`);

/** Two pages one way, one the other way, and windows of time that hold everything or nothing. */
async function expectTimeFilters(bed: TestBed, deliveryIds: string[], key: Key) {
  const list = (args: string) =>
    bed.ask(`{ deliveries(${args}) { edges { cursor node { id } } pageInfo { hasNextPage } } }`, {}, key);
  const idsOf = (page: { edges: { node: { id: string } }[] }) => page.edges.map(({ node }) => node.id);
  const newestFirst = deliveryIds.toSorted().reverse();
  const first = await list('first: 1');
  const second = await list(`first: 1, after: "${first.edges[0].cursor}"`);
  expect([...idsOf(first), ...idsOf(second)]).toEqual(newestFirst);
  expect(second.pageInfo.hasNextPage).toBe(false);
  const window = (from: string, to: string) =>
    list(`first: 10, filter: { createdAfter: "${from}", createdBefore: "${to}" }`).then(idsOf);
  expect(await window(inHours(-0.25), inHours(0.25))).toEqual(newestFirst);
  expect(await window(inHours(-12), inHours(-0.25))).toEqual([]);
  expect(await window(inHours(0.25), inHours(12))).toEqual([]);
  const events = await bed.ask(
    `{ events(first: 10, filter: { createdAfter: "${inHours(-0.25)}", createdBefore: "${inHours(0.25)}" }) { edges { node { createdAt } } } }`,
    {},
    key,
  );
  expect(events.edges).toHaveLength(1);
  expectNow(events.edges[0].node.createdAt);
}

async function expectStatistics(bed: TestBed, key: Key) {
  const stats = await until(async () => {
    const found = await bed.ask(
      '{ deliveryStats { buckets { from published delivered attempts } total { published delivered attempts } } }',
      {},
      key,
    );
    return found.total.attempts >= 3 ? found : null;
  }, 'the statistics');
  expect(stats.total).toMatchObject({ published: 1, delivered: 1 });
  const last = stats.buckets.at(-1).from;
  expect(Math.abs(Date.parse(last) - Date.now())).toBeLessThan(2 * TOLERANCE_MS);
}
