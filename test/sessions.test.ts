import { type OutgoingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SealedKeys } from '../src/access/sealed-keys.ts';
import { Keyring } from '../src/domain/sealing.ts';
import { type Connection, type FeedEnd, openFeed } from './support/feed-clients.ts';
import { ENCRYPTION_KEY, ROOT_KEY, type Tenant, until, useTestBed } from './support/posthorn.ts';

const bed = useTestBed();
const sealedKeys = new SealedKeys(new Keyring(ENCRYPTION_KEY));

let tenant: Tenant;
beforeAll(async () => {
  tenant = await bed.createTenant('acme');
});

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  // biome-ignore lint/suspicious/noExplicitAny: tests pick what they asked for
  body: any;
}

/** Sends what a browser would, also the headers that `fetch` lets nobody set. */
function send(method: string, path: string, headers: OutgoingHttpHeaders, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(`${bed.url}${path}`, { method, agent: false, headers }, async (response) => {
      const answer = await text(response);
      const parsed = answer.startsWith('{') ? JSON.parse(answer) : answer;
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed });
    });
    sent.on('error', reject);
    if (body !== undefined) sent.setHeader('content-length', Buffer.byteLength(body));
    sent.end(body);
  });
}

const JSON_TYPE = { 'content-type': 'application/json' };
const page = () => ({ origin: bed.url });

const signIn = (key: string, headers: OutgoingHttpHeaders = page()) =>
  send('POST', '/session', { ...JSON_TYPE, ...headers }, JSON.stringify({ key }));

/** Signs in. @returns the cookie as a browser sends it back */
async function getCookie(key: string, headers?: OutgoingHttpHeaders): Promise<string> {
  const { status, headers: answered } = await signIn(key, headers);
  expect(status).toBe(200);
  return answered['set-cookie']?.[0]?.split(';', 1)[0] as string;
}

const VIEWER = JSON.stringify({ query: '{ viewer { kind expiresAt environment { id } } }' });

const ask = (headers: OutgoingHttpHeaders, body = VIEWER) =>
  send('POST', '/graphql', { ...JSON_TYPE, ...headers }, body);

const connections: Connection[] = [];
afterEach(() => {
  for (const connection of connections.splice(0)) connection.cut();
});

function follow(transport: 'SSE' | 'WebSocket', headers: Record<string, string>) {
  const feed = { results: [] as { errors?: { extensions: { code: string } }[] }[], end: null as FeedEnd | null };
  connections.push(
    openFeed(transport, {
      ...{ url: bed.url, key: null, headers, query: 'subscription { deliveryStats { waiting } }' },
      onResult: (result) => feed.results.push(result),
      onEnd: (end) => {
        feed.end = end;
      },
    }),
  );
  return feed;
}

it.each(['Bearer', 'Bearer ', 'Bearer two words', 'bearer  '])(
  'a session does not stand in for a token that is no good: %j',
  async (authorization) => {
    const cookie = await getCookie(tenant.key);
    expect((await ask({ ...page(), cookie })).status).toBe(200);
    expect((await ask({ ...page(), cookie, authorization })).status).toBe(401);
  },
);

describe('signing in', () => {
  it('gives a page of this host a cookie that scripts can not read and that does not hold the key in the clear', async () => {
    const before = Date.now();
    const { status, headers, body } = await signIn(tenant.key);
    expect(status).toBe(200);
    expect(headers['cache-control']).toBe('no-store');
    const [cookie] = headers['set-cookie'] as string[];
    expect(cookie).toMatch(/^posthorn_session=[\w.-]+; Path=\/; Max-Age=4\d{4}; HttpOnly; SameSite=Strict$/);
    const parts = cookie?.split(/[=.;]/).map((part) => Buffer.from(part, 'base64url').toString('latin1')) ?? [];
    for (const part of [cookie, ...parts]) expect(part).not.toContain(tenant.key.slice(4));
    expect(Math.abs(Date.parse(body.expiresAt) - before - 12 * 3_600_000)).toBeLessThan(10_000);
    const answer = await ask({ ...page(), cookie: `other=1; ${cookie?.split(';', 1)[0]}` });
    expect(answer.body.data.viewer).toEqual({
      ...{ kind: 'API_KEY', environment: { id: tenant.environmentId } },
      expiresAt: new Date(Math.floor(Date.parse(body.expiresAt) / 1_000) * 1_000).toISOString(),
    });
  });

  it.each([
    ['the page came over https', { origin: 'https://posthorn.example', host: 'posthorn.example' }],
    ['a proxy says so', { origin: 'http://posthorn.example', host: 'posthorn.example', 'x-forwarded-proto': 'https' }],
  ])('gives a cookie for https only where %s', async (_, headers) => {
    const { status, headers: answered } = await signIn(tenant.key, headers);
    expect(status).toBe(200);
    const [cookie] = answered['set-cookie'] as string[];
    expect(cookie).toMatch(/^__Host-posthorn_session=[\w.-]+; Path=\/; .*HttpOnly; SameSite=Strict; Secure$/);
    const sent = { cookie: cookie?.split(';', 1)[0], host: 'posthorn.example' };
    expect((await ask({ ...sent, origin: 'https://posthorn.example' })).body.data.viewer.kind).toBe('API_KEY');
    expect((await ask({ ...sent, origin: 'http://posthorn.example' })).status).toBe(401);
  });

  it('gives a cookie for https only where all that comes is said to come over https', async () => {
    const { url } = await bed.startProcess({ behindTls: true });
    const headers = { ...JSON_TYPE, 'sec-fetch-site': 'same-origin' };
    const answer = await fetch(`${url}/session`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ key: tenant.key }),
    });
    expect(answer.headers.getSetCookie()[0]).toMatch(/^__Host-posthorn_session=.*; Secure$/);
  });

  it('is refused over plain http to a host that is not this machine', async () => {
    const { status, headers } = await signIn(tenant.key, {
      origin: 'http://posthorn.example',
      host: 'posthorn.example',
    });
    expect([status, headers['set-cookie']]).toEqual([400, undefined]);
  });

  it('takes a browser token, and lasts no longer than that', async () => {
    const { id } = await bed.createEndpoint({ url: 'https://embedded.example.com/' }, tenant);
    const { token, expiresAt } = await bed.ask(
      `mutation ($id: ID!) { createBrowserToken(input: { endpointId: $id }) { ... on CreateBrowserTokenPayload { token expiresAt } } }`,
      { id },
      tenant,
    );
    const { body } = await signIn(token);
    expect(body.expiresAt).toBe(expiresAt);
    const answer = await ask({ ...page(), cookie: await getCookie(token) });
    expect(answer.body.data.viewer).toMatchObject({ kind: 'BROWSER_TOKEN', expiresAt });
  });

  it.each<[string, number, OutgoingHttpHeaders, string]>([
    ['a wrong key', 401, JSON_TYPE, '{"key":"phk_wrong"}'],
    ['no key', 400, JSON_TYPE, '{}'],
    ['no JSON', 400, JSON_TYPE, 'key=1'],
    ['a text', 415, { 'content-type': 'text/plain' }, '{"key":"x"}'],
    ['a form', 415, { 'content-type': 'application/x-www-form-urlencoded' }, 'key=x'],
    ['much', 413, JSON_TYPE, JSON.stringify({ key: 'x'.repeat(9_000) })],
  ])('with %s is refused with %i and gives no cookie', async (_, status, headers, body) => {
    const answer = await send('POST', '/session', { ...headers, ...page() }, body);
    expect([answer.status, answer.headers['set-cookie']]).toEqual([status, undefined]);
  });

  it('GET is refused', async () => {
    expect((await send('GET', '/session', page())).status).toBe(405);
  });

  it('a session is signed out by taking its cookie away', async () => {
    const { status, headers } = await send('DELETE', '/session', page());
    expect(status).toBe(204);
    expect(headers['set-cookie']).toEqual([
      '__Host-posthorn_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure',
      'posthorn_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict',
    ]);
  });
});

describe('a session', () => {
  it.each<[string, () => Promise<string>]>([
    ['the key itself', async () => tenant.key],
    ['nonsense', async () => 'nonsense'],
    ['a session that has ended', () => sealedKeys.seal({ key: tenant.key, expiresAt: new Date(Date.now() - 5_000) })],
    ['one of another deployment', () => sealElsewhere()],
  ])('that is %s lets nobody in', async (_, make) => {
    const answer = await ask({ ...page(), cookie: `posthorn_session=${await make()}` });
    expect(answer).toMatchObject({ status: 401, body: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] } });
  });

  const sealElsewhere = () => {
    const elsewhere = new SealedKeys(new Keyring(Buffer.alloc(32, 8)));
    return elsewhere.seal({ key: tenant.key, expiresAt: new Date(Date.now() + 60_000) });
  };

  it('outlives a rotation of the encryption key', async () => {
    const rotated = new SealedKeys(new Keyring(Buffer.alloc(32, 8), [ENCRYPTION_KEY]));
    const sealed = await sealedKeys.seal({ key: tenant.key, expiresAt: new Date(Date.now() + 60_000) });
    expect(await rotated.open(sealed)).toMatchObject({ key: tenant.key });
  });

  it.each(['SSE', 'WebSocket'] as const)('ends over %s at once when its key is revoked', async (transport) => {
    const made = await bed.ask(
      `mutation ($id: ID!) { createApiKey(input: { environmentId: $id, name: "x", scopes: [DELIVERIES_READ] }) {
        ... on CreateApiKeyPayload { secret apiKey { id } } } }`,
      { id: tenant.environmentId },
    );
    const cookie = await getCookie(made.secret);
    const feed = follow(transport, { cookie, origin: bed.url });
    await until(() => feed.results.length > 0, 'a first tick');
    await bed.ask('mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }', {
      id: made.apiKey.id,
    });
    expect((await ask({ ...page(), cookie })).status).toBe(401);
    await expectEnd(feed, transport);
  });

  it.each(['SSE', 'WebSocket'] as const)('ends over %s when its time is over', async (transport) => {
    const sealed = await sealedKeys.seal({ key: tenant.key, expiresAt: new Date(Date.now() + 3_000) });
    const feed = follow(transport, { cookie: `posthorn_session=${sealed}`, origin: bed.url });
    await until(() => feed.results.length > 0, 'a first tick');
    await expectEnd(feed, transport);
  });

  async function expectEnd(feed: ReturnType<typeof follow>, transport: string) {
    await until(() => feed.end !== null, 'the end');
    if (transport === 'WebSocket') expect(feed.end).toBe(4403);
    else expect(feed.results.at(-1)?.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
  }

  it('of the operator acts in the tenant that the request names', async () => {
    const headers = { ...page(), cookie: await getCookie(ROOT_KEY), 'x-environment-id': tenant.environmentId };
    expect((await ask(headers)).body.data.viewer).toMatchObject({
      kind: 'OPERATOR',
      environment: { id: tenant.environmentId },
    });
  });

  it('creates no key that outlives the key of the session, also if the session ends before it', async () => {
    const limit = new Date(Date.now() + 48 * 3_600_000).toISOString();
    const create = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
      __typename ... on CreateApiKeyPayload { secret apiKey { expiresAt } } ... on InvalidInputError { issues { path } } } }`;
    const input = { environmentId: tenant.environmentId, name: 'short', scopes: ['API_KEYS_MANAGE'] };
    const { secret } = await bed.ask(create, { input: { ...input, expiresAt: limit } });
    const headers = { ...page(), cookie: await getCookie(secret) };
    const createWith = async (expiresAt?: string) => {
      const { body } = await ask(
        headers,
        JSON.stringify({ query: create, variables: { input: { ...input, expiresAt } } }),
      );
      return body.data.createApiKey;
    };
    const later = new Date(Date.parse(limit) + 1).toISOString();
    for (const expiresAt of [undefined, later]) {
      expect(await createWith(expiresAt)).toEqual({
        __typename: 'InvalidInputError',
        issues: [{ path: ['expiresAt'] }],
      });
    }
    expect((await createWith(limit)).apiKey.expiresAt).toBe(limit);
  });

  it('does not stand in the way of a key that a page of another origin sends itself', async () => {
    const headers = { cookie: 'posthorn_session=wrong', origin: 'https://elsewhere.example' };
    expect((await ask({ ...headers, authorization: `Bearer ${tenant.key}` })).status).toBe(200);
    expect((await ask({ ...headers, ...page(), 'x-api-key': tenant.key })).status).toBe(200);
  });
});

describe('a page of another origin can do nothing in the name of who is signed in', () => {
  /** What a browser says of the page behind a request. `PORT` stands for the port of this host. */
  const FOREIGN: [what: string, headers: Record<string, string>][] = [
    ['another site', { origin: 'https://evil.example' }],
    ['another site that claims more', { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }],
    ['a sandboxed page', { origin: 'null' }],
    ['a name that begins like this host', { origin: 'http://localhost.evil.com:PORT' }],
    ['a name that begins like this address', { origin: 'http://127.0.0.1.evil.com:PORT' }],
    ['this host in the user part', { origin: 'http://127.0.0.1:PORT@evil.example' }],
    ['another port of this host', { origin: 'http://127.0.0.1:1' }],
    ['this host without its port', { origin: 'http://127.0.0.1' }],
    ['another name of this machine', { origin: 'http://localhost:PORT' }],
    ['a file', { origin: 'file://' }],
    ['a form of another site', { 'sec-fetch-site': 'cross-site' }],
    ['a sibling of this host', { 'sec-fetch-site': 'same-site' }],
    ['an address bar or a bookmark', { 'sec-fetch-site': 'none' }],
    ['a program that says nothing', {}],
  ];
  const withPort = (headers: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value.replace('PORT', new URL(bed.url).port)]),
    );

  const MUTATION = 'mutation { createEndpoint(input: { url: "https://evil.example/" }) { __typename } }';
  const countEndpoints = () => bed.database.query('select count(*)::int as count from endpoints');

  it.each(FOREIGN)('%s: queries and mutations', async (_, headers) => {
    const cookie = await getCookie(tenant.key);
    const before = await countEndpoints();
    expect((await ask({ ...withPort(headers), cookie })).status).toBe(401);
    expect((await ask({ ...withPort(headers), cookie }, JSON.stringify({ query: MUTATION }))).status).toBe(401);
    const path = `/graphql?query=${encodeURIComponent('{ viewer { kind } }')}`;
    expect((await send('GET', path, { ...withPort(headers), accept: 'application/json', cookie })).status).toBe(401);
    expect(await countEndpoints()).toEqual(before);
  });

  it.each(FOREIGN)('%s: WebSockets and SSE', async (_, headers) => {
    const cookie = await getCookie(tenant.key);
    const socket = follow('WebSocket', { ...withPort(headers), cookie });
    const stream = follow('SSE', { ...withPort(headers), cookie });
    await until(() => socket.end !== null && stream.end !== null, 'the refusals');
    expect(socket).toEqual({ results: [], end: 4403 });
    expect(stream.results.map(({ errors }) => errors?.[0]?.extensions.code)).toEqual(['UNAUTHENTICATED']);
  });

  it.each(FOREIGN)('%s: signing in and out', async (_, headers) => {
    for (const answer of [
      await signIn(tenant.key, withPort(headers)),
      await send('DELETE', '/session', withPort(headers)),
    ]) {
      expect([answer.status, answer.headers['set-cookie']]).toEqual([403, undefined]);
    }
  });

  it.each([
    ['text/plain', JSON.stringify({ query: MUTATION })],
    ['application/x-www-form-urlencoded', `query=${encodeURIComponent(MUTATION)}`],
    ['application/graphql', MUTATION],
    [
      'multipart/form-data; boundary=x',
      `--x\r\ncontent-disposition: form-data; name="query"\r\n\r\n${MUTATION}\r\n--x--`,
    ],
  ])('a form can send %s, which no session counts for, not even from a page of this host', async (type, body) => {
    const before = await countEndpoints();
    const answer = await ask({ ...page(), cookie: await getCookie(tenant.key), 'content-type': type }, body);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify(answer.body)).not.toContain('Payload');
    expect(await countEndpoints()).toEqual(before);
  });

  it('a link can hold a mutation, which a GET does not run', async () => {
    const before = await countEndpoints();
    const path = `/graphql?query=${encodeURIComponent(MUTATION)}`;
    const headers = { 'sec-fetch-site': 'same-origin', cookie: await getCookie(tenant.key) };
    expect((await send('GET', path, headers)).status).toBe(405);
    expect(await countEndpoints()).toEqual(before);
  });

  it('a page of this host is no such page: it asks, follows and signs out', async () => {
    const cookie = await getCookie(tenant.key);
    expect((await ask({ ...page(), cookie })).status).toBe(200);
    expect((await ask({ 'sec-fetch-site': 'same-origin', cookie })).status).toBe(200);
    const path = `/graphql?query=${encodeURIComponent('{ viewer { kind } }')}`;
    const headers = { 'sec-fetch-site': 'same-origin', accept: 'application/json', cookie };
    expect((await send('GET', path, headers)).status).toBe(200);
    for (const transport of ['SSE', 'WebSocket'] as const) {
      const feed = follow(transport, { cookie, origin: bed.url });
      await until(() => feed.results.length > 0, 'a first tick');
      expect(feed.results[0]?.errors).toBeUndefined();
    }
    expect((await send('DELETE', '/session', page())).status).toBe(204);
  });
});
