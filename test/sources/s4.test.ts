import { beforeAll, describe, expect, it } from 'vitest';
import { type Tenant, until, useTestBed } from '../support/posthorn.ts';
import { useReceiver } from '../support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();
let other: Tenant;

beforeAll(async () => {
  other = await bed.createTenant('Somebody else');
});

const RETRY = `mutation ($input: RetryEventInput!) { retryEvent(input: $input) { __typename
  ... on RetryEventPayload { event { id status endpointCount } endpointCount message
    deliveries { id status endpoint { id } event { id } } }
  ... on DeliveryNotRetryableError { message reason delivery { id } }
  ... on InvalidInputError { message issues { path message } }
  ... on NotFoundError { message } } }`;

const retry = (eventId: string, endpointId?: string | null) => bed.ask(RETRY, { input: { eventId, endpointId } });

const createEndpoint = async (name: string, type: string) => {
  const input = { url: receiver.url(`/${name}`), eventTypes: [type], retryPolicy: { maxRetries: 0 } };
  return (await bed.createEndpoint(input)).id;
};

const readStatus = async (id: string): Promise<string> =>
  (await bed.ask('query ($id: ID!) { event(id: $id) { status } }', { id })).status;

const waitForStatus = (id: string, status: string) =>
  until(async () => (await readStatus(id)) === status, `event ${id} to be ${status}`);

/** Attempts of an event, newest first. */
const readLogs = async (eventId: string) => {
  const page = await bed.ask(
    `query ($filter: DeliveryAttemptFilter) { deliveryAttempts(filter: $filter) { edges { node {
      event { id } endpoint { id } trigger status responseStatus responseBody requestUrl } } } }`,
    { filter: { eventId } },
  );
  return page.edges.map((edge: { node: object }) => edge.node);
};

const change = (name: string, endpointId: string) =>
  bed.ask(`mutation ($id: ID!) { ${name}(input: { endpointId: $id }) { __typename } }`, { id: endpointId });

async function findDelivery(eventId: string, endpointId: string): Promise<string> {
  const query = 'query ($filter: DeliveryFilter) { deliveries(filter: $filter) { edges { node { id } } } }';
  return (await bed.ask(query, { filter: { eventId, endpointId } })).edges[0].node.id;
}

/** Publishes to two endpoints, which fail. @returns IDs of the event, of the endpoints and of their deliveries */
async function publishFailing(type: string) {
  receiver.answer = () => ({ status: 500, body: 'no' });
  const endpoints = [await createEndpoint(`${type}-a`, type), await createEndpoint(`${type}-b`, type)];
  const { id } = await bed.publish({ type });
  await waitForStatus(id, 'FAILED');
  const deliveryIds = await Promise.all(endpoints.map((endpointId) => findDelivery(id, endpointId)));
  return { eventId: id, deliveryIds, endpoints: endpoints as [string, string] };
}

/** Makes the receiver hold its answers back. @returns what lets them go */
function holdAnswers() {
  const { promise, resolve } = Promise.withResolvers<void>();
  receiver.answer = () => promise.then(() => ({ status: 200, body: 'yes' }));
  return resolve;
}

const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);

describe('S4: sending an event again', () => {
  it('without an endpoint it goes to every active one, and status and logs follow', async () => {
    const { eventId, deliveryIds, endpoints } = await publishFailing('all');
    const disabled = await createEndpoint('all-disabled', 'all');
    await change('disableEndpoint', disabled);
    const release = holdAnswers();
    const answer = await retry(eventId);
    expect({ ...answer, deliveries: answer.deliveries.toSorted(byId) }).toEqual({
      __typename: 'RetryEventPayload',
      event: { id: eventId, status: 'PENDING', endpointCount: 2 },
      endpointCount: 2,
      message: 'Event queued for retry to 2 webhook(s)',
      deliveries: deliveryIds
        .map((id, index) => ({ id, status: 'PENDING', endpoint: { id: endpoints[index] }, event: { id: eventId } }))
        .sort(byId),
    });
    await receiver.waitFor(4);
    expect(await readStatus(eventId)).toBe('PENDING');
    release();
    await waitForStatus(eventId, 'DELIVERED');
    const logs = await readLogs(eventId);
    const log = (index: number, trigger: string) => ({
      event: { id: eventId },
      endpoint: { id: endpoints[index] },
      trigger,
      status: trigger === 'MANUAL' ? 'SUCCEEDED' : 'FAILED',
      responseStatus: trigger === 'MANUAL' ? 200 : 500,
      responseBody: trigger === 'MANUAL' ? 'yes' : 'no',
      requestUrl: receiver.url(index === 0 ? '/all-a' : '/all-b'),
    });
    expect(logs).toHaveLength(4);
    expect(logs.slice(0, 2)).toEqual(expect.arrayContaining([log(0, 'MANUAL'), log(1, 'MANUAL')]));
    expect(logs.slice(2)).toEqual(expect.arrayContaining([log(0, 'INITIAL'), log(1, 'INITIAL')]));
    expect(receiver.requests.map((request) => request.headers['webhook-id'])).toEqual(Array(4).fill(eventId));
    expect(receiver.to('/all-disabled')).toEqual([]);
  });

  it('an endpoint added since gets the event too, one of another type does not', async () => {
    const { eventId } = await publishFailing('added');
    const added = await createEndpoint('added-c', 'added');
    await createEndpoint('unrelated', 'unrelated');
    receiver.answer = () => ({});
    const answer = await retry(eventId);
    expect(answer).toMatchObject({
      event: { endpointCount: 3 },
      endpointCount: 3,
      message: 'Event queued for retry to 3 webhook(s)',
    });
    await waitForStatus(eventId, 'DELIVERED');
    expect(answer.deliveries.map((delivery: { endpoint: { id: string } }) => delivery.endpoint.id)).toContain(added);
    expect(receiver.to('/added-c').map((request) => request.body.toString())).toEqual(['{"hello":"world"}']);
    expect(receiver.to('/unrelated')).toEqual([]);
  });

  it('endpoints with an attempt queued already are passed over', async () => {
    const { eventId } = await publishFailing('queued');
    const release = holdAnswers();
    await retry(eventId);
    expect(await retry(eventId)).toMatchObject({
      endpointCount: 0,
      deliveries: [],
      message: 'Event queued for retry to 0 webhook(s)',
    });
    release();
    await waitForStatus(eventId, 'DELIVERED');
    expect(receiver.requests).toHaveLength(4);
  });

  it('with an endpoint it goes there only, whether it was sent there before or not', async () => {
    const { eventId, deliveryIds, endpoints } = await publishFailing('one');
    receiver.answer = () => ({});
    expect(await retry(eventId, endpoints[1])).toMatchObject({
      endpointCount: 1,
      message: 'Event queued for retry to 1 webhook(s)',
      deliveries: [{ id: deliveryIds[1], endpoint: { id: endpoints[1] } }],
    });
    await bed.waitForStatus(deliveryIds[1] as string, 'DELIVERED');
    const added = await createEndpoint('one-c', 'one');
    const { deliveries } = await retry(eventId, added);
    expect(deliveries).toMatchObject([{ endpoint: { id: added }, event: { id: eventId } }]);
    await bed.waitForStatus(deliveries[0].id, 'DELIVERED');
    expect(['a', 'b', 'c'].map((name) => receiver.to(`/one-${name}`).length)).toEqual([1, 2, 1]);
    expect(await readStatus(eventId)).toBe('FAILED');
  });
});

describe('S4: endpoints and events that can not be taken', () => {
  it.each([
    ['nonsense', 'nonsense'],
    ['an empty text', ''],
    ['an ID of another type', 'evt_01h455vb4pex5vsknk084sn02q'],
  ])('%s as endpointId is an InvalidInputError, and nothing is sent', async (what, endpointId) => {
    const { eventId } = await publishFailing(`malformed.${what.replaceAll(' ', '-')}`);
    expect(await retry(eventId, endpointId)).toEqual({
      __typename: 'InvalidInputError',
      message: expect.stringContaining('endpointId'),
      issues: [{ path: ['endpointId'], message: expect.stringContaining('ep_') }],
    });
    expect(await readStatus(eventId)).toBe('FAILED');
    expect(receiver.requests).toHaveLength(2);
  });

  it('an endpoint of another tenant is a NotFoundError, as one that does not exist', async () => {
    const { eventId, endpoints } = await publishFailing('foreign');
    const url = receiver.url('/foreign-c');
    const foreign = await bed.createEndpoint({ url, eventTypes: ['foreign'] }, { key: other.key });
    for (const endpointId of [foreign.id, `${endpoints[0].slice(0, -4)}0000`]) {
      expect(await retry(eventId, endpointId)).toEqual({
        __typename: 'NotFoundError',
        message: expect.stringContaining('no endpoint'),
      });
    }
    expect(receiver.requests).toHaveLength(2);
  });

  it('an event of another tenant is a NotFoundError, a malformed event ID an InvalidInputError', async () => {
    const { eventId, endpoints } = await publishFailing('elsewhere');
    const notFound = { __typename: 'NotFoundError', message: expect.stringContaining('no event') };
    for (const input of [{ eventId }, { eventId, endpointId: endpoints[0] }]) {
      expect(await bed.ask(RETRY, { input }, { key: other.key })).toEqual(notFound);
    }
    expect(await retry('nonsense')).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ path: ['eventId'], message: expect.stringContaining('evt_') }],
    });
    expect(receiver.requests).toHaveLength(2);
  });

  it('the one endpoint named must be active and take the type of the event', async () => {
    const { eventId, deliveryIds, endpoints } = await publishFailing('named');
    await change('pauseEndpoint', endpoints[0]);
    expect(await retry(eventId, endpoints[0])).toEqual({
      __typename: 'DeliveryNotRetryableError',
      reason: 'ENDPOINT_PAUSED',
      message: expect.stringContaining('paused'),
      delivery: { id: deliveryIds[0] },
    });
    const wrongType = await createEndpoint('named-wrong', 'named-wrong');
    expect(await retry(eventId, wrongType)).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ path: ['endpointId'], message: expect.stringContaining('named') }],
    });
    expect(receiver.requests).toHaveLength(2);
  });
});

describe('S4: the list of events', () => {
  it('events are listed newest first, in pages, by type, status and key, each tenant its own', async () => {
    receiver.answer = ({ path }) => ({ status: path === '/list-failed' ? 500 : 200 });
    for (const name of ['failed', 'delivered']) await createEndpoint(`list-${name}`, `list.${name}`);
    const failed = await bed.publish({ type: 'list.failed', sourceKey: 'list-1' });
    const delivered = await bed.publish({ type: 'list.delivered', sourceKey: 'list-1' });
    const skipped = await bed.publish({ type: 'list.skipped', sourceKey: 'list-2' });
    await waitForStatus(failed.id, 'FAILED');
    await waitForStatus(delivered.id, 'DELIVERED');
    const list = (filter: object, page: object = {}, options = {}) =>
      bed.ask(
        `query ($filter: EventFilter, $first: Int, $after: String) {
          events(filter: $filter, first: $first, after: $after) {
            edges { node { id type status } } pageInfo { hasNextPage endCursor } } }`,
        { filter, ...page },
        options,
      );
    const idsOf = async (filter: object) =>
      (await list(filter)).edges.map((edge: { node: { id: string } }) => edge.node.id);
    const types = ['list.failed', 'list.delivered', 'list.skipped'];

    const first = await list({ types }, { first: 2 });
    expect(first.edges).toEqual([
      { node: { id: skipped.id, type: 'list.skipped', status: 'SKIPPED' } },
      { node: { id: delivered.id, type: 'list.delivered', status: 'DELIVERED' } },
    ]);
    expect(first.pageInfo.hasNextPage).toBe(true);
    const second = await list({ types }, { first: 2, after: first.pageInfo.endCursor });
    expect(second.edges).toEqual([{ node: { id: failed.id, type: 'list.failed', status: 'FAILED' } }]);
    expect(second.pageInfo.hasNextPage).toBe(false);
    expect(await idsOf({ sourceKey: 'list-1' })).toEqual([delivered.id, failed.id]);
    expect(await idsOf({ types, statuses: ['FAILED', 'SKIPPED'] })).toEqual([skipped.id, failed.id]);
    expect((await list({ types }, {}, { key: other.key })).edges).toEqual([]);
  });
});
