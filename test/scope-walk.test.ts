import { getNamedType, isObjectType } from 'graphql';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { schema } from '../src/graphql/schema.ts';
import { ALL_SCOPES, type GraphqlAnswer, until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';
import { fieldsOf, ROW_TYPES, selectAlone } from './support/selecting.ts';
import { answerWorlds, furnish, type World, waitUntilCounted } from './support/worlds.ts';

// Selects every field of every row on every way that leads to it, with a key of each single scope and with each kind of
// browser token, and compares with the tables below. A new field or way fails here by its name until they know it.

const bed = useTestBed({ complexityMax: 500_000 });
const receiver = useReceiver();

const READ = ['DELIVERIES_READ', 'DELIVERIES_RETRY'];
const READ_ENDPOINTS = [...READ, 'ENDPOINTS_MANAGE'];

/** One of these scopes is needed for a field. */
type Needs = Record<string, string[]>;

const needs = (scopes: string[], fields: string): Needs =>
  Object.fromEntries(fields.split(' ').map((field) => [field, scopes]));

/** What each field of a row needs, whatever the way to it. */
const FIELDS: Record<string, Needs> = {
  ApiKey: needs(['API_KEYS_MANAGE'], 'createdAt environment expiresAt id lastUsedAt name prefix revokedAt scopes'),
  Delivery: needs(
    READ,
    'attemptCount attempts createdAt deadLetteredAt deliveredAt endpoint environment event id lastAttempt maxRetries nextAttemptAt notRetryableReason organization retryCount route status updatedAt',
  ),
  DeliveryAttempt: needs(
    READ,
    'createdAt deadLetteredAt delivery durationMs endpoint environment error event id isDeadLetter nextAttemptAt number organization requestBodySize requestHeaders requestMethod requestUrl responseBody responseHeaders responseStatus route status trigger',
  ),
  Endpoint: {
    ...needs(
      READ_ENDPOINTS,
      'caCertificate clientCertificate createdAt deletedAt description disabledAt disabledReason eventTypes headers id method name rateLimitPerSecond retryPolicy routes signingKeys status timeoutMs updatedAt url',
    ),
    ...needs(['DELIVERIES_READ'], 'health stats'),
  },
  Environment: { ...needs(ALL_SCOPES, 'createdAt id name organization'), apiKeys: ['API_KEYS_MANAGE'] },
  Event: {
    ...needs(
      READ,
      'body contentType createdAt deliveries endpointCount environment idempotencyKey organization payload source sourceKey status type updatedAt',
    ),
    id: [...READ, 'EVENTS_PUBLISH'],
  },
  Organization: needs(ALL_SCOPES, 'createdAt environments id name'),
  Route: needs(READ_ENDPOINTS, 'createdAt eventTypes id name'),
  SigningKey: needs(READ_ENDPOINTS, 'createdAt expiresAt id kind publicKey'),
};

/** Content that the caller sent itself in the same operation. */
const OWN_CONTENT: Needs = Object.fromEntries(
  Object.keys(FIELDS.Event as Needs).flatMap((field) =>
    field === 'deliveries' ? [] : [[field, [...READ, 'EVENTS_PUBLISH']]],
  ),
);

interface Way {
  type: string;
  /** One of these scopes is needed to get to the row. */
  scopes: string[];
  /** `SEL` is what is selected of the row, names in capitals are IDs. */
  query: string;
  /** @default as everywhere */
  fields?: Needs;
  isForKeysOnly?: boolean;
  /** Only one endpoint's token gets a row here. */
  isForEndpointTokensOnly?: boolean;
}

const change = (field: string, input: string, payload: string, selection: string, errors = '') =>
  `mutation { ${field}(input: { ${input} }) { __typename ... on ${payload} { ${selection} } ${errors} } }`;

const way = (type: string, scopes: string[], query: string, more: Partial<Way> = {}): Way => ({
  ...{ type, scopes, query },
  ...more,
});

const manageEndpoint = (verb: string, input = 'endpointId: "EP"'): [string, Way] => {
  const payload = `${verb[0]?.toUpperCase()}${verb.slice(1)}Payload`;
  const query = change(verb, input, payload, 'endpoint { __typename SEL }');
  return [`${payload}.endpoint`, way('Endpoint', ['ENDPOINTS_MANAGE'], query)];
};

const NOT_RETRYABLE = '... on DeliveryNotRetryableError { delivery { __typename SEL } }';
const AT_END = '... on DeliveryAtEndError { delivery { __typename SEL } }';
const RECORD = 'deliveryId: "DLV", status: DELIVERED, responseStatus: 200';
const publish = (body: string, selection: string, errors = '') =>
  change(
    'publishEvent',
    `type: "un.routed", idempotencyKey: "KEYED", body: "${body}"`,
    'PublishEventPayload',
    selection,
    errors,
  );

/** Every way to a row, by the field that it ends with. */
const WAYS: Record<string, Way> = Object.fromEntries<Way>([
  ...ROW_TYPES.map((type): [string, Way] => [
    `node of ${type}`,
    way(type, ALL_SCOPES, `{ node(id: "${type}") { ... on ${type} { __typename SEL } } }`),
  ]),
  ['Query.event', way('Event', READ, '{ event(id: "Event") { __typename SEL } }')],
  ['EventEdge.node', way('Event', READ, '{ events(first: 5) { edges { node { __typename SEL } } } }')],
  ['Query.delivery', way('Delivery', READ, '{ delivery(id: "Delivery") { __typename SEL } }')],
  ['DeliveryEdge.node', way('Delivery', READ, '{ deliveries(first: 5) { edges { node { __typename SEL } } } }')],
  [
    'Query.deliveryAttempt',
    way('DeliveryAttempt', READ, '{ deliveryAttempt(id: "DeliveryAttempt") { __typename SEL } }'),
  ],
  [
    'DeliveryAttemptEdge.node',
    way('DeliveryAttempt', READ, '{ deliveryAttempts(first: 5) { edges { node { __typename SEL } } } }'),
  ],
  ['Query.endpoint', way('Endpoint', READ_ENDPOINTS, '{ endpoint(id: "Endpoint") { __typename SEL } }')],
  [
    'EndpointEdge.node',
    way('Endpoint', READ_ENDPOINTS, '{ endpoints(first: 5) { edges { node { __typename SEL } } } }'),
  ],
  [
    'OrganizationEdge.node',
    way('Organization', ALL_SCOPES, '{ organizations(first: 5) { edges { node { __typename SEL } } } }'),
  ],
  [
    'ApiKeyEdge.node',
    way('ApiKey', ['API_KEYS_MANAGE'], '{ viewer { environment { apiKeys { edges { node { __typename SEL } } } } } }'),
  ],
  ['Viewer.organization', way('Organization', ALL_SCOPES, '{ viewer { organization { __typename SEL } } }')],
  ['Viewer.environment', way('Environment', ALL_SCOPES, '{ viewer { environment { __typename SEL } } }')],
  [
    'Viewer.endpoint',
    way('Endpoint', ALL_SCOPES, '{ viewer { endpoint { __typename SEL } } }', { isForEndpointTokensOnly: true }),
  ],
  [
    'EndpointDeliveryStats.endpoint',
    way('Endpoint', ['DELIVERIES_READ'], '{ deliveryStats { endpoints { endpoint { __typename SEL } } } }'),
  ],
  [
    'EndpointHealth.endpoint',
    way('Endpoint', ['DELIVERIES_READ'], '{ endpoint(id: "Endpoint") { health { endpoint { __typename SEL } } } }'),
  ],
  [
    'DeliveryChange.delivery',
    way(
      'Delivery',
      ['DELIVERIES_READ'],
      'subscription { deliveryChanges(after: "CURSOR") { changes { delivery { __typename SEL } } } }',
    ),
  ],
  [
    'DeliveryChange.attempt',
    way(
      'DeliveryAttempt',
      ['DELIVERIES_READ'],
      'subscription { deliveryChanges(after: "CURSOR") { changes { attempt { __typename SEL } } } }',
    ),
  ],
  [
    'EventChanges.event',
    way('Event', ['DELIVERIES_READ'], 'subscription { eventChanges(eventId: "Event") { event { __typename SEL } } }'),
  ],
  [
    'EndpointChange.endpoint',
    way(
      'Endpoint',
      ['DELIVERIES_READ'],
      'subscription { endpointChanges(after: "CURSOR") { changes { endpoint { __typename SEL } } } }',
    ),
  ],
  manageEndpoint('createEndpoint', 'url: "https://walk.example.com/", eventTypes: ["none"]'),
  manageEndpoint('updateEndpoint', 'endpointId: "Endpoint", name: "walk"'),
  manageEndpoint('rotateEndpointSecret', 'endpointId: "Spare", overlapSeconds: 0'),
  manageEndpoint('pauseEndpoint', 'endpointId: "Spare"'),
  manageEndpoint('resumeEndpoint', 'endpointId: "Spare"'),
  manageEndpoint('disableEndpoint', 'endpointId: "Spare"'),
  manageEndpoint('enableEndpoint', 'endpointId: "Spare"'),
  manageEndpoint('deleteEndpoint', 'endpointId: "Fresh"'),
  [
    'CreateApiKeyPayload.apiKey',
    way(
      'ApiKey',
      ['API_KEYS_MANAGE'],
      change(
        'createApiKey',
        'environmentId: "Environment", name: "walk", scopes: [API_KEYS_MANAGE]',
        'CreateApiKeyPayload',
        'apiKey { __typename SEL }',
      ),
    ),
  ],
  [
    'RevokeApiKeyPayload.apiKey',
    way(
      'ApiKey',
      ['API_KEYS_MANAGE'],
      change('revokeApiKey', 'apiKeyId: "ApiKey"', 'RevokeApiKeyPayload', 'apiKey { __typename SEL }'),
    ),
  ],
  [
    'CreateEnvironmentPayload.environment',
    way(
      'Environment',
      ['API_KEYS_MANAGE'],
      change(
        'createEnvironment',
        'organizationId: "Organization", name: "UNIQUE"',
        'CreateEnvironmentPayload',
        'environment { __typename SEL }',
      ),
    ),
  ],
  [
    'PublishEventPayload.event',
    way('Event', ['EVENTS_PUBLISH'], publish('same', 'event { __typename SEL }'), { fields: OWN_CONTENT }),
  ],
  [
    'IdempotencyConflictError.event',
    way(
      'Event',
      ['EVENTS_PUBLISH'],
      publish('other', '__typename', '... on IdempotencyConflictError { event { __typename SEL } }'),
    ),
  ],
  [
    'RetryDeliveryPayload.delivery',
    way(
      'Delivery',
      ['DELIVERIES_RETRY'],
      change(
        'retryDelivery',
        'deliveryId: "Delivery"',
        'RetryDeliveryPayload',
        'delivery { __typename SEL }',
        NOT_RETRYABLE,
      ),
    ),
  ],
  [
    'DeliveryNotRetryableError.delivery',
    way(
      'Delivery',
      ['DELIVERIES_RETRY'],
      change('retryDelivery', 'deliveryId: "Held"', 'RetryDeliveryPayload', '__typename', NOT_RETRYABLE),
    ),
  ],
  [
    'CancelDeliveryPayload.delivery',
    way(
      'Delivery',
      ['DELIVERIES_RETRY'],
      change('cancelDelivery', 'deliveryId: "Waiting"', 'CancelDeliveryPayload', 'delivery { __typename SEL }', AT_END),
    ),
  ],
  [
    'DeliveryAtEndError.delivery',
    way(
      'Delivery',
      ['DELIVERIES_RETRY'],
      change('cancelDelivery', 'deliveryId: "Waiting"', 'CancelDeliveryPayload', 'delivery { __typename SEL }', AT_END),
    ),
  ],
  [
    'RetryDeliveryAttemptPayload.delivery',
    way(
      'Delivery',
      ['DELIVERIES_RETRY'],
      change(
        'retryDeliveryAttempt',
        'attemptId: "DeliveryAttempt"',
        'RetryDeliveryAttemptPayload',
        'delivery { __typename SEL }',
        NOT_RETRYABLE,
      ),
    ),
  ],
  [
    'RetryEventPayload.event',
    way(
      'Event',
      ['DELIVERIES_RETRY'],
      change('retryEvent', 'eventId: "Event"', 'RetryEventPayload', 'event { __typename SEL }'),
    ),
  ],
  ...(['event', 'delivery', 'attempt'] as const).map((member): [string, Way] => [
    `RecordDeliveryAttemptPayload.${member}`,
    way(
      { event: 'Event', delivery: 'Delivery', attempt: 'DeliveryAttempt' }[member],
      ['DELIVERIES_RETRY'],
      change(
        'recordDeliveryAttempt',
        RECORD.replace('DLV', 'Recorded'),
        'RecordDeliveryAttemptPayload',
        `${member} { __typename SEL }`,
      ),
      { isForKeysOnly: true },
    ),
  ]),
]);

/** Ways with the same fields at their end as another one, or for the operator alone. */
const SAME_AS: Record<string, string> = {
  'RetryDeliveryAttemptPayload.attempt': 'RetryDeliveryAttemptPayload.delivery',
  'RetryEventPayload.deliveries': 'RetryEventPayload.event',
  'CreateOrganizationPayload.organization': 'the operator',
  'CreateOrganizationPayload.environment': 'the operator',
};

interface Actor {
  key: string;
  scopes: string[];
  isToken: boolean;
  hasEndpoint: boolean;
}

let own: World;
let ids: Record<string, string>;
const actors = new Map<string, Actor>();
let unique = 0;

const TOKENS: [string, { of: 'ep' | 'env' | 'org'; allowRetry: boolean }][] = [
  ["an endpoint's token", { of: 'ep', allowRetry: false }],
  ["an endpoint's token that may retry", { of: 'ep', allowRetry: true }],
  ["an environment's token", { of: 'env', allowRetry: false }],
  ["an environment's token that may retry", { of: 'env', allowRetry: true }],
  ["an organization's token", { of: 'org', allowRetry: false }],
];
const ACTORS = [...ALL_SCOPES.map((scope) => `a key with ${scope} alone`), ...TOKENS.map(([name]) => name)];

beforeAll(async () => {
  answerWorlds(receiver);
  const tenant = await bed.createTenant('scopes');
  [own] = (await furnish(bed, receiver, tenant, ['gecko'])) as [World];
  await waitUntilCounted(bed, own);
  await bed.ask(publish('same', 'event { id }').replace('KEYED', 'walk'), {}, own);
  ids = {
    ...{ Event: own.ids.evt, Delivery: own.ids.dlv, DeliveryAttempt: own.ids.att, Endpoint: own.ids.ep },
    ...{ Environment: own.ids.env, Organization: own.ids.org, ApiKey: own.ids.key, Route: own.ids.rt },
    ...{ SigningKey: own.ids.sig, CURSOR: own.cursor, KEYED: 'walk' },
  };
  for (const scope of ALL_SCOPES) {
    const key = await bed.createKey(own.ids.env, [scope]);
    actors.set(`a key with ${scope} alone`, { key, scopes: [scope], isToken: false, hasEndpoint: false });
  }
  for (const [name, { of, allowRetry }] of TOKENS) {
    const member = { ep: 'endpointId', env: 'environmentId', org: 'organizationId' }[of];
    const made = await bed.ask(
      `mutation ($input: CreateBrowserTokenInput!) { createBrowserToken(input: $input) {
        ... on CreateBrowserTokenPayload { token } } }`,
      { input: { [member]: own.ids[of], allowRetry, expiresInSeconds: 86_400 } },
      { headers: { 'x-environment-id': own.ids.env } },
    );
    const scopes = allowRetry ? READ : ['DELIVERIES_READ'];
    actors.set(name, { key: made.token, scopes, isToken: true, hasEndpoint: of === 'ep' });
  }
});

beforeEach(() => answerWorlds(receiver));

/** IDs that an operation uses up, or that must be in a certain state. */
async function freshIds(query: string): Promise<Record<string, string>> {
  const fresh: Record<string, string> = { UNIQUE: `walk ${unique++}` };
  const retrying = { filter: { endpointId: own.ids.ep, statuses: ['RETRYING', 'PENDING', 'CANCELED', 'FAILED'] } };
  if (query.includes('retryEvent')) await until(isDelivered, 'the event to be delivered again');
  if (query.includes('"Waiting"')) fresh.Waiting = await findDelivery(retrying);
  if (query.includes('"Spare"')) fresh.Spare = await makeEndpoint();
  if (query.includes('"Fresh"')) fresh.Fresh = await makeEndpoint();
  if (query.includes('"Held"')) fresh.Held = await makeHeld(own.ids.ep);
  if (query.includes('"Recorded"')) fresh.Recorded = await makeHeld(await makeEndpoint());
  return fresh;
}

async function findDelivery(variables: object): Promise<string> {
  const query = 'query ($filter: DeliveryFilter) { deliveries(filter: $filter) { edges { node { id } } } }';
  const { edges } = await bed.ask(query, variables, own);
  return edges[0].node.id;
}

const makeEndpoint = async () =>
  (await bed.createEndpoint({ url: receiver.url('/spare'), eventTypes: ['none'] }, own)).id;

async function isDelivered(): Promise<boolean> {
  const { status } = await bed.ask('query ($id: ID!) { delivery(id: $id) { status } }', { id: own.ids.dlv }, own);
  return status === 'DELIVERED';
}

/** A delivery that is held, because its endpoint is paused. */
async function makeHeld(endpointId: string): Promise<string> {
  await changeEndpoint('pause', endpointId);
  const { deliveryIds } = await bed.publish({ type: 'shared.held', endpointId }, own);
  return deliveryIds[0] as string;
}

const changeEndpoint = (verb: 'pause' | 'resume', id: string) =>
  bed.ask(`mutation ($id: ID!) { ${verb}Endpoint(input: { endpointId: $id }) { __typename } }`, { id }, own);

const fill = (query: string, known: Record<string, string>) =>
  query.replace(/"(\w+)"/g, (whole, name: string) => (known[name] ? `"${known[name]}"` : whole));

async function run(actor: Actor, query: string): Promise<Pick<GraphqlAnswer, 'data' | 'errors'>> {
  const text = fill(query, { ...ids, ...(await freshIds(query)) });
  if (query.startsWith('subscription')) return follow(text, actor.key);
  const answer = await bed.graphql(text, {}, { key: actor.key });
  if (query.includes('"Held"')) await changeEndpoint('resume', own.ids.ep);
  return answer;
}

/** The first result of a subscription that has changes, or is an error. */
async function follow(query: string, key: string): Promise<Pick<GraphqlAnswer, 'data' | 'errors'>> {
  const response = await fetch(`${bed.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query }),
  });
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const data = /^data: (.+)\n\n/m.exec(text)?.[1];
    if (data) return JSON.parse(data);
  }
  throw new Error(`A subscription ended without a result: ${text}`);
}

/** Names of the fields that rows of a type have in an answer, without those that are null. */
function findFields(answer: unknown, type: string, found = new Set<string>()): Set<string> {
  if (typeof answer !== 'object' || answer === null) return found;
  const isRow = (answer as { __typename?: string }).__typename === type;
  for (const [name, value] of Object.entries(answer)) {
    if (isRow && value !== null) found.add(name);
    findFields(value, type, found);
  }
  return found;
}

const mayPass = ({ scopes, isToken }: Actor, { scopes: wanted, isForKeysOnly }: Way) =>
  wanted.some((scope) => scopes.includes(scope)) && !(isToken && isForKeysOnly);

describe.each(ACTORS)('%s', (name) => {
  it.each(Object.entries(WAYS))('by %s gets what its scopes allow and nothing else', async (coordinate, one) => {
    const actor = actors.get(name) as Actor;
    if (one.isForEndpointTokensOnly && !actor.hasEndpoint) return;
    const fields = fieldsOf(one.type);
    const table = { ...FIELDS[one.type], ...one.fields };
    const isAllowed = (field: string) =>
      mayPass(actor, one) && (table[field] as string[]).some((scope) => actor.scopes.includes(scope));
    const allowed = fields.filter((field) => isAllowed(field.name));
    if (allowed.length > 0) {
      const query = one.query.replaceAll('SEL', allowed.map(selectAlone).join(' '));
      const { data, errors } = await run(actor, query);
      expect(errors, `${coordinate}: ${query}`).toBeUndefined();
      expect(findFields(data, one.type).has('id'), `${coordinate}: ${query} ${JSON.stringify(data)}`).toBe(true);
    }
    for (const field of fields.filter((other) => !isAllowed(other.name))) {
      const { data, errors } = await run(actor, one.query.replaceAll('SEL', selectAlone(field)));
      // A row that the caller may not know of is null, without an error.
      const codes = errors?.map(({ extensions }) => extensions.code) ?? (data.node === null ? ['FORBIDDEN'] : []);
      expect(new Set(codes), `${coordinate}: ${one.type}.${field.name}`).toEqual(new Set(['FORBIDDEN']));
      expect([...findFields(data, one.type)].filter((found) => found !== '__typename')).toEqual([]);
      if (!mayPass(actor, one)) break;
    }
  });
});

describe('the tables', () => {
  it('know every field of every row', () => {
    const known = Object.entries(FIELDS).flatMap(([type, table]) =>
      Object.keys(table).map((field) => `${type}.${field}`),
    );
    const all = ROW_TYPES.flatMap((type) => fieldsOf(type).map((field) => `${type}.${field.name}`));
    expect(known.toSorted()).toEqual(all.toSorted());
  });

  it('know every field of another object that leads to a row', () => {
    const all = Object.values(schema.getTypeMap())
      .filter((type) => isObjectType(type))
      .filter(({ name }) => !name.startsWith('__') && !ROW_TYPES.includes(name))
      .flatMap((type) =>
        Object.values(type.getFields()).map((field) => ({ coordinate: `${type.name}.${field.name}`, field })),
      )
      .filter(({ field }) => ROW_TYPES.includes(getNamedType(field.type).name))
      .map(({ coordinate }) => coordinate);
    const known = [...Object.keys(WAYS).filter((name) => !name.startsWith('node of')), ...Object.keys(SAME_AS)];
    expect(known.toSorted()).toEqual(all.toSorted());
  });
});
