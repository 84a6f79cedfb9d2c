import { createHash, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { ALL_SCOPES, type GraphqlAnswer, ROOT_KEY, type Tenant, until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const VIEWER = '{ viewer { organization { id name } environment { id name } scopes } }';
const CREATE_KEY = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { __typename
  ... on CreateApiKeyPayload { secret apiKey { id name prefix scopes environment { id } createdAt lastUsedAt expiresAt revokedAt } }
  ... on InvalidInputError { issues { path message } } } }`;
const REVOKE_KEY = `mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename
  ... on RevokeApiKeyPayload { apiKey { id revokedAt } } } }`;
const READ_KEY = `query ($id: ID!) { node(id: $id) { ... on ApiKey { name scopes lastUsedAt expiresAt revokedAt } } }`;

const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

let tenant: Tenant;
beforeAll(async () => {
  tenant = await bed.createTenant('acme');
});

const createKey = (input: object = {}, key = ROOT_KEY) =>
  bed.ask(
    CREATE_KEY,
    { input: { environmentId: tenant.environmentId, name: 'a key', scopes: ALL_SCOPES, ...input } },
    { key },
  );

/** Asks who is calling, with these headers and no others. */
const askWith = (headers: Record<string, string>, url?: string) => bed.graphql(VIEWER, {}, { key: null, headers, url });

function expectRefused(answer: GraphqlAnswer) {
  expect(answer.status).toBe(401);
  expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  expect(answer.data ?? null).toBeNull();
  expect(answer.errors).toEqual([
    {
      message: expect.stringContaining('API key'),
      extensions: { code: 'UNAUTHENTICATED', requestId: answer.headers.get('x-request-id') },
    },
  ]);
}

describe('a request without a good key is refused with 401', () => {
  const WRONG: [what: string, headers: () => Record<string, string>][] = [
    ['no key', () => ({})],
    ['an unknown key', () => ({ authorization: `Bearer phk_${randomBytes(32).toString('base64url')}` })],
    ['an unknown X-API-Key', () => ({ 'x-api-key': 'nonsense' })],
    ['an empty X-API-Key', () => ({ 'x-api-key': '' })],
    ['an empty bearer token', () => ({ authorization: 'Bearer ' })],
    ['the scheme alone', () => ({ authorization: 'Bearer' })],
    ['a key without a scheme', () => ({ authorization: tenant.key })],
    [
      'a key in Basic credentials',
      () => ({ authorization: `Basic ${Buffer.from(`${tenant.key}:`).toString('base64')}` }),
    ],
    ['a key that is cut', () => ({ authorization: `Bearer ${tenant.key.slice(0, -1)}` })],
    ['a key that goes on', () => ({ authorization: `Bearer ${tenant.key}x` })],
    ['a key in capitals', () => ({ authorization: `Bearer ${tenant.key.toUpperCase()}` })],
    ["part of the operator's key", () => ({ authorization: `Bearer ${ROOT_KEY.slice(0, -1)}` })],
    ['a key as x-root-key', () => ({ 'x-root-key': ROOT_KEY })],
    [
      'a wrong bearer token beside a good X-API-Key',
      () => ({ authorization: 'Bearer nonsense', 'x-api-key': tenant.key }),
    ],
  ];

  it.each(WRONG)('%s', async (_, headers) => {
    expectRefused(await askWith(headers()));
  });

  it('a key that ended', async () => {
    const { secret, apiKey } = await createKey({ expiresAt: inHours(1) });
    expect((await askWith({ authorization: `Bearer ${secret}` })).errors).toBeUndefined();
    await bed.database.query(`update api_keys set expires_at = now() - interval '1 second' where expires_at = $1`, [
      apiKey.expiresAt,
    ]);
    expectRefused(await askWith({ authorization: `Bearer ${secret}` }));
  });

  it('a key that was revoked, at once and in every process', async () => {
    const other = await bed.startProcess();
    const { secret, apiKey } = await createKey();
    const headers = { authorization: `Bearer ${secret}` };
    expect((await askWith(headers)).errors).toBeUndefined();
    expect((await askWith(headers, other.url)).errors).toBeUndefined();
    const revoked = await bed.ask(REVOKE_KEY, { id: apiKey.id });
    expect(revoked).toEqual({
      __typename: 'RevokeApiKeyPayload',
      apiKey: { id: apiKey.id, revokedAt: expect.stringMatching(/Z$/) },
    });
    expectRefused(await askWith(headers));
    expectRefused(await askWith(headers, other.url));
    expect(await bed.ask(REVOKE_KEY, { id: apiKey.id })).toEqual(revoked);
  });

  it('a key can revoke itself', async () => {
    const { secret, apiKey } = await createKey({ scopes: ['API_KEYS_MANAGE'] });
    await bed.ask(REVOKE_KEY, { id: apiKey.id }, { key: secret });
    expectRefused(await askWith({ authorization: `Bearer ${secret}` }));
  });

  it.each([
    ['a syntax error', '{'],
    ['an unknown field', '{ nonsense }'],
    ['introspection', '{ __schema { types { name } } }'],
    ['__typename', '{ __typename }'],
  ])('%s: nothing of the schema is told', async (_, query) => {
    expectRefused(await bed.graphql(query, {}, { key: null }));
  });

  it('a GET', async () => {
    const response = await fetch(`${bed.url}/graphql?query={viewer{scopes}}`, {
      headers: { accept: 'application/json' },
    });
    const body = (await response.json()) as GraphqlAnswer;
    expectRefused({ ...body, status: response.status, headers: response.headers });
  });

  it('a subscription over SSE', async () => {
    const response = await fetch(`${bed.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query: 'subscription { deliveryChanges { cursor } }' }),
      signal: AbortSignal.timeout(5_000),
    });
    const text = await response.text();
    expect(text).toContain('"UNAUTHENTICATED"');
    expect(text).not.toContain('cursor');
  });

  it('a mutation, which changes nothing', async () => {
    const count = 'select count(*)::int as count from organizations';
    const before = await bed.database.query(count);
    const query = 'mutation { createOrganization(input: { name: "x" }) { __typename } }';
    expectRefused(await bed.graphql(query, {}, { key: null }));
    expect(await bed.database.query(count)).toEqual(before);
  });
});

describe('a key', () => {
  it.each([
    ['Authorization: Bearer', () => ({ authorization: `Bearer ${tenant.key}` })],
    ['authorization: bearer', () => ({ authorization: `bearer  ${tenant.key}` })],
    ['X-API-Key', () => ({ 'X-API-Key': tenant.key })],
  ])('lets in as %s', async (_, headers) => {
    const answer = await askWith(headers());
    expect(answer.status).toBe(200);
    expect(answer.data.viewer).toEqual({
      organization: { id: tenant.organizationId, name: 'acme' },
      environment: { id: tenant.environmentId, name: 'production' },
      scopes: ALL_SCOPES,
    });
  });

  it('is shown once, and read back without its secret', async () => {
    const expiresAt = inHours(2);
    const { secret, apiKey } = await createKey({ name: ' billing ', scopes: ['EVENTS_PUBLISH'], expiresAt });
    expect(secret).toMatch(/^phk_[\w-]{43}$/);
    expect(apiKey).toEqual({
      id: expect.stringMatching(/^key_/),
      name: 'billing',
      prefix: secret.slice(0, 12),
      scopes: ['EVENTS_PUBLISH'],
      environment: { id: tenant.environmentId },
      createdAt: expect.stringMatching(/Z$/),
      lastUsedAt: null,
      expiresAt,
      revokedAt: null,
    });
    const read = await bed.ask(READ_KEY, { id: apiKey.id }, { key: tenant.key });
    expect(read).toEqual({ name: 'billing', scopes: ['EVENTS_PUBLISH'], lastUsedAt: null, expiresAt, revokedAt: null });
  });

  it('that was made before beginnings were kept has none', async () => {
    const { apiKey } = await createKey();
    await bed.database.query(`update api_keys set prefix = null where prefix = $1`, [apiKey.prefix]);
    const read = await bed.ask('query ($id: ID!) { node(id: $id) { ... on ApiKey { prefix } } }', { id: apiKey.id });
    expect(read).toEqual({ prefix: null });
  });

  it('remembers when it was last used', async () => {
    const { secret, apiKey } = await createKey();
    const before = Date.now();
    await bed.ask(VIEWER, {}, { key: secret });
    const lastUsedAt = await until(
      async () => (await bed.ask(READ_KEY, { id: apiKey.id })).lastUsedAt,
      'lastUsedAt to be written',
    );
    expect(Math.abs(Date.parse(lastUsedAt) - before)).toBeLessThan(60_000);
  });

  it('has the scopes that it was given, each once', async () => {
    const { secret } = await createKey({ scopes: ['DELIVERIES_READ', 'EVENTS_PUBLISH', 'DELIVERIES_READ'] });
    const viewer = await bed.ask(VIEWER, {}, { key: secret });
    expect(viewer.scopes.toSorted()).toEqual(['DELIVERIES_READ', 'EVENTS_PUBLISH']);
  });

  it('that expires creates neither a key nor a browser token that outlives it', async () => {
    const limit = inHours(2);
    const { secret } = await createKey({ expiresAt: limit });
    const count = 'select count(*)::int as count from api_keys';
    const before = await bed.database.query(count);
    for (const expiresAt of [undefined, null, inHours(3), new Date(Date.parse(limit) + 1).toISOString()]) {
      expect(await createKey({ expiresAt }, secret)).toEqual({
        __typename: 'InvalidInputError',
        issues: [{ path: ['expiresAt'], message: expect.stringContaining(`must be at most ${limit}`) }],
      });
    }
    expect(await bed.database.query(count)).toEqual(before);
    for (const expiresAt of [inHours(1), limit]) {
      expect((await createKey({ expiresAt }, secret)).apiKey.expiresAt).toBe(expiresAt);
    }
    await bed.database.query(`update api_keys set expires_at = now() + interval '90 seconds' where key_hash = $1`, [
      createHash('sha256').update(secret).digest(),
    ]);
    const token = await bed.ask(
      `mutation ($id: ID!) { createBrowserToken(input: { environmentId: $id, expiresInSeconds: 3600 }) {
        ... on CreateBrowserTokenPayload { expiresAt } } }`,
      { id: tenant.environmentId },
      { key: secret },
    );
    expect(Date.parse(token.expiresAt)).toBeLessThanOrEqual(Date.now() + 90_000);
  });

  it('that does not expire creates keys that do not either', async () => {
    const { secret } = await createKey();
    expect((await createKey({}, secret)).apiKey.expiresAt).toBeNull();
  });

  it.each(ALL_SCOPES.filter((scope) => scope !== 'API_KEYS_MANAGE'))(
    'can not grant %s, which it lacks',
    async (scope) => {
      const own = ALL_SCOPES.filter((other) => other !== scope);
      const { secret } = await createKey({ scopes: own });
      const count = 'select count(*)::int as count from api_keys';
      const before = await bed.database.query(count);
      for (const scopes of [[scope], ALL_SCOPES]) {
        expect(await createKey({ scopes }, secret)).toEqual({
          __typename: 'InvalidInputError',
          issues: [{ path: ['scopes'], message: expect.stringContaining(scope) }],
        });
      }
      expect(await bed.database.query(count)).toEqual(before);
      expect((await createKey({ scopes: own }, secret)).__typename).toBe('CreateApiKeyPayload');
    },
  );
});

const NO = '01h455vb4pex5vsknk084sn02q';
const READ = ['DELIVERIES_READ', 'DELIVERIES_RETRY'];

/** Every field that needs a scope, with an operation that uses it, and the scopes of which one is enough. */
const FIELDS: [field: string, scopes: string[], document: string][] = [
  ['Query.viewer', ALL_SCOPES, '{ viewer { scopes organization { id } environment { id } } }'],
  ['Query.organizations', ALL_SCOPES, '{ organizations { edges { node { id environments { id } } } } }'],
  ['Query.endpoint', [...READ, 'ENDPOINTS_MANAGE'], '{ endpoint(id: "EP") { id name headers routes { id } } }'],
  ['Query.endpoints', [...READ, 'ENDPOINTS_MANAGE'], '{ endpoints { edges { node { id } } } }'],
  ['Query.event', READ, '{ event(id: "EVT") { id } }'],
  ['Query.events', READ, '{ events { edges { node { id } } } }'],
  ['Query.delivery', READ, '{ delivery(id: "DLV") { id } }'],
  ['Query.deliveries', READ, '{ deliveries { edges { node { id } } } }'],
  ['Query.deliveryCount', READ, '{ deliveryCount }'],
  ['Query.deliveryAttempt', READ, '{ deliveryAttempt(id: "ATT") { id } }'],
  ['Query.deliveryAttempts', READ, '{ deliveryAttempts { edges { node { id } } } }'],
  ['Query.deliveryStats', ['DELIVERIES_READ'], '{ deliveryStats { waiting endpoints { endpoint { id } } } }'],
  ['node of Organization', ALL_SCOPES, '{ node(id: "ORG") { ... on Organization { name } } }'],
  ['node of Environment', ALL_SCOPES, '{ node(id: "ENV") { ... on Environment { name } } }'],
  [
    'Environment.apiKeys',
    ['API_KEYS_MANAGE'],
    '{ node(id: "ENV") { ... on Environment { apiKeys { edges { node { id } } } } } }',
  ],
  ['node of ApiKey', ['API_KEYS_MANAGE'], '{ node(id: "KEY") { ... on ApiKey { name } } }'],
  ['node of Endpoint', [...READ, 'ENDPOINTS_MANAGE'], '{ node(id: "EP") { ... on Endpoint { name } } }'],
  ['node of Route', [...READ, 'ENDPOINTS_MANAGE'], '{ node(id: "RT") { ... on Route { name } } }'],
  ['node of Event', READ, '{ node(id: "EVT") { ... on Event { type body } } }'],
  ['node of Delivery', READ, '{ node(id: "DLV") { ... on Delivery { status } } }'],
  ['node of DeliveryAttempt', READ, '{ node(id: "ATT") { ... on DeliveryAttempt { number } } }'],
  ['Event.deliveries', READ, '{ node(id: "EVT") { ... on Event { deliveries { edges { node { id } } } } } }'],
  ['Endpoint.health', ['DELIVERIES_READ'], '{ endpoint(id: "EP") { health { state } } }'],
  ['Endpoint.stats', ['DELIVERIES_READ'], '{ endpoint(id: "EP") { stats { waiting } } }'],
  ['Query.liveCursor', ['DELIVERIES_READ'], '{ liveCursor }'],
  [
    'Subscription.eventChanges',
    ['DELIVERIES_READ'],
    'subscription { eventChanges(eventId: "EVT") { cursor event { id } } }',
  ],
  ['Subscription.deliveryChanges', ['DELIVERIES_READ'], 'subscription { deliveryChanges { cursor } }'],
  ['Subscription.endpointChanges', ['DELIVERIES_READ'], 'subscription { endpointChanges(after: "CURSOR") { cursor } }'],
  ['Subscription.deliveryStats', ['DELIVERIES_READ'], 'subscription { deliveryStats { waiting } }'],
  ['Subscription.endpointHealth', ['DELIVERIES_READ'], 'subscription { endpointHealth(endpointId: "EP") { state } }'],
  ...(
    [
      ['createEnvironment', 'API_KEYS_MANAGE', `organizationId: "org_${NO}", name: "x"`],
      ['createApiKey', 'API_KEYS_MANAGE', `environmentId: "env_${NO}", name: "x", scopes: [API_KEYS_MANAGE]`],
      ['createBrowserToken', 'DELIVERIES_READ', `endpointId: "ep_${NO}"`],
      ['revokeApiKey', 'API_KEYS_MANAGE', `apiKeyId: "key_${NO}"`],
      ['createEndpoint', 'ENDPOINTS_MANAGE', 'url: "nonsense"'],
      ['updateEndpoint', 'ENDPOINTS_MANAGE', `endpointId: "ep_${NO}"`],
      ['deleteEndpoint', 'ENDPOINTS_MANAGE', `endpointId: "ep_${NO}"`],
      ['pauseEndpoint', 'ENDPOINTS_MANAGE', `endpointId: "ep_${NO}"`],
      ['resumeEndpoint', 'ENDPOINTS_MANAGE', `endpointId: "ep_${NO}"`],
      ['disableEndpoint', 'ENDPOINTS_MANAGE', `endpointId: "ep_${NO}"`],
      ['enableEndpoint', 'ENDPOINTS_MANAGE', `endpointId: "ep_${NO}"`],
      ['rotateEndpointSecret', 'ENDPOINTS_MANAGE', `endpointId: "ep_${NO}"`],
      ['publishEvent', 'EVENTS_PUBLISH', 'type: "not a type", body: ""'],
      ['publishEvents', 'EVENTS_PUBLISH', 'events: []'],
      ['retryDelivery', 'DELIVERIES_RETRY', `deliveryId: "dlv_${NO}"`],
      ['retryDeliveryAttempt', 'DELIVERIES_RETRY', `attemptId: "att_${NO}"`],
      ['retryEvent', 'DELIVERIES_RETRY', `eventId: "evt_${NO}"`],
      ['recordDeliveryAttempt', 'DELIVERIES_RETRY', `deliveryId: "dlv_${NO}", status: DELIVERED`],
      ['cancelDelivery', 'DELIVERIES_RETRY', `deliveryId: "dlv_${NO}"`],
      ['retryDeliveries', 'DELIVERIES_RETRY', `filter: { ids: ["dlv_${NO}"] }`],
      ['cancelDeliveries', 'DELIVERIES_RETRY', `filter: { ids: ["dlv_${NO}"] }`],
    ] as const
  ).map(([name, scope, input]): [string, string[], string] => [
    `Mutation.${name}`,
    [scope],
    `mutation { ${name}(input: { ${input} }) { __typename } }`,
  ]),
];

describe('scopes', () => {
  const keys: Record<string, string> = {};
  const ids: Record<string, string> = {};

  beforeAll(async () => {
    for (const scope of ALL_SCOPES) keys[scope] = await bed.createKey(tenant.environmentId, [scope]);
    const cursor = await bed.ask('{ liveCursor }', {}, tenant);
    const { id } = await bed.createEndpoint({ url: receiver.url('/scopes'), eventTypes: ['scopes'] }, tenant);
    const event = await bed.publish({ type: 'scopes' }, tenant);
    const delivery = await until(async () => {
      const read = await bed.ask(
        `query ($id: ID!) { delivery(id: $id) { status lastAttempt { id } route { id } } }`,
        { id: event.deliveryIds[0] },
        tenant,
      );
      return read.status === 'DELIVERED' && read;
    }, 'the delivery');
    const { apiKey } = await createKey();
    Object.assign(ids, {
      EP: id,
      EVT: event.id,
      DLV: event.deliveryIds[0],
      ATT: delivery.lastAttempt.id,
      RT: delivery.route.id,
      KEY: apiKey.id,
      CURSOR: cursor,
      ORG: tenant.organizationId,
      ENV: tenant.environmentId,
    });
  });

  const fill = (document: string) => document.replace(/"([A-Z]+)"/g, (_, name) => JSON.stringify(ids[name]));

  /** Runs an operation; of a subscription only what comes up to the first item. @returns codes of its errors */
  async function run(document: string, key: string): Promise<string[]> {
    if (!document.startsWith('subscription')) {
      const { data, errors } = await bed.graphql(fill(document), {}, { key });
      if (!errors) for (const value of Object.values(data)) expect(value).not.toBeNull();
      return (errors ?? []).map((error) => error.extensions.code);
    }
    const controller = new AbortController();
    const response = await fetch(`${bed.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${key}` },
      body: JSON.stringify({ query: fill(document) }),
      signal: controller.signal,
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    let text = '';
    const publishing = bed.publish({ type: 'scopes' }, tenant);
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (/^data: *\S/m.test(text)) break;
    }
    controller.abort();
    await publishing;
    return [...text.matchAll(/"code":"(\w+)"/g)].map(([, code]) => code as string);
  }

  it.each(FIELDS)('%s takes a key with one of %j, and no other', async (_, scopes, document) => {
    for (const scope of ALL_SCOPES) {
      const codes = await run(document, keys[scope] as string);
      expect({ scope, codes }).toEqual({ scope, codes: scopes.includes(scope) ? [] : ['FORBIDDEN'] });
    }
  });

  it('the table has every mutation but createOrganization, and every query but node', async () => {
    const { queryType, mutationType, subscriptionType } = await bed.ask(`{ __schema { queryType { fields { name } }
      mutationType { fields { name } } subscriptionType { fields { name } } } }`);
    const names = [
      ...queryType.fields.map(({ name }: { name: string }) => `Query.${name}`),
      ...mutationType.fields.map(({ name }: { name: string }) => `Mutation.${name}`),
      ...subscriptionType.fields.map(({ name }: { name: string }) => `Subscription.${name}`),
    ];
    const tested = new Set([...FIELDS.map(([field]) => field), 'Mutation.createOrganization', 'Query.node']);
    expect(names.filter((name) => !tested.has(name))).toEqual([]);
  });

  it('a forbidden field says which one it is, and what to do', async () => {
    const answer = await bed.graphql('{ events { edges { cursor } } }', {}, { key: keys.EVENTS_PUBLISH as string });
    expect(answer.errors).toMatchObject([
      {
        message: expect.stringMatching(/Query\.events.*scope/),
        path: ['events'],
        extensions: { code: 'FORBIDDEN', requestId: answer.headers.get('x-request-id') },
      },
    ]);
  });

  it('what a key publishes, it may read in the answer, deliveries aside', async () => {
    const key = keys.EVENTS_PUBLISH as string;
    const publish = (selection: string) =>
      bed.graphql(
        `mutation { publishEvent(input: { type: "nothing", body: "x" }) { ... on PublishEventPayload { event { ${selection} } } } }`,
        {},
        { key },
      );
    expect((await publish('id status body endpointCount')).errors).toBeUndefined();
    const answer = await publish('id deliveries { edges { node { id } } }');
    expect(answer.errors?.map((error) => error.extensions.code)).toEqual(['FORBIDDEN']);
  });

  it('a forbidden mutation changes nothing', async () => {
    const counts = () =>
      bed.database.query(`select (select count(*) from endpoints) as endpoints, (select count(*) from events) as events,
        (select count(*) from api_keys) as keys, (select count(*) from environments) as environments`);
    const before = await counts();
    const forbidden: [scope: string, field: string, input: string][] = [
      ['EVENTS_PUBLISH', 'createEndpoint', 'url: "https://example.com"'],
      ['EVENTS_PUBLISH', 'deleteEndpoint', `endpointId: "${ids.EP}"`],
      ['ENDPOINTS_MANAGE', 'publishEvent', 'type: "x", body: ""'],
      ['ENDPOINTS_MANAGE', 'createApiKey', `environmentId: "${ids.ENV}", name: "x", scopes: [ENDPOINTS_MANAGE]`],
      ['ENDPOINTS_MANAGE', 'createEnvironment', `organizationId: "${ids.ORG}", name: "x"`],
      ['DELIVERIES_READ', 'retryDelivery', `deliveryId: "${ids.DLV}"`],
      ['DELIVERIES_READ', 'retryEvent', `eventId: "${ids.EVT}"`],
    ];
    for (const [scope, field, input] of forbidden) {
      const codes = await run(`mutation { ${field}(input: { ${input} }) { __typename } }`, keys[scope] as string);
      expect({ field, codes }).toEqual({ field, codes: ['FORBIDDEN'] });
    }
    expect(await counts()).toEqual(before);
    const delivery = await bed.ask(
      `{ delivery(id: "${ids.DLV}") { attemptCount endpoint { deletedAt } } }`,
      {},
      tenant,
    );
    expect(delivery).toEqual({ attemptCount: 1, endpoint: { deletedAt: null } });
  });
});

describe("the operator's key", () => {
  const CREATE =
    'mutation { createOrganization(input: { name: "new" }) { ... on CreateOrganizationPayload { organization { name } environment { name organization { name } } } } }';

  it('makes organizations, each with an environment named production', async () => {
    expect(await bed.ask(CREATE)).toEqual({
      organization: { name: 'new' },
      environment: { name: 'production', organization: { name: 'new' } },
    });
  });

  it('is the only one that does', async () => {
    const count = 'select count(*)::int as count from organizations';
    const before = await bed.database.query(count);
    const answer = await bed.graphql(CREATE, {}, { key: tenant.key });
    expect(answer.errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
    expect(await bed.database.query(count)).toEqual(before);
  });

  it("acts in the default organization's production environment with all scopes", async () => {
    expect(await bed.ask(VIEWER)).toMatchObject({
      organization: { name: 'default' },
      environment: { name: 'production' },
      scopes: ALL_SCOPES,
    });
  });

  it('acts in the environment that x-environment-id names', async () => {
    const made = await bed.ask(
      `mutation ($id: ID!) { createEnvironment(input: { organizationId: $id, name: "test" }) {
        ... on CreateEnvironmentPayload { environment { id } } } }`,
      { id: tenant.organizationId },
    );
    const { id } = made.environment;
    for (const headers of [
      { 'x-environment-id': id },
      { 'x-environment-id': id, 'x-organization-id': tenant.organizationId },
    ] as Record<string, string>[]) {
      const viewer = await bed.ask(VIEWER, {}, { headers });
      expect(viewer).toMatchObject({ organization: { id: tenant.organizationId }, environment: { id, name: 'test' } });
    }
    const event = await bed.publish({ type: 'in.test' }, { headers: { 'x-environment-id': id } });
    const read = 'query ($id: ID!) { event(id: $id) { environment { id } organization { id } } }';
    expect(await bed.ask(read, { id: event.id }, { headers: { 'x-environment-id': id } })).toEqual({
      environment: { id },
      organization: { id: tenant.organizationId },
    });
    expect(await bed.ask(read, { id: event.id })).toBeNull();
    expect(await bed.ask(read, { id: event.id }, tenant)).toBeNull();
  });

  it("acts in an organization's first environment where x-organization-id names it alone", async () => {
    const headers = { 'x-organization-id': tenant.organizationId };
    expect(await bed.ask(VIEWER, {}, { headers })).toMatchObject({
      organization: { id: tenant.organizationId },
      environment: { id: tenant.environmentId, name: 'production' },
    });
  });

  it('is refused with BAD_USER_INPUT where these name nothing that belongs together', async () => {
    const other = await bed.createTenant('other');
    const wrong: Record<string, string>[] = [
      { 'x-organization-id': 'nonsense' },
      { 'x-environment-id': 'nonsense' },
      { 'x-organization-id': `org_${NO}` },
      { 'x-environment-id': `env_${NO}` },
      { 'x-organization-id': tenant.environmentId },
      { 'x-environment-id': tenant.organizationId },
      { 'x-organization-id': tenant.organizationId, 'x-environment-id': other.environmentId },
      { 'x-organization-id': tenant.organizationId, 'x-environment-id': 'nonsense' },
      { 'x-organization-id': 'nonsense', 'x-environment-id': tenant.environmentId },
    ];
    for (const headers of wrong) {
      const answer = await bed.graphql(VIEWER, {}, { headers });
      expect(answer.data ?? null).toBeNull();
      expect(answer.errors).toMatchObject([
        {
          message: expect.stringContaining('x-environment-id'),
          extensions: { code: 'BAD_USER_INPUT', requestId: answer.headers.get('x-request-id') },
        },
      ]);
    }
  });
});

describe('what is stored', () => {
  /** Tables with a row in which a text stands, as it is, in hexadecimal or in base64. */
  async function findTables(text: string): Promise<string[]> {
    const tables = await bed.database.query<{ schema: string; name: string }>(
      `select table_schema as schema, table_name as name from information_schema.tables
       where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`,
    );
    const needles = [text, Buffer.from(text).toString('hex'), Buffer.from(text).toString('base64').replace(/=+$/, '')];
    const found: string[] = [];
    for (const { schema, name } of tables) {
      const rows = await bed.database.query(
        `select 1 from "${schema}"."${name}" t where exists (select 1 from unnest($1::text[]) n where position(n in t::text) > 0) limit 1`,
        [needles],
      );
      if (rows.length > 0) found.push(name);
    }
    return found;
  }

  it('the search finds what is there', async () => {
    await bed.publish({ type: 'needle', body: 'in a haystack', sourceKey: 'a needle' });
    expect(await findTables('a needle')).toEqual(['events']);
    expect(await findTables('a haystack')).toEqual(['events']);
  });

  it('of an API key it is a hash only', async () => {
    const { secret } = await createKey();
    expect(await findTables(secret)).toEqual([]);
    expect(await findTables(secret.slice(4))).toEqual([]);
    const [row] = await bed.database.query('select count(*)::int as count from api_keys where key_hash = sha256($1)', [
      Buffer.from(secret),
    ]);
    expect(row).toEqual({ count: 1 });
  });

  it("the operator's key is not there at all", async () => {
    expect(await findTables(ROOT_KEY)).toEqual([]);
  });

  it('secrets and header values are encrypted, also after a delivery, and read back as null', async () => {
    const bytes = randomBytes(32);
    const secret = `whsec_${bytes.toString('base64')}`;
    const later = `whsec_${randomBytes(32).toString('base64')}`;
    const token = `token-${randomBytes(16).toString('hex')}`;
    const headers = { 'X-Token': token, 'x-other': 'another-value-of-a-header' };
    const made = await bed.createEndpoint({ url: receiver.url('/sealed'), eventTypes: ['sealed'], secret, headers });
    expect(made.secret).toBe(secret);
    const { deliveryIds } = await bed.publish({ type: 'sealed' });
    const delivery = await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
    expect(receiver.to('/sealed')[0]?.headers['x-token']).toBe(token);
    await bed.ask(
      'mutation ($input: RotateEndpointSecretInput!) { rotateEndpointSecret(input: $input) { __typename } }',
      { input: { endpointId: made.id, secret: later } },
    );

    for (const text of [secret, secret.slice(6), later, token, headers['x-other']])
      expect(await findTables(text)).toEqual([]);
    expect(await findTables(bytes.toString('latin1').replaceAll('\0', ''))).toEqual([]);
    const sealed = await bed.database.query<{ sealed: Buffer }>(
      `select sealed from endpoint_secrets union all select headers_sealed from endpoints where headers_sealed is not null`,
    );
    expect(sealed.length).toBeGreaterThanOrEqual(3);
    for (const row of sealed) {
      for (const raw of [bytes, Buffer.from(secret), Buffer.from(later), Buffer.from(token)]) {
        expect(row.sealed.includes(raw)).toBe(false);
      }
    }

    expect(delivery.attempts[0]?.requestHeaders).toMatchObject({ 'X-Token': null, 'x-other': null });
    const read = await bed.ask('query ($id: ID!) { endpoint(id: $id) { headers } }', { id: made.id });
    expect(read).toEqual({ headers: { 'X-Token': null, 'x-other': null } });
  });

  it('the same secret is stored as other bytes each time', async () => {
    const secret = `whsec_${randomBytes(32).toString('base64')}`;
    const before = await bed.database.query('select id from endpoint_secrets');
    for (const _ of [1, 2]) await bed.createEndpoint({ url: 'https://example.com', eventTypes: ['none'], secret });
    const rows = await bed.database.query<{ sealed: Buffer }>(
      'select sealed from endpoint_secrets where id <> all($1::uuid[])',
      [before.map(({ id }) => id)],
    );
    expect(rows).toHaveLength(2);
    expect(rows[0]?.sealed.equals(rows[1]?.sealed as Buffer)).toBe(false);
  });

  it('no field of the schema gives a secret but the payloads that show it once', async () => {
    const { types } = await bed.ask('{ __schema { types { name fields { name } } } }');
    const giving = types
      .filter(({ fields }: { fields: { name: string }[] | null }) =>
        fields?.some(({ name }) => /secret|hash|sealed/i.test(name)),
      )
      .map(({ name }: { name: string }) => name)
      .filter((name: string) => name !== 'Mutation');
    expect(giving.toSorted()).toEqual(['CreateApiKeyPayload', 'CreateEndpointPayload', 'RotateEndpointSecretPayload']);
  });
});
