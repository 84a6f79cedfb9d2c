import { type GraphQLInputType, getNamedType, getNullableType, isEnumType, isListType } from 'graphql';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeId, ID_PREFIXES, type IdKind, kindOfId } from '../src/domain/ids.ts';
import { schema } from '../src/graphql/schema.ts';
import { issueCertificate } from './support/certificates.ts';
import { ROOT_KEY, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';
import { findCovered, type Root, SchemaWalk, type Slot } from './support/schema-walk.ts';
import {
  answerWorlds,
  besideOf,
  furnish,
  nothingOf,
  type Tenancy,
  type World,
  type WorldKind,
  waitUntilCounted,
} from './support/worlds.ts';

// Walks over everything that the schema lets a caller ask, and looks whether anything of others shows. What is new in
// the schema and takes an ID, a text or JSON fails here by its coordinate until the tables below say what to give it.

const bed = useTestBed();
const receiver = useReceiver();
const walk = new SchemaWalk(schema);

/** What a slot takes. */
interface Given {
  of: (world: World) => unknown;
  /** The same for what is not there; left out: the slot names nothing that others could have. */
  nothing?: (foreign: unknown) => unknown;
  kind?: WorldKind;
  /** A place in a list of these. */
  placeOf?: WorldKind;
}

const idOf = (kind: WorldKind): Given => ({
  kind,
  of: ({ ids }) => ids[kind],
  nothing: () => nothingOf(kind),
});
const cursorOf = (kind: WorldKind): Given => ({
  placeOf: kind,
  of: ({ ids }) => toCursor(ids[kind]),
  nothing: (foreign) => toCursor(besideOf(Buffer.from(String(foreign), 'base64url').toString())),
});
const toCursor = (id: string) => Buffer.from(id).toString('base64url');
const PRODUCER_KEY: Given = { of: ({ producerKey }) => producerKey, nothing: (foreign) => `nothing ${foreign}` };
const TYPES: Given = { of: ({ marker }) => [`${marker}.own`], nothing: () => ['nothing.own'] };
const DELIVERY_IDS: Given = { of: ({ ids }) => [ids.dlv], nothing: () => [nothingOf('dlv')] };
const LIVE_CURSOR: Given = { of: ({ cursor }) => cursor, nothing: () => 'nonsense' };
const always = (value: unknown): Given => ({ of: () => value });

const issued = await issueCertificate();

/** By coordinate, or else by the last name in it. */
const GIVEN: Record<string, Given> = {
  endpointId: idOf('ep'),
  eventId: idOf('evt'),
  deliveryId: idOf('dlv'),
  attemptId: idOf('att'),
  environmentId: idOf('env'),
  organizationId: idOf('org'),
  apiKeyId: idOf('key'),
  'Query.endpoint(id)': idOf('ep'),
  'Query.event(id)': idOf('evt'),
  'Query.delivery(id)': idOf('dlv'),
  'Query.deliveryAttempt(id)': idOf('att'),
  'Query.deliveries(after)': cursorOf('dlv'),
  'Query.deliveries(before)': cursorOf('dlv'),
  'Event.deliveries(after)': cursorOf('dlv'),
  'Event.deliveries(before)': cursorOf('dlv'),
  'Query.deliveryAttempts(after)': cursorOf('att'),
  'Query.deliveryAttempts(before)': cursorOf('att'),
  'Delivery.attempts(after)': cursorOf('att'),
  'Delivery.attempts(before)': cursorOf('att'),
  'Query.endpoints(after)': cursorOf('ep'),
  'Query.endpoints(before)': cursorOf('ep'),
  'Query.events(after)': cursorOf('evt'),
  'Query.events(before)': cursorOf('evt'),
  'Mutation.retryDeliveries(input.after)': cursorOf('dlv'),
  'Mutation.cancelDeliveries(input.after)': cursorOf('dlv'),
  'Query.organizations(after)': cursorOf('org'),
  'Query.organizations(before)': cursorOf('org'),
  'Environment.apiKeys(after)': cursorOf('key'),
  'Environment.apiKeys(before)': cursorOf('key'),
  'Subscription.deliveryChanges(after)': LIVE_CURSOR,
  'Subscription.eventChanges(after)': LIVE_CURSOR,
  'Subscription.endpointChanges(after)': LIVE_CURSOR,
  sourceKey: PRODUCER_KEY,
  idempotencyKey: PRODUCER_KEY,
  workflowId: always('walk'),
  runId: always('walk'),
  nodeId: always('walk'),
  name: always('walk'),
  'Query.endpoints(filter.eventType)': { of: ({ marker }) => `${marker}.own`, nothing: () => 'nothing.own' },
  ids: DELIVERY_IDS,
  eventTypes: TYPES,
  'Query.events(filter.types)': TYPES,
  'Mutation.createEndpoint(input.eventTypes)': always(['walk.*']),
  'Mutation.updateEndpoint(input.eventTypes)': always(['walk.*']),
  type: always('unrouted.type'),
  url: always('https://walk.example.com/'),
  payload: always({ walk: true }),
  body: always('walk'),
  contentType: always('text/plain'),
  description: always('walk'),
  reason: always('walk'),
  error: always('walk'),
  responseBody: always('walk'),
  headers: always({ 'x-walk': '1' }),
  caCertificate: always(issued.certificate),
  certificate: always(issued.certificate),
  privateKey: always(issued.privateKey),
  secret: always(`whsec_${Buffer.alloc(32, 1).toString('base64')}`),
  first: always(5),
  last: always(5),
  coalesceMs: always(100),
  responseStatus: always(200),
  expiresInSeconds: always(600),
  timeoutMs: always(1_000),
  bucketSeconds: always(3_600),
  delaysSeconds: always([3_600]),
  from: always(new Date(Date.now() - 6 * 3_600_000)),
  to: always(new Date(Date.now() + 3_600_000)),
  createdBefore: always(new Date(Date.now() + 3_600_000)),
  nextAttemptAt: always(new Date(Date.now() + 3_600_000)),
  expiresAt: always(new Date(Date.now() + 3_600_000)),
};

const CERTIFICATE = ['input.clientCertificate.certificate', 'input.clientCertificate.privateKey'];

/** Slots that are given though they may be left out. */
const ALSO_GIVEN: Record<string, string[]> = {
  'Query.deliveryStats': ['from', 'to', 'bucketSeconds'],
  'Subscription.deliveryChanges': ['after'],
  'Subscription.endpointChanges': ['after'],
  'Mutation.retryDeliveries': ['input.filter.endpointId'],
  'Mutation.cancelDeliveries': ['input.filter.endpointId'],
  'Mutation.createEndpoint': CERTIFICATE,
  'Mutation.updateEndpoint': CERTIFICATE,
  'Mutation.publishEvent': ['input.payload'],
  'Mutation.publishEvents': ['input.events.payload'],
  'Mutation.createBrowserToken': ['input.endpointId'],
};

/** Slots that stand for others. */
const IN_PLACE_OF: Record<string, string> = {
  'Mutation.createBrowserToken(input.environmentId)': 'Mutation.createBrowserToken(input.endpointId)',
  'Mutation.createBrowserToken(input.organizationId)': 'Mutation.createBrowserToken(input.endpointId)',
  'Mutation.publishEvent(input.body)': 'Mutation.publishEvent(input.payload)',
  'Mutation.publishEvents(input.events.body)': 'Mutation.publishEvents(input.events.payload)',
};

/** Fields that tell of an ID without saying it: where nothing happens, they have numbers only. */
const SAYS_NO_IDS = [
  'Subscription.deliveryStats',
  'Query.deliveryCount',
  'Mutation.retryDeliveries',
  'Mutation.cancelDeliveries',
];

/** Fields that are refused to browser tokens wherever they stand. */
const NOT_FOR_TOKENS = ['Environment.apiKeys'];

const ANY_ID = 'Query.node(id)';
const KINDS = Object.values(ID_PREFIXES) satisfies WorldKind[];

/** What a slot can be given: more than one thing where it takes IDs of any type. */
function givensOf({ coordinate, path, type }: Slot): Given[] {
  if (coordinate === ANY_ID) return KINDS.map(idOf);
  const given = GIVEN[coordinate] ?? GIVEN[path.at(-1) as string] ?? sampleOf(type);
  return given ? [given] : [];
}

/** What is no name of anything needs no entry. */
function sampleOf(type: GraphQLInputType): Given | null {
  const named = getNamedType(type);
  const isList = isListType(getNullableType(type));
  if (isEnumType(named)) {
    const values = named.getValues().map(({ name }) => name);
    return always(isList ? values : values[0]);
  }
  const samples: Record<string, unknown> = { Int: 1, Float: 1, Boolean: true, DateTime: new Date(0) };
  if (!(named.name in samples)) return null;
  return always(isList ? [samples[named.name]] : samples[named.name]);
}

let first: World;
let beside: World;
let stranger: World;
let relative: World;
let tokens: { ofFirst: string };

beforeAll(async () => {
  answerWorlds(receiver);
  const mine = await bed.createTenant('tenant aardvark');
  const theirs = await bed.createTenant('tenant cougar');
  const made = await bed.ask(
    `mutation ($id: ID!) { createEnvironment(input: { organizationId: $id, name: "environment beside" }) {
      ... on CreateEnvironmentPayload { environment { id } } } }`,
    { id: mine.organizationId },
    { key: mine.key },
  );
  const sibling = { ...mine, environmentId: made.environment.id, key: await bed.createKey(made.environment.id) };
  [first, beside] = (await furnish(bed, receiver, mine, ['aardvark', 'badger'])) as [World, World];
  [stranger] = (await furnish(bed, receiver, theirs, ['cougar'])) as [World];
  [relative] = (await furnish(bed, receiver, sibling, ['dingo'])) as [World];
  for (const world of [first, beside, stranger, relative]) await waitUntilCounted(bed, world);
  stranger.secrets.push(stranger.ids.org, stranger.ids.env, stranger.ids.evt, stranger.key);
  relative.secrets.push(relative.ids.evt, relative.key);
  tokens = { ofFirst: await createToken(first) };
});

beforeEach(() => answerWorlds(receiver));

async function createToken({ key, ids }: World, input: object = {}): Promise<string> {
  const made = await bed.ask(
    `mutation ($input: CreateBrowserTokenInput!) { createBrowserToken(input: $input) { ... on CreateBrowserTokenPayload { token } } }`,
    { input: { endpointId: ids.ep, allowRetry: true, expiresInSeconds: 86_400, ...input } },
    { key },
  );
  return made.token;
}

/** Who looks, and at whom. */
interface View {
  key: string;
  own: World;
  /** Whose IDs are given in place of own ones. */
  foreign: World;
  /** Worlds of which nothing may show. */
  unseen: World[];
  /** IDs of the foreign world that the caller may know. */
  shared: WorldKind[];
  /** IDs of the own world that the caller may not know. */
  hidden: WorldKind[];
}

const VIEWS: [name: string, view: () => View][] = [
  [
    'a key, and another organization',
    () => ({ key: first.key, own: first, foreign: stranger, unseen: [stranger, relative], shared: [], hidden: [] }),
  ],
  [
    'a key, and another environment of its organization',
    () => ({
      ...{ key: first.key, own: first, foreign: relative, unseen: [stranger, relative] },
      // Keys know of the environments of their organization, and may make more of them.
      shared: ['org', 'env'],
      hidden: [],
    }),
  ],
  [
    "one endpoint's browser token, and another endpoint",
    () => {
      const { org, env } = stranger.ids;
      const foreign = { ...beside, cursor: stranger.cursor, ids: { ...beside.ids, org, env } };
      return {
        ...{ key: tokens.ofFirst, own: first, foreign, unseen: [beside, stranger, relative] },
        shared: [],
        hidden: ['key'],
      };
    },
  ],
];

interface Answer {
  status: number;
  data?: unknown;
  errors?: { message: string; extensions?: { code: string; requestId?: string } }[];
}

/** Coordinates of fields that some answer had. */
const covered = new Set<string>();
/** Coordinates of slots that were given something. */
const given = new Set<string>();

async function run(root: Root, values: Map<string, unknown>, key: string): Promise<Answer> {
  const { query, variables } = walk.build(root, values, key.startsWith('pht_') ? NOT_FOR_TOKENS : []);
  for (const coordinate of values.keys()) given.add(coordinate);
  const answer =
    root.operation === 'subscription' ? await follow(query, variables, key) : await ask(query, variables, key);
  findCovered(answer.data, covered);
  return answer;
}

async function ask(query: string, variables: object, key: string): Promise<Answer> {
  const { status, data, errors } = await bed.graphql(query, variables, { key });
  return { status, data, errors };
}

/** The first result of a subscription, or the error that ends it. */
async function follow(query: string, variables: object, key: string): Promise<Answer> {
  const response = await fetch(`${bed.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables }),
  });
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const data = /^data: (.+)\n\n/m.exec(text)?.[1];
    if (data) return { status: response.status, ...JSON.parse(data) };
  }
  throw new Error(`A subscription ended without a result: ${text}`);
}

/** The fields that an operation has on its way, with the slots that each has. */
const slotsOf = (owner: string) => walk.slots.filter((slot) => slot.owner === owner);

/** What a root is given when nothing special is looked at. */
function baseOf(root: Root, world: World): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const owner of walk.build(root, new Map()).owners) {
    for (const slot of slotsOf(owner)) {
      const path = slot.path.join('.');
      const isGiven = slot.isRequired || path === 'first' || ALSO_GIVEN[owner]?.includes(path);
      const [one] = givensOf(slot);
      if (isGiven && one) values.set(slot.coordinate, one.of(world));
    }
  }
  return values;
}

function withValue(base: Map<string, unknown>, { coordinate, owner, path }: Slot, value: unknown) {
  const values = new Map(base).set(coordinate, value);
  if (IN_PLACE_OF[coordinate]) values.delete(IN_PLACE_OF[coordinate]);
  if (path[0] === 'last') values.delete(`${owner}(first)`);
  return values;
}

/**
 * An answer without what differs from request to request, and without what was asked for. What a mutation did to own
 * deliveries, it can't do again.
 */
function normalize(answer: Answer, asked: unknown, isMutation: boolean): string {
  const errors = answer.errors?.map(({ message, extensions }) => ({ message, code: extensions?.code }));
  const text = JSON.stringify({ ...answer, errors })
    .replaceAll(String(asked), 'ASKED')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/"[^"]*PerSecond":[\d.e-]+/g, '"RATE"')
    .replace(/cursor":"[^"]*"/g, 'cursor":"CURSOR"')
    .replace(/liveCursor":"[^"]*"/g, 'liveCursor":"CURSOR"');
  if (!isMutation) return text;
  return text
    .replace(/passedOver":\[[^\]]*\]/g, 'passedOver":[]')
    .replace(/"(retriedCount|canceledCount|passedOverCount)":\d+/g, '"$1":COUNT')
    .replace(/\b(org|env|key|ep|rt|evt|dlv|att)_[0-9a-z]{26}/g, '$1_NEW')
    .replace(/\b(whsec|phk|pht)_[\w.+/=-]+/g, 'SECRET');
}

function expectNothingOf(worlds: World[], answer: Answer, asked?: unknown) {
  const text = JSON.stringify(answer).replaceAll(asked === undefined ? '-' : String(asked), '');
  for (const { secrets } of worlds) expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
}

const TABLES = ['organizations', 'environments', 'api_keys', 'endpoints', 'endpoint_secrets', 'routes', 'events'];
TABLES.push('deliveries', 'delivery_attempts');

/** Every row, as `table id` and what is in it. */
async function readRows(): Promise<Map<string, Record<string, unknown>>> {
  const rows = new Map<string, Record<string, unknown>>();
  for (const table of TABLES) {
    const found = await bed.database.query(`select to_jsonb(t) - 'last_used_at' as row from ${table} t`);
    for (const { row } of found as { row: { id: string } }[]) rows.set(`${table} ${row.id}`, row);
  }
  return rows;
}

/** Fails where anything changed that is not within what a caller may write to. */
async function expectUnchanged(before: Map<string, Record<string, unknown>>, isOwn: (row: string) => boolean) {
  const after = await readRows();
  const changed = [...after].filter(([name, row]) => JSON.stringify(row) !== JSON.stringify(before.get(name)));
  expect(changed.filter(([, row]) => !isOwn(JSON.stringify(row)))).toEqual([]);
  expect([...before.keys()].filter((name) => !after.has(name))).toEqual([]);
}

const uuidOf = (id: string) => decodeId(kindOfId(id) as IdKind, id) as string;

const roots = walk.roots.map((root): [string, Root] => [root.coordinate, root]);
const reads = roots.filter(([, { operation }]) => operation !== 'mutation');
const writes = roots.filter(([, { operation }]) => operation === 'mutation');

/** Slots of a root and of what is below it, without those that others have before it. */
const seenOwners = new Set<string>();
const slotsByRoot = new Map(
  roots.map(([coordinate, root]) => {
    const owners = [...walk.build(root, new Map()).owners].filter(
      (owner) => owner === coordinate || !seenOwners.has(owner),
    );
    for (const owner of owners) if (!/^(Query|Mutation|Subscription)\./.test(owner)) seenOwners.add(owner);
    return [coordinate, owners.flatMap(slotsOf)];
  }),
);

describe.each(VIEWS)('%s:', (_, makeView) => {
  it.each(reads)('%s shows what is own, and nothing else', async (coordinate, root) => {
    const { key, own, unseen, hidden } = makeView();
    const base = baseOf(root, own);
    const answer = await run(root, base, key);
    expect(answer.errors).toBeUndefined();
    expectNothingOf(unseen, answer);
    for (const slot of slotsByRoot.get(coordinate) ?? []) {
      for (const { of, kind } of givensOf(slot)) {
        const value = of(own);
        const one = await run(root, withValue(base, slot, value), key);
        expectNothingOf(unseen, one);
        const isVisible = kind && !hidden.includes(kind) && !SAYS_NO_IDS.includes(slot.owner);
        if (isVisible) expect(JSON.stringify(one), slot.coordinate).toContain(value);
      }
    }
  });

  it.each(roots)(
    '%s answers foreign names as it answers names of nothing, and changes nothing',
    async (coordinate, root) => {
      const { key, own, foreign, unseen, shared } = makeView();
      const isMutation = root.operation === 'mutation';
      const base = baseOf(root, own);
      const [env, ep] = [uuidOf(own.ids.env), uuidOf(own.ids.ep)];
      for (const slot of slotsByRoot.get(coordinate) ?? []) {
        for (const { of, nothing, kind, placeOf } of givensOf(slot)) {
          const about = kind ?? placeOf;
          if (!nothing || (about && shared.includes(about))) continue;
          const before = isMutation ? await readRows() : null;
          const [theirs, none] = [of(foreign), nothing(of(foreign))];
          const answer = await run(root, withValue(base, slot, theirs), key);
          expectNothingOf(unseen, answer, theirs);
          if (before) await expectUnchanged(before, (row) => row.includes(env) || row.includes(ep));
          const absent = await run(root, withValue(base, slot, none), key);
          expect(normalize(answer, theirs, isMutation), slot.coordinate).toBe(normalize(absent, none, isMutation));
        }
      }
    },
  );
});

describe('the API keys of an environment', () => {
  const KEYS = '__typename apiKeys { __typename edges { __typename cursor node { __typename id name } } }';

  it.each(VIEWS.slice(0, 2))('%s: are those of the own environment, and no others', async (_, makeView) => {
    const { key, own, foreign, unseen } = makeView();
    const answer = await ask(`{ viewer { organization { environments { ${KEYS} } } } }`, {}, key);
    findCovered(answer.data, covered);
    expect(JSON.stringify(answer)).toContain(own.ids.key);
    expectNothingOf(unseen, answer);
    const query = `query ($id: ID!) { node(id: $id) { ... on Environment { ${KEYS} } } }`;
    expectNothingOf(unseen, await ask(query, { id: foreign.ids.env }, key), foreign.ids.env);
  });

  it('are refused to a browser token', async () => {
    const { errors } = await ask(`{ viewer { environment { ${KEYS} } } }`, {}, tokens.ofFirst);
    expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['FORBIDDEN']);
  });
});

/** What mutations are tried in, for they change it: a tenant of its own, with two endpoints. */
async function makeScene(): Promise<{ own: World; other: World; tenant: Tenancy }> {
  const tenant = await bed.createTenant('tenant emu');
  const [own, other] = (await furnish(bed, receiver, tenant, ['emu', 'ferret'])) as [World, World];
  return { own, other, tenant };
}

describe('mutations of what is own', () => {
  it.each(writes)('%s works, shows nothing of others, and changes nothing of others', async (coordinate, root) => {
    const { own, tenant } = await makeScene();
    const key = coordinate === 'Mutation.createOrganization' ? ROOT_KEY : own.key;
    const world = { ...own, ids: { ...own.ids, dlv: await findWaiting(own) } };
    const base = baseOf(root, world);
    const before = await readRows();
    const [env, org] = [uuidOf(tenant.environmentId), uuidOf(tenant.organizationId)];
    const answer = await run(root, base, key);
    expect(JSON.stringify(answer)).toMatch(/"__typename":"\w+Payload"/);
    for (const slot of slotsByRoot.get(coordinate) ?? []) {
      for (const { of } of givensOf(slot)) {
        expectNothingOf([first, beside, stranger, relative], await run(root, withValue(base, slot, of(world)), key));
      }
    }
    const isNew = (row: string) => ![...before.values()].some(({ id }) => id === JSON.parse(row).id);
    const ownIds = [env, org, uuidOf(own.ids.ep)];
    await expectUnchanged(before, (row) => isNew(row) || ownIds.some((id) => row.includes(id)));
  });

  it.each(writes)(
    "%s by an endpoint's browser token shows and changes nothing of other endpoints",
    async (coordinate, root) => {
      const { own, other } = await makeScene();
      const token = await createToken(own);
      const world = { ...own, ids: { ...own.ids, dlv: await findWaiting(own) } };
      const base = baseOf(root, world);
      const before = await readRows();
      const [ep, evt] = [uuidOf(own.ids.ep), uuidOf(own.ids.evt)];
      const answer = await run(root, base, token);
      const allowed = [
        ...['cancelDelivery', 'cancelDeliveries', 'retryDelivery', 'retryDeliveries'],
        ...['retryDeliveryAttempt', 'retryEvent'],
      ].map((name) => `Mutation.${name}`);
      if (allowed.includes(coordinate)) expect(JSON.stringify(answer)).toMatch(/"__typename":"\w+Payload"/);
      else expect(answer.errors?.map(({ extensions }) => extensions?.code)).toEqual(['FORBIDDEN']);
      for (const slot of slotsByRoot.get(coordinate) ?? []) {
        for (const { of } of givensOf(slot)) {
          expectNothingOf([other], await run(root, withValue(base, slot, of(world)), token));
        }
      }
      await expectUnchanged(before, (row) => row.includes(ep) || row.includes(evt));
    },
  );

  it('errors that tell of a delivery show nothing of others', async () => {
    const { own, other } = await makeScene();
    const byName = new Map(roots);
    await bed.ask(
      'mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }',
      { id: own.ids.ep },
      own,
    );
    const token = await createToken(own);
    for (const name of ['retryDelivery', 'cancelDelivery']) {
      const root = byName.get(`Mutation.${name}`) as Root;
      const answer = await run(root, baseOf(root, own), token);
      expect(JSON.stringify(answer)).toMatch(/"__typename":"Delivery\w+Error"/);
      expectNothingOf([other], answer);
    }
    const create = byName.get('Mutation.createEndpoint') as Root;
    const values = new Map(baseOf(create, own)).set('Mutation.createEndpoint(input.url)', 'nonsense');
    expect(JSON.stringify(await run(create, values, own.key))).toContain('"__typename":"InputIssue","message"');
  });
});

/** The delivery of a world that waits for its retry. */
async function findWaiting({ key, ids }: World): Promise<string> {
  const list = await bed.ask(
    'query ($id: ID!) { deliveries(filter: { endpointId: $id, statuses: [RETRYING] }) { edges { node { id } } } }',
    { id: ids.ep },
    { key },
  );
  return list.edges[0].node.id;
}

describe('the walk', () => {
  it('knows what to give to every argument and input field', () => {
    expect(walk.slots.filter((slot) => givensOf(slot).length === 0).map(({ coordinate }) => coordinate)).toEqual([]);
  });

  it('gave something to every argument and input field', () => {
    expect(walk.slots.filter(({ coordinate }) => !given.has(coordinate)).map(({ coordinate }) => coordinate)).toEqual(
      [],
    );
  });

  it('saw every field of every object', () => {
    expect(walk.fields.filter((coordinate) => !covered.has(coordinate))).toEqual([]);
  });
});
