import { beforeAll, describe, expect, it } from 'vitest';
import { type Tenant, until, useTestBed } from '../support/posthorn.ts';
import { type ReceivedRequest, useReceiver } from '../support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();
let tenant: Tenant;

beforeAll(async () => {
  tenant = await bed.createTenant('Parcels');
});

const FIELDS = `
  id organization { id } environment { id } event { id } createdAt
  route { id name } endpoint { id name }
  requestUrl requestMethod requestHeaders requestBodySize
  responseStatus responseHeaders responseBody durationMs error { code message }
  status number nextAttemptAt trigger isDeadLetter deadLetteredAt`;

const RETRY = `mutation ($id: ID!) { retryDeliveryAttempt(input: { attemptId: $id }) { __typename
  ... on RetryDeliveryAttemptPayload { attempt { ${FIELDS} } delivery { id status attemptCount } }
  ... on DeliveryNotRetryableError { message reason delivery { id status } }
  ... on InvalidInputError { message issues { path message } }
  ... on NotFoundError { message } } }`;

const ask = (query: string, variables = {}) => bed.ask(query, variables, { key: tenant.key });
const retry = (id: string) => ask(RETRY, { id });
const read = (id: string) => ask(`query ($id: ID!) { deliveryAttempt(id: $id) { ${FIELDS} } }`, { id });

/** An endpoint of the tenant and an event for it. @returns all that was made */
async function publishTo(name: string, retryPolicy: object, event: object = {}) {
  const type = `s2.${name}`;
  const input = { url: receiver.url(`/${name}`), name: `Endpoint ${name}`, eventTypes: [type], retryPolicy };
  const endpoint = await bed.createEndpoint(input, { key: tenant.key });
  const { id, deliveryIds } = await bed.publish({ type, ...event }, { key: tenant.key });
  return { endpointId: endpoint.id, eventId: id, deliveryId: deliveryIds[0] as string };
}

/** Waits for a status. @returns the delivery's attempts, oldest first, with every field */
const waitForAttempts = (deliveryId: string, status: string) =>
  until(async () => {
    const delivery = await ask(
      `query ($id: ID!) { delivery(id: $id) { status attempts(last: 50) { edges { node { ${FIELDS} } } } } }`,
      { id: deliveryId },
    );
    const attempts = delivery.attempts.edges.map((edge: { node: { id: string } }) => edge.node).reverse();
    return delivery.status === status && attempts;
  }, `delivery ${deliveryId} to be ${status}`);

const ms = (time: string) => Date.parse(time);

function expectBetween(time: string, from: number, to = Date.now()) {
  expect(ms(time)).toBeGreaterThanOrEqual(from);
  expect(ms(time)).toBeLessThanOrEqual(to);
}

describe('S2: retrying an attempt', () => {
  it('attempts tell what was sent, what came back and what it led to, from the first to the dead letter', async () => {
    receiver.answer = () => ({ status: 500, headers: { 'x-trace': 't-1' }, body: 'broken' });
    const beganAt = Date.now();
    const made = await publishTo(
      'record',
      { delaysSeconds: [1], jitter: 0, maxRetries: 1 },
      { body: '{"city":"Köln"}' },
    );
    const [first, second] = await waitForAttempts(made.deliveryId, 'FAILED');
    const endedAt = Date.now();
    const requests = receiver.to('/record');
    const endpoint = await ask('query ($id: ID!) { endpoint(id: $id) { id name routes { id name } } }', {
      id: made.endpointId,
    });
    const common = (request: ReceivedRequest) => ({
      organization: { id: tenant.organizationId },
      environment: { id: tenant.environmentId },
      event: { id: made.eventId },
      createdAt: expect.any(String),
      route: endpoint.routes[0],
      endpoint: { id: made.endpointId, name: 'Endpoint record' },
      requestUrl: receiver.url('/record'),
      requestMethod: 'POST',
      requestHeaders: {
        'content-type': 'application/json',
        'user-agent': request.headers['user-agent'],
        'webhook-id': made.eventId,
        'webhook-timestamp': request.headers['webhook-timestamp'],
        'webhook-signature': request.headers['webhook-signature'],
      },
      requestBodySize: 16,
      responseStatus: 500,
      responseHeaders: expect.objectContaining({ 'x-trace': 't-1' }),
      responseBody: 'broken',
      durationMs: expect.any(Number),
      error: { code: 'HTTP_STATUS', message: expect.stringContaining('500') },
      status: 'FAILED',
    });
    expect(requests.map((request) => request.body.length)).toEqual([16, 16]);
    expect(first).toEqual({
      ...common(requests[0] as ReceivedRequest),
      id: expect.stringMatching(/^att_/),
      number: 1,
      trigger: 'INITIAL',
      nextAttemptAt: expect.any(String),
      isDeadLetter: false,
      deadLetteredAt: null,
    });
    expect(second).toEqual({
      ...common(requests[1] as ReceivedRequest),
      id: expect.stringMatching(/^att_/),
      number: 2,
      trigger: 'RETRY',
      nextAttemptAt: null,
      isDeadLetter: true,
      deadLetteredAt: expect.any(String),
    });
    expect(endpoint).toMatchObject({ name: 'Endpoint record', routes: [{ name: 'Endpoint record' }] });

    const [firstAt, secondAt] = requests.map((request) => request.receivedAt) as [number, number];
    expectBetween(first.createdAt, beganAt, firstAt);
    expectBetween(first.nextAttemptAt, firstAt + 1_000, ms(second.createdAt));
    expect(ms(second.createdAt)).toBeLessThanOrEqual(secondAt);
    expectBetween(second.deadLetteredAt, secondAt, endedAt);
    expect(second.durationMs).toBeLessThanOrEqual(endedAt - ms(second.createdAt));
  });

  it('retrying any attempt, also an older one, sends its delivery once more as a MANUAL attempt', async () => {
    receiver.answer = () => ({ status: 500 });
    const { deliveryId } = await publishTo('manual', { maxRetries: 0 });
    const [first] = await waitForAttempts(deliveryId, 'FAILED');

    const { promise, resolve: release } = Promise.withResolvers<void>();
    receiver.answer = () => promise.then(() => ({ status: 202, headers: { 'x-trace': 't-2' }, body: 'fine' }));
    expect(await retry(first.id)).toEqual({
      __typename: 'RetryDeliveryAttemptPayload',
      attempt: first,
      delivery: { id: deliveryId, status: 'PENDING', attemptCount: 1 },
    });
    const request = (await receiver.waitFor(2, '/manual'))[1] as ReceivedRequest;
    await until(() => Date.now() > request.receivedAt + 50, 'the answer to take a while');
    const heldMs = Date.now() - request.receivedAt;
    release();
    const [, second] = await waitForAttempts(deliveryId, 'DELIVERED');
    expect(await read(second.id)).toEqual(second);
    expect(second).toEqual({
      ...first,
      id: expect.stringMatching(/^att_/),
      createdAt: expect.any(String),
      requestHeaders: {
        ...first.requestHeaders,
        'webhook-timestamp': request.headers['webhook-timestamp'],
        'webhook-signature': request.headers['webhook-signature'],
      },
      responseStatus: 202,
      responseHeaders: expect.objectContaining({ 'x-trace': 't-2' }),
      responseBody: 'fine',
      durationMs: expect.any(Number),
      error: null,
      status: 'SUCCEEDED',
      number: 2,
      trigger: 'MANUAL',
      isDeadLetter: false,
      deadLetteredAt: null,
    });
    expect(second.durationMs).toBeGreaterThanOrEqual(heldMs - 2);

    receiver.answer = () => ({ status: 500 });
    await retry(first.id);
    await receiver.waitFor(3, '/manual');
    const [, , third] = await waitForAttempts(deliveryId, 'DELIVERED');
    expect(third).toMatchObject({ number: 3, trigger: 'MANUAL', status: 'FAILED', isDeadLetter: false });
  });
});

describe('S2: who may ask', () => {
  const asWhom = async (headers: Record<string, string>) =>
    bed.graphql('{ viewer { organization { id } environment { id } } }', {}, { key: null, headers });

  it.each([
    ['a bearer token', () => ({ authorization: `Bearer ${tenant.key}` })],
    ['X-API-Key', () => ({ 'X-API-Key': tenant.key })],
  ])('a key in %s acts in its environment', async (_, makeHeaders) => {
    const { status, data } = await asWhom(makeHeaders());
    expect(status).toBe(200);
    expect(data.viewer).toEqual({
      organization: { id: tenant.organizationId },
      environment: { id: tenant.environmentId },
    });
  });

  it('a retry with X-API-Key is sent', async () => {
    receiver.answer = () => ({ status: 500 });
    const { deliveryId } = await publishTo('api-key', { maxRetries: 0 });
    const [first] = await waitForAttempts(deliveryId, 'FAILED');
    const headers = { 'x-api-key': tenant.key };
    const answer = await bed.graphql(RETRY, { id: first.id }, { key: null, headers });
    expect(answer.data.retryDeliveryAttempt.attempt).toEqual(first);
    await receiver.waitFor(2, '/api-key');
    expect((await waitForAttempts(deliveryId, 'FAILED')).map((one: typeof first) => one.trigger)).toEqual([
      'INITIAL',
      'MANUAL',
    ]);
  });

  it.each([
    ['no key', {}],
    ['an unknown bearer token', { authorization: 'Bearer nobody' }],
    ['an unknown X-API-Key', { 'x-api-key': 'nobody' }],
    ['another kind of authorization', { authorization: 'Basic bm9ib2R5Og==' }],
  ])('with %s the answer is 401 with code UNAUTHENTICATED', async (_, headers) => {
    const answer = await asWhom(headers);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(answer.data ?? null).toBeNull();
    const requestId = answer.headers.get('x-request-id');
    expect(answer.errors).toEqual([
      { message: expect.stringContaining('API key'), extensions: { code: 'UNAUTHENTICATED', requestId } },
    ]);
    expect(requestId).toBeTruthy();
  });
});

describe('S2: errors', () => {
  it('an attempt whose delivery is queued or in flight is not retryable, and a double click sends once', async () => {
    receiver.answer = () => ({ status: 500 });
    const { deliveryId } = await publishTo('double', { maxRetries: 0 });
    const [first] = await waitForAttempts(deliveryId, 'FAILED');
    const { promise, resolve: release } = Promise.withResolvers<void>();
    receiver.answer = () => promise.then(() => ({}));
    const answers = await Promise.all([retry(first.id), retry(first.id)]);
    expect(answers.filter((answer) => answer.__typename === 'RetryDeliveryAttemptPayload')).toHaveLength(1);
    expect(answers).toContainEqual({
      __typename: 'DeliveryNotRetryableError',
      reason: 'ALREADY_QUEUED',
      message: expect.stringContaining('queued or in flight'),
      delivery: { id: deliveryId, status: 'PENDING' },
    });
    release();
    expect(await waitForAttempts(deliveryId, 'DELIVERED')).toHaveLength(2);
    expect(receiver.to('/double')).toHaveLength(2);
  });

  it('an attempt that does not exist or is of another tenant is a NotFoundError, a malformed ID an InvalidInputError', async () => {
    receiver.answer = () => ({ status: 500 });
    const { deliveryId } = await publishTo('foreign', { maxRetries: 0 });
    const [first] = await waitForAttempts(deliveryId, 'FAILED');
    const notFound = { __typename: 'NotFoundError', message: expect.stringContaining('no attempt') };
    const { key } = await bed.createTenant('Letters');
    expect(await bed.ask(RETRY, { id: first.id }, { key })).toEqual(notFound);
    expect(await retry(`${first.id.slice(0, -4)}0000`)).toEqual(notFound);
    expect(await retry(deliveryId)).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ path: ['attemptId'], message: expect.stringContaining('att_') }],
    });
    expect(await waitForAttempts(deliveryId, 'FAILED')).toHaveLength(1);
    expect(receiver.to('/foreign')).toHaveLength(1);
  });
});
