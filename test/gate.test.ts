import type { IncomingMessage } from 'node:http';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { findAddress, findNetwork, UNKNOWN_BURST } from '../src/http/gate.ts';
import { TokenBuckets } from '../src/http/token-buckets.ts';
import type { Posthorn } from '../src/main.ts';
import { ROOT_KEY, type Tenant, until, useTestBed } from './support/posthorn.ts';
import { useProcesses } from './support/processes.ts';
import { askOver, TRANSPORTS } from './support/transports.ts';

const bed = useTestBed({ role: 'api' });
const VIEWER = '{ viewer { scopes } }';

let tenant: Tenant;
beforeAll(async () => {
  tenant = await bed.createTenant('acme');
});

describe('a token bucket', () => {
  it('gives a burst at once, then one token each time that one came back', () => {
    let now = 0;
    const buckets = new TokenBuckets({ perSecond: 10, burst: 3, bucketsMax: 2, now: () => now });
    const take = () => buckets.take('a').isTaken;
    expect([take(), take(), take(), take()]).toEqual([true, true, true, false]);
    expect(buckets.take('a')).toMatchObject({ remaining: 0, waitMs: 100, fullInMs: 300 });
    now = 99;
    expect(take()).toBe(false);
    now = 100;
    expect([take(), take()]).toEqual([true, false]);
    now = 10_000;
    expect([take(), take(), take(), take()]).toEqual([true, true, true, false]);
  });

  it('is one for each name, and takes back what was taken for nothing', () => {
    const buckets = new TokenBuckets({ perSecond: 1, burst: 1, bucketsMax: 2, now: () => 0 });
    expect(buckets.take('a').isTaken).toBe(true);
    expect(buckets.take('b').isTaken).toBe(true);
    expect(buckets.take('a').isTaken).toBe(false);
    buckets.giveBack('a');
    buckets.giveBack('a');
    expect(buckets.take('a').isTaken).toBe(true);
    expect(buckets.take('a').isTaken).toBe(false);
  });
});

describe('requests of one key', () => {
  let slow: Posthorn;
  beforeAll(async () => {
    slow = await bed.startProcess({ requestsPerSecondMax: 3 });
  });

  /** A key that has asked nothing yet. */
  const makeKey = () => bed.createKey(tenant.environmentId, ['DELIVERIES_READ']);
  const ask = (key: string, url = slow.url) => bed.graphql(VIEWER, {}, { key, url });

  it('are taken up to twice those of a second at once; then they are answered 429, and taken again after the time told', async () => {
    const key = await makeKey();
    const answers = await Promise.all(Array.from({ length: 7 }, () => ask(key)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 200, 200, 200, 429]);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.errors).toEqual([
      {
        message: 'This API key may make 3 requests a second. Send it again later.',
        extensions: { code: 'RATE_LIMITED', requestId: expect.any(String), retryAfterMs: expect.any(Number) },
      },
    ]);
    const { retryAfterMs } = { retryAfterMs: 0, ...refused?.errors?.[0]?.extensions };
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(334);
    expect(refused?.headers.get('retry-after')).toBe('1');
    await until(async () => (await ask(key)).status === 200, 'the key to be let in again');
  });

  it('carry what is left in the RateLimit fields, refused or not', async () => {
    const key = await makeKey();
    const first = await ask(key);
    expect(first.headers.get('ratelimit-policy')).toBe('"key";q=6;w=2');
    expect(first.headers.get('ratelimit')).toBe('"key";r=5;t=1');
    const rest = await Promise.all(Array.from({ length: 6 }, () => ask(key)));
    const refused = rest.find(({ status }) => status === 429);
    expect(refused?.headers.get('ratelimit')).toBe('"key";r=0;t=1');
    expect(refused?.headers.get('ratelimit-policy')).toBe('"key";q=6;w=2');
  });

  it.each(TRANSPORTS)('count whichever way they come: over %s', async (transport) => {
    const key = await makeKey();
    let refused = 0;
    for (let n = 0; n < 12; n += 1) {
      const { errors, data } = await askOver(bed, { transport, query: VIEWER, key, url: slow.url }).catch(
        // A WebSocket that is opened too soon is closed with 1013.
        (error: Error) => ({ data: null, errors: [{ message: error.message, extensions: { code: 'RATE_LIMITED' } }] }),
      );
      if (!errors) expect(data.viewer.scopes).toEqual(['DELIVERIES_READ']);
      else expect(errors[0]?.extensions.code).toBe('RATE_LIMITED');
      if (errors) refused += 1;
    }
    expect(refused).toBeGreaterThan(0);
  });

  it('over one WebSocket count each: it stays open, and what is too much gets an error of its own', async () => {
    const socket = await openSocket(slow.url, await makeKey());
    for (let id = 1; id <= 12; id += 1) socket.send({ id: String(id), type: 'subscribe', payload: { query: VIEWER } });
    await until(() => socket.messages.filter(({ type }) => type !== 'next').length === 12, 'every operation to end');
    const errors = socket.messages.filter(({ type }) => type === 'error');
    expect(errors.length).toBeGreaterThanOrEqual(6);
    expect(errors[0]?.payload).toMatchObject([
      { extensions: { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) } },
    ]);
    expect(socket.messages.filter(({ type }) => type === 'complete').length).toBeGreaterThanOrEqual(5);
    socket.close();
  });

  it('do not count for another key', async () => {
    const [one, other] = [await makeKey(), await makeKey()];
    await Promise.all(Array.from({ length: 10 }, () => ask(one)));
    expect((await ask(other)).status).toBe(200);
  });

  it("of an endpoint's browser tokens are limited together, and take nothing from the key that made them", async () => {
    const key = await makeKey();
    const { id: endpointId } = await bed.createEndpoint({ url: 'http://127.0.0.1:2/' }, tenant);
    const makeToken = async () => {
      const query = `mutation ($endpointId: ID!) { createBrowserToken(input: { endpointId: $endpointId }) {
        ... on CreateBrowserTokenPayload { token } } }`;
      return (await bed.ask(query, { endpointId }, { key })).token as string;
    };
    const [one, other] = [await makeToken(), await makeToken()];
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => ask(index % 2 ? one : other)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(6);
    expect((await ask(key)).status).toBe(200);
  });

  it("are not limited where it is the operator's, or where there is no limit", async () => {
    const unlimited = await bed.startProcess({ requestsPerSecondMax: null });
    const key = await makeKey();
    const answers = await Promise.all([
      ...Array.from({ length: 30 }, () => ask(ROOT_KEY)),
      ...Array.from({ length: 30 }, () => ask(key, unlimited.url)),
    ]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(answers.filter(({ headers }) => headers.has('ratelimit'))).toEqual([]);
  });
});

describe('requests without a good key', () => {
  const guess = (url: string, key: string | null = `phk_${'x'.repeat(43)}`, headers: Record<string, string> = {}) =>
    bed.graphql(VIEWER, {}, { key, url, headers });
  const guessAll = async (url: string) =>
    Promise.all(Array.from({ length: UNKNOWN_BURST + 50 }, (_, n) => guess(url, `guess-${n}`)));

  it('are refused with 429 when too many come from one address, and keys that were good before go on', async () => {
    const { url } = await bed.startProcess();
    expect((await guess(url, tenant.key)).status).toBe(200);
    const statuses = (await guessAll(url)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 401).length).toBeGreaterThanOrEqual(UNKNOWN_BURST);
    expect(statuses).toContain(429);
    const refused = await until(async () => {
      const answer = await guess(url, null);
      return answer.status === 429 && answer;
    }, 'a request without a key to be refused');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.errors).toMatchObject([
      { message: expect.stringContaining('without a good API key'), extensions: { code: 'RATE_LIMITED' } },
    ]);
    expect((await guess(url, tenant.key)).status).toBe(200);
  });

  it('hold up a good key that is new to the process: whether a guess is right is not told', async () => {
    const { url } = await bed.startProcess();
    await guessAll(url);
    const key = await until(async () => {
      const fresh = await bed.createKey(tenant.environmentId);
      return (await guess(url, fresh)).status === 429 && fresh;
    }, 'a good key to be held up');
    await until(async () => (await guess(url, key)).status === 200, 'the key to be let in');
  });

  it('count over WebSocket too, which is closed with 1013', async () => {
    const { url } = await bed.startProcess();
    await guessAll(url);
    await until(async () => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
      const init = JSON.stringify({ type: 'connection_init', payload: { 'x-api-key': 'guess' } });
      socket.on('open', () => socket.send(init));
      return (await new Promise((resolve) => socket.once('close', resolve))) === 1013;
    }, 'a WebSocket to be closed with 1013');
  });

  it('count by the address that trusted proxies tell, and by no other', async () => {
    const trusting = await bed.startProcess({ trustedProxies: 1 });
    const wary = await bed.startProcess();
    const guessFrom = async (url: string, forwarded: string) =>
      (await guess(url, null, { 'x-forwarded-for': forwarded })).status;
    const exhaust = (url: string) =>
      until(async () => (await guessFrom(url, '1.1.1.1, 198.51.100.7')) === 429, 'an address to be refused');
    await exhaust(trusting.url);
    expect(await guessFrom(trusting.url, '198.51.100.7, 198.51.100.8')).toBe(401);
    await exhaust(wary.url);
    await until(async () => (await guessFrom(wary.url, '198.51.100.8')) === 429, 'another to be refused with it');
  });
});

describe('an address', () => {
  const requestFrom = (remoteAddress: string, forwarded?: string) =>
    ({ headers: { 'x-forwarded-for': forwarded }, socket: { remoteAddress } }) as unknown as IncomingMessage;

  it.each([
    [0, undefined, '10.0.0.1'],
    [0, '203.0.113.1', '10.0.0.1'],
    [1, undefined, '10.0.0.1'],
    [1, '203.0.113.1', '203.0.113.1'],
    [1, '6.6.6.6, 203.0.113.1', '203.0.113.1'],
    [2, '6.6.6.6, 203.0.113.1, 10.0.0.2', '203.0.113.1'],
    [2, '203.0.113.1', '203.0.113.1'],
  ])('behind %i proxies, with %s forwarded, is %s', (proxies, forwarded, address) => {
    expect(findAddress(requestFrom('10.0.0.1', forwarded), proxies)).toBe(address);
  });

  it.each([
    ['203.0.113.1', '203.0.113.1'],
    ['::ffff:203.0.113.1', '203.0.113.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['2001:db8:1:2::9', '2001:db8:1:2::'],
    ['nonsense', 'nonsense'],
  ])('%s counts as %s', (address, network) => {
    expect(findNetwork(address)).toBe(network);
  });
});

describe('a key that is revoked in one process', () => {
  const { spawnOn } = useProcesses();

  it('ends in another at once: HTTP, and a WebSocket that is open', async () => {
    const other = spawnOn(bed.database.url, { PORT: '0', POSTHORN_ROLE: 'api' });
    const url = await until(() => /"url":"([^"]*)\/graphql"/.exec(other.stdout())?.[1], 'the process to start');
    const { secret, apiKey } = await bed.ask(
      `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
        ... on CreateApiKeyPayload { secret apiKey { id } } } }`,
      { input: { environmentId: tenant.environmentId, name: 'short', scopes: ['DELIVERIES_READ'] } },
    );
    const socket = await openSocket(url, secret);
    socket.send({ id: '1', type: 'subscribe', payload: { query: 'subscription { deliveryChanges { cursor } }' } });
    expect((await bed.graphql(VIEWER, {}, { key: secret, url })).status).toBe(200);
    await bed.ask('mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }', { id: apiKey.id });
    expect((await bed.graphql(VIEWER, {}, { key: secret, url })).status).toBe(401);
    await until(() => socket.closeCode() === 4403, 'the socket to be closed');
  });
});

interface Message {
  id?: string;
  type: string;
  payload?: unknown;
}

/** A WebSocket that was let in, and what it gets. */
async function openSocket(url: string, key: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const messages: Message[] = [];
  let code: number | null = null;
  const send = (message: Message) => socket.send(JSON.stringify(message));
  socket.on('open', () => send({ type: 'connection_init', payload: { 'x-api-key': key } }));
  socket.on('message', (data) => messages.push(JSON.parse(String(data))));
  socket.on('close', (closedWith) => {
    code = closedWith;
  });
  await until(() => messages.some(({ type }) => type === 'connection_ack'), 'the connection to be taken');
  messages.length = 0;
  return { messages, send, closeCode: () => code, close: () => socket.close() };
}
