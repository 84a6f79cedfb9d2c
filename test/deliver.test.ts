import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { afterEach, describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { type AttemptState, type DeliveryState, until, useTestBed } from './support/posthorn.ts';
import { type ReceivedRequest, useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const ONE_HOUR_MS = 3_600_000;
const DAY_MS = 24 * ONE_HOUR_MS;
const NO_RETRIES = { retryPolicy: { maxRetries: 0 } };

let count = 0;

/** An endpoint that gets events of a type of its own. */
async function createTarget(input: Record<string, unknown> = {}) {
  count += 1;
  const path = `/target-${count}`;
  const type = `target-${count}.happened`;
  const endpoint = await bed.createEndpoint({ url: receiver.url(path), eventTypes: [type], ...input });
  return { ...endpoint, path, type };
}

type Target = Awaited<ReturnType<typeof createTarget>>;

/** Publishes an event to a target. @returns ID of its delivery */
async function publishTo({ type }: Target, input: Record<string, unknown> = {}): Promise<string> {
  const { deliveryIds } = await bed.publish({ ...input, type });
  return deliveryIds[0] as string;
}

/** Sends one event to an endpoint like this, and waits until its only attempt is on record. */
async function sendOnce(input: Record<string, unknown> = {}): Promise<{ target: Target; attempt: AttemptState }> {
  const target = await createTarget({ ...NO_RETRIES, ...input });
  const delivery = await bed.waitForStatus(await publishTo(target), 'DELIVERED', 'FAILED');
  expect(delivery.attempts).toHaveLength(1);
  return { target, attempt: delivery.attempts[0] as AttemptState };
}

const readEndpoint = (id: string) =>
  bed.ask('query ($id: ID!) { endpoint(id: $id) { status disabledReason disabledAt } }', { id });

const servers: (Server | TcpServer)[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
    if (server.listening) await once(server, 'close');
  }
});

async function listen(server: Server | TcpServer): Promise<string> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const serve = (listener: RequestListener) => listen(createServer(listener));

/** A server that does with the bytes of a connection what it wants. */
const serveRaw = (answer: string) =>
  listen(createTcpServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(answer))));

/** Begins a body that never ends. */
function drip(response: ServerResponse, status: number) {
  response.writeHead(status).write('a');
  const timer = setInterval(() => response.write('a'), 20);
  response.on('close', () => clearInterval(timer));
}

describe('automatic retries', () => {
  it('go on by the policy until the delivery is a dead letter', async () => {
    receiver.answer = () => ({ status: 500, body: 'no' });
    const target = await createTarget({ retryPolicy: { maxRetries: 2, delaysSeconds: [1], jitter: 0 } });
    const delivery = await bed.waitForStatus(await publishTo(target), 'FAILED');
    expect(delivery).toMatchObject({
      attemptCount: 3,
      retryCount: 2,
      maxRetries: 2,
      nextAttemptAt: null,
      deliveredAt: null,
    });
    expect(delivery.attempts).toMatchObject([
      { number: 1, trigger: 'INITIAL', status: 'FAILED', isDeadLetter: false },
      { number: 2, trigger: 'RETRY', status: 'FAILED', isDeadLetter: false },
      { number: 3, trigger: 'RETRY', status: 'FAILED', isDeadLetter: true, nextAttemptAt: null },
    ]);
    expect(delivery.attempts[2]?.deadLetteredAt).toBe(delivery.deadLetteredAt);
    expectSpacing(delivery, 1_000);
    expect(receiver.to(target.path)).toHaveLength(3);
  });

  /** Each retry was scheduled so long after the attempt before it, and did not begin earlier. */
  function expectSpacing({ attempts }: DeliveryState, delayMs: number) {
    for (const [index, attempt] of attempts.slice(0, -1).entries()) {
      const dueAt = Date.parse(attempt.nextAttemptAt as string);
      expect(dueAt).toBeGreaterThanOrEqual(Date.parse(attempt.createdAt) + delayMs);
      expect(Date.parse(attempts[index + 1]?.createdAt as string)).toBeGreaterThanOrEqual(dueAt);
    }
  }

  it('end when one succeeds', async () => {
    const target = await createTarget({ retryPolicy: { maxRetries: 3, delaysSeconds: [1], jitter: 0 } });
    receiver.answer = () => ({ status: receiver.to(target.path).length === 1 ? 503 : 200 });
    const delivery = await bed.waitForStatus(await publishTo(target), 'DELIVERED');
    expect(delivery).toMatchObject({ attemptCount: 2, retryCount: 1, nextAttemptAt: null, deadLetteredAt: null });
    expect(delivery.attempts).toMatchObject([
      { trigger: 'INITIAL', status: 'FAILED', responseStatus: 503 },
      { trigger: 'RETRY', status: 'SUCCEEDED', responseStatus: 200, error: null, nextAttemptAt: null },
    ]);
  });

  it('send the same webhook-id and body, with a fresh timestamp and signature', async () => {
    receiver.answer = () => ({ status: 500 });
    const target = await createTarget({ retryPolicy: { maxRetries: 1, delaysSeconds: [1], jitter: 0 } });
    await bed.waitForStatus(await publishTo(target), 'FAILED');
    const [first, second] = receiver.to(target.path) as [ReceivedRequest, ReceivedRequest];
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(second.body.equals(first.body)).toBe(true);
    expect(Number(second.headers['webhook-timestamp'])).toBeGreaterThan(Number(first.headers['webhook-timestamp']));
    for (const request of [first, second]) verify(request, target.secret);
  });

  it('wait for the delay of their number, and the last delay repeats', async () => {
    receiver.answer = () => ({ status: 500 });
    const target = await createTarget({ retryPolicy: { maxRetries: 5, delaysSeconds: [1, 3_600], jitter: 0 } });
    const deliveryId = await publishTo(target);
    for (const attemptCount of [2, 3]) {
      const delivery = await until(async () => {
        const found = await bed.readDelivery(deliveryId);
        return found.status === 'RETRYING' && found.attemptCount === attemptCount ? found : null;
      }, `attempt ${attemptCount}`);
      const last = delivery.attempts.at(-1) as AttemptState;
      expect(delivery).toMatchObject({ retryCount: attemptCount - 1, nextAttemptAt: last.nextAttemptAt });
      const waitMs = Date.parse(last.nextAttemptAt as string) - Date.parse(last.createdAt);
      expect(waitMs).toBeGreaterThanOrEqual(ONE_HOUR_MS);
      expect(waitMs).toBeLessThan(2 * ONE_HOUR_MS);
      await bed.database.query(
        `update deliveries set next_attempt_at = now() where status = 'RETRYING' and max_retries = 5`,
      );
    }
  });

  it('are spread by the jitter, within its bounds', async () => {
    receiver.answer = () => ({ status: 500 });
    const target = await createTarget({ retryPolicy: { maxRetries: 1, delaysSeconds: [1_000], jitter: 0.5 } });
    const startedAt = Date.now();
    const ids = await Promise.all(Array.from({ length: 20 }, () => publishTo(target)));
    const deliveries = await Promise.all(ids.map((id) => bed.waitForStatus(id, 'RETRYING')));
    const times = deliveries.map(({ nextAttemptAt }) => Date.parse(nextAttemptAt as string));
    for (const time of times) {
      expect(time).toBeGreaterThanOrEqual(startedAt + 500_000);
      expect(time).toBeLessThanOrEqual(Date.now() + 1_500_000);
    }
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(100_000);
  });
});

describe('Retry-After', () => {
  /** Sends to an endpoint that answers so, with a policy that would wait 100 s. @returns bounds of the time waited */
  async function waitAfter(status: number, retryAfter: string) {
    receiver.answer = () => ({ status, headers: { 'retry-after': retryAfter } });
    const target = await createTarget({ retryPolicy: { maxRetries: 1, delaysSeconds: [100], jitter: 0 } });
    const startedAt = Date.now();
    const delivery = await bed.waitForStatus(await publishTo(target), 'RETRYING');
    const nextAttemptAt = Date.parse(delivery.nextAttemptAt as string);
    expect(delivery.attempts[0]?.nextAttemptAt).toBe(delivery.nextAttemptAt);
    return { mostMs: nextAttemptAt - startedAt, leastMs: nextAttemptAt - Date.now(), nextAttemptAt };
  }

  it.each([429, 503])('in seconds moves the next attempt later with status %i', async (status) => {
    const { mostMs, leastMs } = await waitAfter(status, '500');
    expect(mostMs).toBeGreaterThanOrEqual(500_000);
    expect(leastMs).toBeLessThanOrEqual(500_000);
  });

  it.each([429, 503])('as an HTTP date moves the next attempt to exactly that date with status %i', async (status) => {
    const date = new Date(Date.now() + 700_000).toUTCString();
    const { nextAttemptAt } = await waitAfter(status, date);
    expect(nextAttemptAt).toBe(Date.parse(date));
  });

  it.each([
    ['never moves it earlier', 429, '1'],
    ['counts with 429 and 503 only', 500, '500'],
    ['counts with 429 and 503 only, not with redirects', 302, '500'],
    ['in the past counts for nothing', 503, 'Wed, 21 Oct 2015 07:28:00 GMT'],
    ['that is neither counts for nothing', 503, 'soon'],
  ])('%s (status %i, "%s")', async (_, status, retryAfter) => {
    const { mostMs, leastMs } = await waitAfter(status, retryAfter);
    expect(mostMs).toBeGreaterThanOrEqual(100_000);
    expect(leastMs).toBeLessThanOrEqual(100_000);
  });

  it('counts up to 24 h', async () => {
    const { mostMs, leastMs } = await waitAfter(429, '99999999');
    expect(mostMs).toBeGreaterThanOrEqual(DAY_MS);
    expect(leastMs).toBeLessThanOrEqual(DAY_MS);
  });
});

describe('410 Gone', () => {
  it('ends the delivery at once and disables the endpoint with that reason', async () => {
    receiver.answer = () => ({ status: 410 });
    const target = await createTarget({ retryPolicy: { maxRetries: 5, delaysSeconds: [1] } });
    const delivery = await bed.waitForStatus(await publishTo(target), 'FAILED');
    expect(delivery).toMatchObject({ attemptCount: 1, retryCount: 0, nextAttemptAt: null });
    expect(delivery.attempts[0]).toMatchObject({ responseStatus: 410, isDeadLetter: true });
    const endpoint = await readEndpoint(target.id);
    expect(endpoint).toMatchObject({ status: 'DISABLED', disabledReason: expect.stringContaining('410') });
    expect(endpoint.disabledAt).not.toBeNull();
    expect((await bed.readDelivery(await publishTo(target))).status).toBe('SKIPPED');
    expect(receiver.to(target.path)).toHaveLength(1);
  });

  it('skips what still waits for a retry at the endpoint', async () => {
    const target = await createTarget({ retryPolicy: { maxRetries: 5, delaysSeconds: [3_600] } });
    receiver.answer = () => ({ status: 500 });
    const waiting = await publishTo(target);
    await bed.waitForStatus(waiting, 'RETRYING');
    receiver.answer = () => ({ status: 410 });
    await bed.waitForStatus(await publishTo(target), 'FAILED');
    await bed.database.query(`update deliveries set next_attempt_at = now() where id = $1`, [
      decodeId('Delivery', waiting),
    ]);
    expect(await bed.waitForStatus(waiting, 'SKIPPED')).toMatchObject({ attemptCount: 1, nextAttemptAt: null });
  });
});

describe('an answer', () => {
  it.each([200, 201, 202, 204, 226, 299])('with status %i is a success', async (status) => {
    receiver.answer = () => ({ status });
    const { attempt } = await sendOnce();
    expect(attempt).toMatchObject({ status: 'SUCCEEDED', responseStatus: status, error: null });
  });

  it.each([300, 304, 400, 401, 404, 429, 500, 503, 599])('with status %i is a failure', async (status) => {
    receiver.answer = () => ({ status, body: status === 304 ? '' : 'because' });
    const { attempt } = await sendOnce();
    expect(attempt).toMatchObject({ status: 'FAILED', responseStatus: status, error: { code: 'HTTP_STATUS' } });
    expect(attempt.error?.message).toContain(String(status));
  });

  it.each([301, 302, 303, 307, 308])('that redirects (%i) is not followed', async (status) => {
    receiver.answer = ({ path }) => (path === '/elsewhere' ? {} : { status, headers: { location: '/elsewhere' } });
    const { attempt } = await sendOnce();
    expect(attempt).toMatchObject({ status: 'FAILED', responseStatus: status, error: { code: 'HTTP_STATUS' } });
    expect(receiver.to('/elsewhere')).toEqual([]);
  });

  it('is kept with its headers and body', async () => {
    receiver.answer = () => ({ status: 418, headers: { 'x-reason': 'short and stout' }, body: 'teapot ☕' });
    const { attempt } = await sendOnce();
    const answer = await bed.ask('query ($id: ID!) { deliveryAttempt(id: $id) { responseHeaders } }', {
      id: attempt.id,
    });
    expect(answer.responseHeaders).toMatchObject({ 'x-reason': 'short and stout' });
    expect(attempt.responseBody).toBe('teapot ☕');
  });

  it.each([
    ['of letters', 'x'.repeat(5_000), 'x'.repeat(4_096)],
    ['of exactly the limit', 'x'.repeat(4_096), 'x'.repeat(4_096)],
    ['of longer characters, between two of them', `x${'é'.repeat(5_000)}`, `x${'é'.repeat(2_047)}`],
  ])('with a long body %s is kept up to 4,096 bytes', async (_, body, kept) => {
    receiver.answer = () => ({ status: 500, body });
    const { attempt } = await sendOnce();
    expect(attempt.responseBody).toBe(kept);
  });

  it('with bytes that are no text is kept as far as text can hold it', async () => {
    receiver.answer = () => ({ body: Buffer.from([0x61, 0x00, 0xff, 0x62]) });
    const { attempt } = await sendOnce();
    expect(attempt).toMatchObject({ status: 'SUCCEEDED', responseBody: 'a\ufffd\ufffdb' });
  });

  it('with a huge body is a success all the same', async () => {
    receiver.answer = () => ({ body: Buffer.alloc(20_000_000, 'y') });
    const { attempt } = await sendOnce();
    expect(attempt).toMatchObject({ status: 'SUCCEEDED', error: null, responseBody: 'y'.repeat(4_096) });
  });

  it('of 2xx whose body never ends is a success once the time is up', async () => {
    const url = await serve((_, response) => drip(response, 200));
    const { attempt } = await sendOnce({ url, timeoutMs: 300 });
    expect(attempt).toMatchObject({ status: 'SUCCEEDED', responseStatus: 200, error: null });
    expect(attempt.responseBody).toMatch(/^a+$/);
  });

  it('of 2xx whose body breaks off is a success', async () => {
    const url = await serveRaw('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf');
    const { attempt } = await sendOnce({ url });
    expect(attempt).toMatchObject({ status: 'SUCCEEDED', responseBody: 'half' });
  });

  it('of another status whose body never ends fails with that status', async () => {
    const url = await serve((_, response) => drip(response, 500));
    const { attempt } = await sendOnce({ url, timeoutMs: 300 });
    expect(attempt).toMatchObject({ status: 'FAILED', responseStatus: 500, error: { code: 'HTTP_STATUS' } });
  });
});

describe('no answer', () => {
  const withoutResponse = { status: 'FAILED', responseStatus: null, responseBody: null, isDeadLetter: true };

  it('within the time is a TIMEOUT', async () => {
    receiver.answer = () => 'never';
    const { attempt } = await sendOnce({ timeoutMs: 250 });
    expect(attempt).toMatchObject({ ...withoutResponse, error: { code: 'TIMEOUT' } });
    expect(attempt.error?.message).toContain('250 ms');
    expect(attempt.durationMs).toBeGreaterThanOrEqual(240);
  });

  it('from a port where nobody listens is a failed CONNECTION', async () => {
    const server = createTcpServer();
    const url = await listen(server);
    server.close();
    await once(server, 'close');
    const { attempt } = await sendOnce({ url });
    expect(attempt).toMatchObject({ ...withoutResponse, error: { code: 'CONNECTION' } });
    expect(attempt.error?.message).toContain('ECONNREFUSED');
  });

  it('from a server that hangs up is a failed CONNECTION', async () => {
    const url = await serve((request) => request.socket.destroy());
    const { attempt } = await sendOnce({ url });
    expect(attempt).toMatchObject({ ...withoutResponse, error: { code: 'CONNECTION' } });
  });

  it('from a server that does not speak HTTP is an INVALID_RESPONSE', async () => {
    const url = await serveRaw('220 mail.example.com ESMTP\r\n');
    const { attempt } = await sendOnce({ url });
    expect(attempt).toMatchObject({ ...withoutResponse, error: { code: 'INVALID_RESPONSE' } });
  });

  it('from a name that can not be resolved is a DNS failure', async () => {
    const { attempt } = await sendOnce({ url: 'http://nope.invalid/' });
    expect(attempt).toMatchObject({ ...withoutResponse, error: { code: 'DNS' } });
    expect(attempt.error?.message).toContain('nope.invalid');
  });

  it('in TLS from a server that speaks plain HTTP is a TLS failure', async () => {
    const { attempt } = await sendOnce({ url: receiver.url().replace('http:', 'https:') });
    expect(attempt).toMatchObject({ ...withoutResponse, error: { code: 'TLS' } });
    expect(receiver.requests).toEqual([]);
  });

  it('is retried like any failure', async () => {
    const target = await createTarget({
      timeoutMs: 200,
      retryPolicy: { maxRetries: 1, delaysSeconds: [1], jitter: 0 },
    });
    receiver.answer = () => (receiver.to(target.path).length === 1 ? 'never' : {});
    const delivery = await bed.waitForStatus(await publishTo(target), 'DELIVERED');
    expect(delivery.attempts).toMatchObject([{ error: { code: 'TIMEOUT' } }, { status: 'SUCCEEDED', error: null }]);
  });
});

describe('a request', () => {
  it('carries the body to the letter, its content type, and who sends it', async () => {
    const target = await createTarget();
    const body = '{"b": 1.0,\n  "a": "☕ \\u00e9"}  ';
    const { id, deliveryIds } = await bed.publish({
      type: target.type,
      body,
      contentType: 'application/cloudevents+json',
    });
    await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
    const [request] = receiver.to(target.path) as [ReceivedRequest];
    expect(request.method).toBe('POST');
    expect(request.body.toString()).toBe(body);
    expect(request.headers).toMatchObject({
      'content-type': 'application/cloudevents+json',
      'content-length': String(Buffer.byteLength(body)),
      'webhook-id': id,
    });
    expect(request.headers['user-agent']).toMatch(/^Posthorn\//);
    const sentAt = Number(request.headers['webhook-timestamp']) * 1_000;
    expect(Math.abs(sentAt - request.receivedAt)).toBeLessThan(60_000);
  });

  it.each(['POST', 'PUT', 'PATCH'])('uses the method %s where the endpoint says so', async (method) => {
    const { target, attempt } = await sendOnce({ method });
    expect(receiver.to(target.path)[0]?.method).toBe(method);
    const { requestMethod } = await bed.ask('query ($id: ID!) { deliveryAttempt(id: $id) { requestMethod } }', attempt);
    expect(requestMethod).toBe(method);
  });

  it("carries the endpoint's own headers, whose values stand nowhere on record", async () => {
    const headers = { Authorization: 'Bearer very-secret-value', 'X-Team': 'payments-secret-value' };
    const { target, attempt } = await sendOnce({ headers });
    const [request] = receiver.to(target.path) as [ReceivedRequest];
    expect(request.headers).toMatchObject({
      authorization: 'Bearer very-secret-value',
      'x-team': 'payments-secret-value',
    });
    expect(attempt.requestHeaders).toMatchObject({ Authorization: null, 'X-Team': null });
    expect(attempt.requestHeaders['webhook-signature']).toBe(request.headers['webhook-signature']);
    expect(attempt.requestHeaders['webhook-id']).toBe(request.headers['webhook-id']);
    for (const table of ['delivery_attempts', 'endpoints']) {
      const rows = await bed.database.query(`select 1 from ${table} t where t::text like '%secret-value%'`);
      expect(rows).toEqual([]);
    }
  });

  it('keeps the query of the URL', async () => {
    const target = await createTarget();
    const path = '/with?query=1&and=%20more';
    await bed.ask('mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }', {
      input: { endpointId: target.id, url: receiver.url(path) },
    });
    await bed.waitForStatus(await publishTo(target), 'DELIVERED');
    expect(receiver.to(path)).toHaveLength(1);
  });
});

/** Checks a signature with both libraries that receivers use. @throws where it is wrong */
function verify({ body, headers }: Pick<ReceivedRequest, 'body' | 'headers'>, secret: string) {
  const given = headers as Record<string, string>;
  new StandardWebhook(secret).verify(body.toString(), given);
  new SvixWebhook(secret).verify(body.toString(), given);
}

describe('signatures', () => {
  const rotate = (input: { endpointId: string; secret?: string; overlapSeconds?: number }) =>
    bed.ask(
      `mutation ($input: RotateEndpointSecretInput!) { rotateEndpointSecret(input: $input) {
        ... on RotateEndpointSecretPayload { secret } ... on InvalidInputError { issues { path message } } } }`,
      { input },
    );

  /** Sends one event to a target. @returns the request, and how many signatures it carries */
  async function send(target: Target) {
    const before = receiver.to(target.path).length;
    await bed.waitForStatus(await publishTo(target), 'DELIVERED');
    const request = receiver.to(target.path)[before] as ReceivedRequest;
    return { request, signatures: String(request.headers['webhook-signature']).split(' ').length };
  }

  it('are right for `standardwebhooks` and `svix`', async () => {
    const target = await createTarget();
    const { request, signatures } = await send(target);
    expect(signatures).toBe(1);
    verify(request, target.secret);
  });

  it('are right for a body with characters of several bytes, and for an empty one', async () => {
    const target = await createTarget();
    for (const body of ['{"text":"☕ é 漢字"}', '']) {
      await bed.waitForStatus(await publishTo(target, { body }), 'DELIVERED');
    }
    const requests = receiver.to(target.path);
    expect(requests.map(({ body }) => body.toString())).toEqual(['{"text":"☕ é 漢字"}', '']);
    for (const request of requests) verify(request, target.secret);
  });

  it('are made with the secret that the endpoint was given', async () => {
    const secret = `whsec_${Buffer.alloc(24, 9).toString('base64')}`;
    const target = await createTarget({ secret });
    expect(target.secret).toBe(secret);
    verify((await send(target)).request, secret);
  });

  it('do not fit another body, another ID or another secret', async () => {
    const target = await createTarget();
    const other = await createTarget();
    const { request } = await send(target);
    const forged = { ...request.headers, 'webhook-id': 'evt_00000000000000000000000000' };
    expect(() => verify({ ...request, body: Buffer.from('{"hello":"thief"}') }, target.secret)).toThrow();
    expect(() => verify({ ...request, headers: forged }, target.secret)).toThrow();
    expect(() => verify(request, other.secret)).toThrow();
  });

  it('are two while an old secret overlaps the new one, and fit both', async () => {
    const target = await createTarget();
    const { secret } = await rotate({ endpointId: target.id });
    expect(secret).not.toBe(target.secret);
    const { request, signatures } = await send(target);
    expect(signatures).toBe(2);
    verify(request, secret);
    verify(request, target.secret);
  });

  it('are one, by the new secret, after a rotation without overlap', async () => {
    const target = await createTarget();
    const { secret } = await rotate({ endpointId: target.id, overlapSeconds: 0 });
    const { request, signatures } = await send(target);
    expect(signatures).toBe(1);
    verify(request, secret);
    expect(() => verify(request, target.secret)).toThrow();
  });

  it('are one again when the overlap is over', async () => {
    const target = await createTarget();
    const { secret } = await rotate({ endpointId: target.id, overlapSeconds: 1 });
    const over = Date.now() + 1_000;
    await until(() => Date.now() > over, 'the overlap to be over');
    const { request, signatures } = await send(target);
    expect(signatures).toBe(1);
    verify(request, secret);
  });

  it('go on by an overlapping secret when another rotation ends the newest one', async () => {
    const target = await createTarget();
    const second = await rotate({ endpointId: target.id });
    const third = await rotate({ endpointId: target.id, overlapSeconds: 0 });
    const { request, signatures } = await send(target);
    expect(signatures).toBe(2);
    verify(request, target.secret);
    verify(request, third.secret);
    expect(() => verify(request, second.secret)).toThrow();
  });
});
