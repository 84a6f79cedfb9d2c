import { SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashKey } from '../src/access/api-keys.ts';
import { BrowserTokens } from '../src/access/browser-tokens.ts';
import { decodeId } from '../src/domain/ids.ts';
import { Keyring } from '../src/domain/sealing.ts';
import { type Connection, type FeedEnd, openFeed } from './support/feed-clients.ts';
import { ENCRYPTION_KEY, ROOT_KEY, type Tenant, until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';
import { answerWorlds, furnish, type World, waitUntilCounted } from './support/worlds.ts';

const bed = useTestBed();
const receiver = useReceiver();

const CREATE = `mutation ($input: CreateBrowserTokenInput!) { createBrowserToken(input: $input) { __typename
  ... on CreateBrowserTokenPayload { token expiresAt } ... on Error { message }
  ... on InvalidInputError { issues { path message } } } }`;
const VIEWER = '{ viewer { kind scopes expiresAt endpoint { id name } environment { id } } }';

const keyring = new Keyring(ENCRYPTION_KEY);
const OTHER_KEY = Buffer.alloc(32, 8);
const rootKeyHash = hashKey(ROOT_KEY);
const signer = new BrowserTokens({ keyring, rootKeyHash });

let tenant: Tenant;
let own: World;
let other: World;

beforeAll(async () => {
  answerWorlds(receiver);
  tenant = await bed.createTenant('embedding');
  [own, other] = (await furnish(bed, receiver, tenant, ['gecko', 'heron'])) as [World, World];
  await waitUntilCounted(bed, own);
  await waitUntilCounted(bed, other);
});

beforeEach(() => answerWorlds(receiver));

const create = (input: object, key = tenant.key) => bed.ask(CREATE, { input }, { key });

async function createToken(input: object = {}, key = tenant.key): Promise<string> {
  const made = await create({ endpointId: own.ids.ep, ...input }, key);
  if (!made.token) throw new Error(`No token was made: ${JSON.stringify(made)}`);
  return made.token;
}

const read = (query: string, key: string, variables: object = {}) => bed.graphql(query, variables, { key });

const uuid = (kind: 'Organization' | 'Environment' | 'Endpoint' | 'ApiKey', id: string) => decodeId(kind, id) as string;

/** Claims of a token for the own endpoint, made by the operator. */
const claims = (expiresAt: Date) => ({
  organizationId: uuid('Organization', tenant.organizationId),
  environmentId: uuid('Environment', tenant.environmentId),
  endpointId: uuid('Endpoint', own.ids.ep),
  scopes: ['DELIVERIES_READ' as const],
  keyId: null,
  expiresAt,
});

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000);

const connections: Connection[] = [];
afterEach(() => {
  for (const connection of connections.splice(0)) connection.cut();
});

/** A feed with all that it was told. */
function follow(transport: 'SSE' | 'WebSocket', key: string, query: string, variables = {}) {
  // biome-ignore lint/suspicious/noExplicitAny: tests pick what they asked for
  const feed = { results: [] as any[], end: null as FeedEnd | null };
  connections.push(
    openFeed(transport, {
      ...{ url: bed.url, key, query, variables },
      onResult: (result) => feed.results.push(result),
      onEnd: (end) => {
        feed.end = end;
      },
    }),
  );
  return feed;
}

describe('making a browser token', () => {
  it('gives one that reads its endpoint for 15 minutes, and says so', async () => {
    const before = Date.now();
    const { token, expiresAt } = await create({ endpointId: own.ids.ep });
    expect(token).toMatch(/^pht_[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(Math.abs(Date.parse(expiresAt) - before - 900_000)).toBeLessThan(5_000);
    expect((await read(VIEWER, token)).data.viewer).toEqual({
      kind: 'BROWSER_TOKEN',
      scopes: ['DELIVERIES_READ'],
      expiresAt,
      endpoint: { id: own.ids.ep, name: 'name gecko' },
      environment: { id: own.ids.env },
    });
  });

  it('gives one that may retry where that was asked for', async () => {
    const token = await createToken({ allowRetry: true });
    expect((await read(VIEWER, token)).data.viewer.scopes).toEqual(['DELIVERIES_READ', 'DELIVERIES_RETRY']);
  });

  it.each([
    ['59 seconds', { expiresInSeconds: 59 }, 'expiresInSeconds'],
    ['86,401 seconds', { expiresInSeconds: 86_401 }, 'expiresInSeconds'],
    ['neither an endpoint nor an environment', { endpointId: null }, 'endpointId'],
    ['an endpoint that is an empty text', { endpointId: '' }, 'endpointId'],
  ])('refuses %s', async (_, input, path) => {
    const made = await create({ endpointId: own.ids.ep, ...input });
    expect(made).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: [path] }] });
  });

  it('refuses both an endpoint and an environment', async () => {
    const made = await create({ endpointId: own.ids.ep, environmentId: own.ids.env });
    expect(made).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['endpointId'] }] });
  });

  it('needs DELIVERIES_READ, and DELIVERIES_RETRY where it is to retry', async () => {
    const reader = await bed.createKey(tenant.environmentId, ['DELIVERIES_READ']);
    expect((await read(VIEWER, await createToken({}, reader))).data.viewer.scopes).toEqual(['DELIVERIES_READ']);
    const refused = await create({ endpointId: own.ids.ep, allowRetry: true }, reader);
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['allowRetry'] }] });
    const writer = await bed.createKey(tenant.environmentId, ['DELIVERIES_RETRY', 'API_KEYS_MANAGE']);
    const answer = await bed.graphql(CREATE, { input: { endpointId: own.ids.ep } }, { key: writer });
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });

  it('is not for browser tokens, so none lives on by itself', async () => {
    const token = await createToken({ allowRetry: true });
    const answer = await bed.graphql(CREATE, { input: { endpointId: own.ids.ep } }, { key: token });
    expect(answer.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });

  it('gives none that lasts longer than its key', async () => {
    const expiresAt = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 120_000).toISOString();
    const made = await bed.ask(
      `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { ... on CreateApiKeyPayload { secret } } }`,
      { input: { environmentId: tenant.environmentId, name: 'short', scopes: ['DELIVERIES_READ'], expiresAt } },
    );
    expect((await create({ endpointId: own.ids.ep }, made.secret)).expiresAt).toBe(expiresAt);
  });
});

describe('a browser token', () => {
  it.each([
    ['is signed with another key', async () => sign(new Keyring(OTHER_KEY))],
    ['is signed with the encryption key itself', async () => `pht_${await signPlainly()}`],
    ['is not signed', async () => `pht_${new UnsecuredJWT(plainClaims()).setExpirationTime('1h').encode()}`],
    ['was changed', async () => change(await createToken())],
    ['has no prefix', async () => (await createToken()).slice(4)],
    ['has ended', () => signer.sign(claims(inSeconds(-5)))],
    ["was made by an operator's key of the past", () => sign(keyring, 'another operator key of 32 characters')],
  ])('that %s lets nobody in', async (_, make) => {
    const answer = await read(VIEWER, await make());
    expect(answer).toMatchObject({ status: 401, errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
  });

  const sign = (by: Keyring, rootKey = ROOT_KEY) =>
    new BrowserTokens({ keyring: by, rootKeyHash: hashKey(rootKey) }).sign(claims(inSeconds(600)));
  const plainClaims = () => ({
    ...{ org: claims(new Date()).organizationId, env: claims(new Date()).environmentId, ep: null },
    ...{ scopes: ['DELIVERIES_READ'], key: null, operator: null },
  });
  const signPlainly = () =>
    new SignJWT(plainClaims()).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1h').sign(ENCRYPTION_KEY);
  /** Gives a token another endpoint and leaves its signature. */
  function change(token: string): string {
    const [head, body, signature] = token.split('.');
    const said = JSON.parse(Buffer.from(body as string, 'base64url').toString());
    const changed = { ...said, ep: uuid('Endpoint', other.ids.ep) };
    return [head, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.');
  }

  it('is good in every process, and also when the encryption key was rotated', async () => {
    const process = await bed.startProcess();
    const token = await createToken();
    expect((await bed.graphql(VIEWER, {}, { key: token, url: process.url })).data.viewer.kind).toBe('BROWSER_TOKEN');
    const signed = await signer.sign(claims(inSeconds(600)));
    const rotated = new BrowserTokens({ keyring: new Keyring(OTHER_KEY, [ENCRYPTION_KEY]), rootKeyHash });
    expect(await rotated.verify(signed)).toMatchObject({ endpointId: uuid('Endpoint', own.ids.ep) });
    expect(await signer.verify(await rotated.sign(claims(inSeconds(600))))).toBeNull();
  });

  it.each(['SSE', 'WebSocket'] as const)('ends over %s at once when its key is revoked', async (transport) => {
    const made = await bed.ask(
      `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { ... on CreateApiKeyPayload { secret apiKey { id } } } }`,
      { input: { environmentId: tenant.environmentId, name: 'ending', scopes: ['DELIVERIES_READ'] } },
    );
    const token = await createToken({}, made.secret);
    const feed = follow(transport, token, 'subscription { deliveryStats { waiting } }');
    await until(() => feed.results.length > 0, 'a first tick');
    const revoke = 'mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }';
    await bed.ask(revoke, { id: made.apiKey.id });
    expect((await read(VIEWER, token)).status).toBe(401);
    await expectEnd(feed, transport);
  });

  it.each(['SSE', 'WebSocket'] as const)('ends over %s when its time is over', async (transport) => {
    const token = await signer.sign(claims(inSeconds(3)));
    const feed = follow(transport, token, 'subscription { deliveryStats { waiting } }');
    await until(() => feed.results.length > 0, 'a first tick');
    await expectEnd(feed, transport);
  });

  async function expectEnd(feed: ReturnType<typeof follow>, transport: string) {
    await until(() => feed.end !== null, 'the end');
    if (transport === 'WebSocket') expect(feed.end).toBe(4403);
    else expect(feed.results.at(-1)?.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
  }
});

describe('one endpoint', () => {
  const READ_EVENT = `query ($id: ID!) { event(id: $id) { status endpointCount updatedAt
    deliveries { edges { node { id endpoint { id } } } } } }`;

  it('is all that its token counts and lists', async () => {
    const token = await createToken();
    const query = `{ deliveryStats { total { published attempts delivered } waiting endpoints { endpoint { id } } }
      events { edges { node { endpointCount } } } deliveries { edges { node { endpoint { id } } } }
      deliveryAttempts { edges { node { endpoint { id } } } } endpoints { edges { node { id } } } }`;
    const { data } = await read(query, token);
    expect(data.deliveryStats).toEqual({
      total: { published: 3, attempts: 3, delivered: 2 },
      waiting: 1,
      endpoints: [{ endpoint: { id: own.ids.ep } }],
    });
    expect(data.events.edges).toEqual(Array(3).fill({ node: { endpointCount: 1 } }));
    expect(data.deliveries.edges).toEqual(Array(3).fill({ node: { endpoint: { id: own.ids.ep } } }));
    expect(data.deliveryAttempts.edges).toEqual(Array(3).fill({ node: { endpoint: { id: own.ids.ep } } }));
    expect(data.endpoints.edges).toEqual([{ node: { id: own.ids.ep } }]);
    expect((await read(query, tenant.key)).data.deliveryStats.total).toEqual({
      ...{ published: 5, attempts: 6, delivered: 4 },
    });
  });

  it('decides the status of an event by its own delivery', async () => {
    const token = await createToken();
    await bed.ask(
      `mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }`,
      { input: { endpointId: other.ids.ep, eventTypes: ['heron.*', 'split.failing', 'shared.*'] } },
      tenant,
    );
    await bed.ask(
      `mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }`,
      { input: { endpointId: own.ids.ep, eventTypes: ['gecko.*', 'split.*', 'shared.*'] } },
      tenant,
    );
    // One endpoint answers 200, the other one 500.
    receiver.answer = ({ path }) => ({ status: path === '/gecko' ? 200 : 500 });
    const { id, deliveryIds } = await bed.publish({ type: 'split.failing' }, tenant);
    await until(async () => {
      const { data } = await read(READ_EVENT, token, { id });
      return data.event.status === 'DELIVERED';
    }, 'the own delivery');
    await until(async () => {
      const list = await bed.ask(
        '{ deliveries(filter: { statuses: [RETRYING] }) { edges { node { id } } } }',
        {},
        tenant,
      );
      return list.edges.some(({ node }: { node: { id: string } }) => deliveryIds.includes(node.id));
    }, 'the other delivery to fail');
    const { event } = (await read(READ_EVENT, token, { id })).data;
    expect(event.deliveries.edges).toEqual([{ node: { id: expect.any(String), endpoint: { id: own.ids.ep } } }]);
    expect(event).toMatchObject({ status: 'DELIVERED', endpointCount: 1 });
    expect((await read(READ_EVENT, tenant.key, { id })).data.event).toMatchObject({
      status: 'PENDING',
      endpointCount: 2,
    });
    const byStatus = async (status: string, key: string) => {
      const query =
        'query ($status: EventStatus!) { events(filter: { statuses: [$status] }) { edges { node { id } } } }';
      return JSON.stringify((await read(query, key, { status })).data).includes(id);
    };
    expect(await byStatus('DELIVERED', token)).toBe(true);
    expect(await byStatus('PENDING', token)).toBe(false);
    expect(await byStatus('DELIVERED', tenant.key)).toBe(false);
    expect(await byStatus('PENDING', tenant.key)).toBe(true);
  });

  it.each(['SSE', 'WebSocket'] as const)('is all that its live feeds over %s tell of', async (transport) => {
    const token = await createToken();
    const changes = 'changes { status delivery { id endpoint { id } event { status endpointCount } } }';
    const environment = await createToken({ endpointId: null, environmentId: tenant.environmentId });
    const query = `subscription ($id: ID!) { deliveryChanges(filter: { endpointId: $id }) { cursor ${changes} } }`;
    const narrow = follow(transport, token, query, { id: own.ids.ep });
    // Asks the same, and sees more: the work that both share must not be all.
    const wide = follow(transport, environment, query, { id: own.ids.ep });
    const ofEvent = follow(
      transport,
      token,
      `subscription ($id: ID!) { eventChanges(eventId: $id) { event { endpointCount deliveries { edges { node { endpoint { id } } } } } ${changes} } }`,
      { id: own.ids.evt },
    );
    const stats = follow(
      transport,
      token,
      'subscription { deliveryStats { stats { published attempts } endpoints { endpoint { id } } } }',
    );
    await until(() => ofEvent.results.length > 0 && stats.results.length > 0, 'the first results');
    const told = (feed: { results: { data: { deliveryChanges: { changes: unknown[] } } }[] }) =>
      feed.results.flatMap(({ data }) => data.deliveryChanges.changes) as {
        status: string;
        delivery: { endpoint: { id: string }; event: { endpointCount: number } };
      }[];
    await until(async () => {
      await bed.ask(
        'mutation ($id: ID!) { retryEvent(input: { eventId: $id }) { __typename } }',
        { id: own.ids.evt },
        tenant,
      );
      const isTold = (feed: never) => told(feed).some(({ status }) => status === 'DELIVERED');
      return isTold(narrow as never) && isTold(wide as never);
    }, 'changes');
    await until(() => stats.results.some(({ data }) => data.deliveryStats.stats.attempts > 0), 'statistics');
    expect(new Set(told(narrow).map(({ delivery }) => delivery.endpoint.id))).toEqual(new Set([own.ids.ep]));
    expect(new Set(told(narrow).map(({ delivery }) => delivery.event.endpointCount))).toEqual(new Set([1]));
    expect(new Set(told(wide).map(({ delivery }) => delivery.event.endpointCount))).toEqual(new Set([2]));
    for (const feed of [narrow, ofEvent, stats]) {
      expect(JSON.stringify(feed.results)).toContain(own.ids.ep);
      expect(JSON.stringify(feed.results)).not.toContain(other.ids.ep);
    }
    for (const { data } of ofEvent.results) expect(data.eventChanges.event.endpointCount).toBe(1);
  });
});

describe('one environment', () => {
  it('is shown whole by its token, without its keys and without its neighbours', async () => {
    const made = await bed.ask(
      `mutation ($id: ID!) { createEnvironment(input: { organizationId: $id, name: "neighbour" }) {
        ... on CreateEnvironmentPayload { environment { id } } } }`,
      { id: tenant.organizationId },
      tenant,
    );
    const token = await createToken({ endpointId: null, environmentId: tenant.environmentId });
    const { data } = await read(`{ viewer { kind endpoint { id } } endpoints { edges { node { id } } } }`, token);
    expect(data.viewer).toEqual({ kind: 'BROWSER_TOKEN', endpoint: null });
    expect(data.endpoints.edges).toEqual([{ node: { id: other.ids.ep } }, { node: { id: own.ids.ep } }]);
    const node = async (id: string, key: string) =>
      (await read('query ($id: ID!) { node(id: $id) { id } }', key, { id })).data.node;
    for (const id of [made.environment.id, own.ids.key]) {
      expect(await node(id, tenant.key)).toEqual({ id });
      expect(await node(id, token)).toBeNull();
    }
    expect(await node(tenant.environmentId, token)).toEqual({ id: tenant.environmentId });
  });

  it('is any that the operator names', async () => {
    const token = await createToken({ endpointId: null, environmentId: tenant.environmentId }, ROOT_KEY);
    expect((await read(VIEWER, token)).data.viewer).toMatchObject({
      kind: 'BROWSER_TOKEN',
      environment: { id: tenant.environmentId },
    });
  });

  it('is the first one of an organization that is named, for its own key and for the operator', async () => {
    const input = { endpointId: null, organizationId: tenant.organizationId };
    for (const key of [tenant.key, ROOT_KEY]) {
      const token = await createToken(input, key);
      expect((await read(VIEWER, token)).data.viewer.environment.id).toBe(tenant.environmentId);
    }
    const stranger = await bed.createTenant('another');
    expect(await create(input, stranger.key)).toMatchObject({ __typename: 'NotFoundError' });
  });
});
