import { describe, expect, it } from 'vitest';
import { until, useTestBed } from '../support/posthorn.ts';
import { type ReceivedRequest, useReceiver } from '../support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const FIELDS = `
  id organization { id } createdAt updatedAt status
  event { source { workflowId runId nodeId } payload body }
  lastAttempt { number trigger requestUrl requestMethod requestHeaders
    responseStatus responseHeaders responseBody durationMs error { code message } }
  retryCount maxRetries nextAttemptAt`;

const read = (id: string) => bed.ask(`query ($id: ID!) { delivery(id: $id) { ${FIELDS} } }`, { id });

const RETRY = `mutation ($input: RetryDeliveryInput!) { retryDelivery(input: $input) { __typename
  ... on RetryDeliveryPayload { delivery { ${FIELDS} } }
  ... on DeliveryNotRetryableError { message reason delivery { id status } }
  ... on InvalidInputError { message issues { path message } }
  ... on NotFoundError { message } } }`;

const retry = (deliveryId: string, restartSchedule?: boolean) =>
  bed.ask(RETRY, { input: { deliveryId, restartSchedule } });

const SOON = { delaysSeconds: [1], jitter: 0, maxRetries: 1 };
const NEVER = { maxRetries: 0 };
const LATER = { delaysSeconds: [3600], jitter: 0, maxRetries: 2 };

/** An endpoint for one type of event, and an event for it. @returns their IDs, and the delivery's */
async function publishTo(name: string, retryPolicy: object, more: { endpoint?: object; event?: object } = {}) {
  const type = `s0.${name}`;
  const url = receiver.url(`/${name}`);
  const endpoint = await bed.createEndpoint({ url, eventTypes: [type], retryPolicy, ...more.endpoint });
  const { deliveryIds } = await bed.publish({ type, ...more.event });
  return { endpointId: endpoint.id, deliveryId: deliveryIds[0] as string };
}

const change = (name: string, endpointId: string) =>
  bed.ask(`mutation ($id: ID!) { ${name}(input: { endpointId: $id }) { __typename } }`, { id: endpointId });

const ms = (time: string) => Date.parse(time);

function expectBetween(time: string, from: number, to = Date.now()) {
  expect(ms(time)).toBeGreaterThanOrEqual(from);
  expect(ms(time)).toBeLessThanOrEqual(to);
}

describe('S0: retrying a delivery by hand', () => {
  it('a failed delivery tells everything about its last request, and so does its retry when it succeeds', async () => {
    const { organization } = await bed.ask('{ viewer { organization { id } } }');
    const body = '{ "order" : 42, "name":"Zoë" }';
    const source = { workflowId: 'wf-1', runId: 'run-2', nodeId: 'node-3' };
    receiver.answer = () => ({ status: 500, headers: { 'x-answer': 'no' }, body: 'not now' });
    const beganAt = Date.now();
    const { deliveryId } = await publishTo('fields', SOON, {
      endpoint: { method: 'PUT', headers: { 'X-Workflow-Token': 'secret' } },
      event: { body, source },
    });
    await bed.waitForStatus(deliveryId, 'FAILED');
    const failed = await read(deliveryId);
    const second = receiver.to('/fields')[1] as ReceivedRequest;

    expect(receiver.to('/fields').map((request) => request.body.toString())).toEqual([body, body]);
    expect(second).toMatchObject({ method: 'PUT', headers: { 'x-workflow-token': 'secret' } });
    expect(failed).toEqual({
      id: deliveryId,
      organization: { id: organization.id },
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
      status: 'FAILED',
      event: { source, payload: { order: 42, name: 'Zoë' }, body },
      lastAttempt: {
        number: 2,
        trigger: 'RETRY',
        requestUrl: receiver.url('/fields'),
        requestMethod: 'PUT',
        requestHeaders: {
          'X-Workflow-Token': null,
          'content-type': 'application/json',
          'user-agent': second.headers['user-agent'],
          'webhook-id': second.headers['webhook-id'],
          'webhook-timestamp': second.headers['webhook-timestamp'],
          'webhook-signature': second.headers['webhook-signature'],
        },
        responseStatus: 500,
        responseHeaders: expect.objectContaining({ 'x-answer': 'no' }),
        responseBody: 'not now',
        durationMs: expect.any(Number),
        error: { code: 'HTTP_STATUS', message: expect.stringContaining('500') },
      },
      retryCount: 1,
      maxRetries: 1,
      nextAttemptAt: null,
    });
    expectBetween(failed.createdAt, beganAt, second.receivedAt);
    expectBetween(failed.updatedAt, second.receivedAt);

    const { promise, resolve: release } = Promise.withResolvers<void>();
    receiver.answer = () => promise.then(() => ({ status: 201, headers: { 'x-answer': 'yes' }, body: 'thanks' }));
    const { delivery: queued } = await retry(deliveryId);
    expect(queued).toEqual({ ...failed, status: 'PENDING', updatedAt: expect.any(String) });
    expect(ms(queued.updatedAt)).toBeGreaterThan(ms(failed.updatedAt));

    const third = (await receiver.waitFor(3, '/fields'))[2] as ReceivedRequest;
    await until(() => Date.now() > third.receivedAt + 50, 'the answer to take a while');
    const heldMs = Date.now() - third.receivedAt;
    release();
    await bed.waitForStatus(deliveryId, 'DELIVERED');
    const delivered = await read(deliveryId);
    expect(delivered).toMatchObject({ status: 'DELIVERED', retryCount: 1, maxRetries: 1, nextAttemptAt: null });
    expect(delivered.lastAttempt).toMatchObject({
      number: 3,
      trigger: 'MANUAL',
      requestHeaders: { 'webhook-id': third.headers['webhook-id'] },
      responseStatus: 201,
      responseHeaders: { 'x-answer': 'yes' },
      responseBody: 'thanks',
      error: null,
    });
    expect(delivered.lastAttempt.durationMs).toBeGreaterThanOrEqual(heldMs - 2);
    expect(delivered.lastAttempt.durationMs).toBeLessThanOrEqual(Date.now() - ms(queued.updatedAt));
    expect(third.headers['webhook-id']).toBe(second.headers['webhook-id']);
    expect(third.body.toString()).toBe(body);
  });

  it('an endpoint that says nothing leaves a record without a response, and a workflow step may be left out', async () => {
    receiver.answer = () => 'never';
    const { deliveryId } = await publishTo('silent', NEVER, { endpoint: { timeoutMs: 100 } });
    await bed.waitForStatus(deliveryId, 'FAILED');
    const { event, lastAttempt } = await read(deliveryId);
    expect(event.source).toBeNull();
    expect(lastAttempt).toMatchObject({ responseStatus: null, responseHeaders: null, responseBody: null });
    expect(lastAttempt.error).toEqual({ code: 'TIMEOUT', message: expect.stringContaining('100 ms') });
    expect(lastAttempt.durationMs).toBeGreaterThanOrEqual(95);
  });

  it('a delivery that waits for its next time shows it, and keeps it when a retry by hand fails', async () => {
    receiver.answer = () => ({ status: 503 });
    const { deliveryId } = await publishTo('waiting', LATER);
    await bed.waitForStatus(deliveryId, 'RETRYING');
    const waiting = await read(deliveryId);
    expect(waiting).toMatchObject({ status: 'RETRYING', retryCount: 0, maxRetries: 2 });
    const first = receiver.to('/waiting')[0]?.receivedAt ?? Number.NaN;
    expectBetween(waiting.nextAttemptAt, first + 3_600_000, Date.now() + 3_600_000);

    expect(await retry(deliveryId)).toMatchObject({ delivery: { id: deliveryId } });
    await receiver.waitFor(2, '/waiting');
    const after = await until(async () => {
      const delivery = await read(deliveryId);
      return delivery.status === 'RETRYING' && delivery;
    }, 'the delivery to wait again');
    expect(after).toMatchObject({ retryCount: 0, maxRetries: 2, nextAttemptAt: waiting.nextAttemptAt });
    expect(after.lastAttempt).toMatchObject({ number: 2, trigger: 'MANUAL', responseStatus: 503 });
  });

  it('a retry with restartSchedule gives a failed delivery its automatic retries again', async () => {
    receiver.answer = () => ({ status: 500 });
    const { deliveryId } = await publishTo('restart', SOON);
    await bed.waitForStatus(deliveryId, 'FAILED');
    expect((await retry(deliveryId, true)).delivery).toMatchObject({ retryCount: 0, maxRetries: 1 });
    await receiver.waitFor(4, '/restart');
    const { attempts, retryCount } = await bed.waitForStatus(deliveryId, 'FAILED');
    expect(attempts.map((attempt) => attempt.trigger)).toEqual(['INITIAL', 'RETRY', 'MANUAL', 'RETRY']);
    expect(retryCount).toBe(1);
  });
});

describe('S0: errors', () => {
  it('a second retry is refused while the first is queued or in flight, and sends nothing', async () => {
    const { promise, resolve: release } = Promise.withResolvers<void>();
    receiver.answer = () => promise.then(() => ({}));
    const { deliveryId } = await publishTo('twice', NEVER);
    await receiver.waitFor(1, '/twice');
    expect(await retry(deliveryId)).toEqual({
      __typename: 'DeliveryNotRetryableError',
      reason: 'ALREADY_QUEUED',
      message: expect.stringContaining('queued or in flight'),
      delivery: { id: deliveryId, status: 'PENDING' },
    });
    release();
    expect((await bed.waitForStatus(deliveryId, 'DELIVERED')).attemptCount).toBe(1);
    expect(receiver.to('/twice')).toHaveLength(1);
  });

  it.each([
    ['pauseEndpoint', 'ENDPOINT_PAUSED'],
    ['disableEndpoint', 'ENDPOINT_DISABLED'],
    ['deleteEndpoint', 'ENDPOINT_DELETED'],
  ])('after %s a retry is refused with %s', async (mutation, reason) => {
    receiver.answer = () => ({ status: 500 });
    const { deliveryId, endpointId } = await publishTo(mutation, NEVER);
    await bed.waitForStatus(deliveryId, 'FAILED');
    await change(mutation, endpointId);
    const word = reason.split('_')[1]?.toLowerCase() as string;
    expect(await retry(deliveryId)).toEqual({
      __typename: 'DeliveryNotRetryableError',
      reason,
      message: expect.stringContaining(word),
      delivery: { id: deliveryId, status: 'FAILED' },
    });
  });

  it('a key without the scope is FORBIDDEN, with the request ID in header and error, and nothing is sent', async () => {
    receiver.answer = () => ({ status: 500 });
    const { deliveryId } = await publishTo('forbidden', NEVER);
    await bed.waitForStatus(deliveryId, 'FAILED');
    const { environment } = await bed.ask('{ viewer { environment { id } } }');
    const key = await bed.createKey(environment.id, ['DELIVERIES_READ']);
    const headers = { 'x-request-id': 'my-request-1' };
    const answer = await bed.graphql(RETRY, { input: { deliveryId } }, { key, headers });
    expect(answer.data).toBeNull();
    expect(answer.errors).toEqual([
      expect.objectContaining({
        message: expect.stringContaining('retryDelivery'),
        path: ['retryDelivery'],
        extensions: { code: 'FORBIDDEN', requestId: 'my-request-1' },
      }),
    ]);
    expect(answer.headers.get('x-request-id')).toBe('my-request-1');
    expect((await bed.readDelivery(deliveryId)).status).toBe('FAILED');
  });

  it.each([
    ['no key', '{ viewer { scopes } }', { key: null }, 401, 'UNAUTHENTICATED'],
    ['an unknown field', '{ viewer { nothing } }', {}, 400, 'GRAPHQL_VALIDATION_FAILED'],
    ['a variable that is missing', RETRY, {}, 400, 'BAD_USER_INPUT'],
  ])(
    'a request with %s fails as a whole, with status, message and request ID',
    async (_, query, options, status, code) => {
      const accept = { accept: 'application/graphql-response+json' };
      const answer = await bed.graphql(query, {}, { ...options, headers: accept });
      expect(answer.status).toBe(status);
      expect(answer.errors?.[0]?.message).toMatch(/\w+ \w+/);
      const requestId = answer.headers.get('x-request-id');
      expect(requestId).toMatch(/^[\w.:-]{16,128}$/);
      expect(answer.errors?.[0]?.extensions).toEqual({ code, requestId });
    },
  );

  it('a delivery that does not exist or is of another tenant is a NotFoundError, a malformed ID an InvalidInputError', async () => {
    receiver.answer = () => ({ status: 500 });
    const { deliveryId } = await publishTo('foreign', NEVER);
    await bed.waitForStatus(deliveryId, 'FAILED');
    const { key } = await bed.createTenant('Somebody else');
    const foreign = await bed.ask(RETRY, { input: { deliveryId } }, { key });
    expect(foreign).toEqual({ __typename: 'NotFoundError', message: expect.stringContaining('no delivery') });
    expect(await retry(`${deliveryId.slice(0, -4)}0000`)).toEqual(foreign);
    expect(await retry('nonsense')).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ path: ['deliveryId'], message: expect.stringContaining('dlv_') }],
    });
    expect(receiver.to('/foreign')).toHaveLength(1);
    expect((await bed.readDelivery(deliveryId)).status).toBe('FAILED');
  });
});
