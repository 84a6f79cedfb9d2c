import { beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { DELIVERY_COUNT_MAX } from '../src/graphql/delivery.ts';
import { ROOT_KEY, type Tenant, until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

interface Edge {
  cursor: string;
  node: { id: string };
}

interface Page {
  edges: Edge[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}

interface PageArgs {
  first?: number;
  after?: string | null;
  last?: number;
  before?: string | null;
}

const idsOf = (page: Page) => page.edges.map(({ node }) => node.id);
const newestFirst = (ids: string[]) => ids.toSorted().reverse();

const SELECTION = 'edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
const ARGS = 'first: $first, after: $after, last: $last, before: $before';
const VARIABLES = '$first: Int, $after: String, $last: Int, $before: String';

/** A connection: how to read a page of it, and how to add a row to it. */
interface Connection {
  read: (args: PageArgs) => Promise<Page>;
  /** @returns IDs of what was added */
  add: () => Promise<string[]>;
}

/** As many rows as fill three pages of five, and one of two. */
const COUNT = 17;
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

const createPaused = async (tenant: Tenant, input: object = {}) => {
  const { id } = await bed.createEndpoint({ url: 'https://example.com/hook', ...input }, tenant);
  await bed.ask('mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }', { id }, tenant);
  return id;
};

/** Puts an attempt made elsewhere on record; the delivery waits for long. @returns its ID */
async function recordAttempt(tenant: Tenant, deliveryId: string, input: object = {}): Promise<string> {
  const answer = await bed.ask(
    `mutation ($input: RecordDeliveryAttemptInput!) { recordDeliveryAttempt(input: $input) {
      ... on RecordDeliveryAttemptPayload { attempt { id } } ... on Error { message } } }`,
    { input: { deliveryId, status: 'RETRY_SCHEDULED', nextAttemptAt: inSeconds(3_600), ...input } },
    tenant,
  );
  if (!answer.attempt) throw new Error(`Nothing was recorded: ${JSON.stringify(answer)}`);
  return answer.attempt.id;
}

function readRoot(tenant: Tenant, field: string) {
  return (args: PageArgs): Promise<Page> =>
    bed.ask(`query (${VARIABLES}) { ${field}(${ARGS}) { ${SELECTION} } }`, args, tenant);
}

function readNested(tenant: Tenant, type: string, field: string, id: string) {
  return async (args: PageArgs): Promise<Page> => {
    const document = `query (${VARIABLES}, $id: ID!) { node(id: $id) { ... on ${type} { page: ${field}(${ARGS}) { ${SELECTION} } } } }`;
    return (await bed.ask(document, { ...args, id }, tenant)).page;
  };
}

/** Reads a list of objects, and of one of them the connection below it. */
function readBelow(tenant: Tenant, list: string, field: string, id: string) {
  return async (args: PageArgs): Promise<Page> => {
    const document = `query (${VARIABLES}) { ${list}(first: 3) { edges { node { id page: ${field}(${ARGS}) { ${SELECTION} } } } } }`;
    const { edges } = await bed.ask(document, args, tenant);
    return edges.find(({ node }: Edge) => node.id === id).node.page;
  };
}

const CONNECTIONS: [name: string, open: (tenant: Tenant) => Promise<Connection>][] = [
  [
    'endpoints',
    async (tenant) => ({ read: readRoot(tenant, 'endpoints'), add: async () => [await createPaused(tenant)] }),
  ],
  [
    'events',
    async (tenant) => ({ read: readRoot(tenant, 'events'), add: async () => [(await bed.publish({}, tenant)).id] }),
  ],
  [
    'deliveries',
    async (tenant) => {
      await createPaused(tenant);
      return { read: readRoot(tenant, 'deliveries'), add: async () => (await bed.publish({}, tenant)).deliveryIds };
    },
  ],
  [
    'deliveryAttempts',
    async (tenant) => {
      await createPaused(tenant);
      const add = async () => [await recordAttempt(tenant, (await bed.publish({}, tenant)).deliveryIds[0] as string)];
      return { read: readRoot(tenant, 'deliveryAttempts'), add };
    },
  ],
  [
    'Event.deliveries',
    async (tenant) => {
      const { id } = await bed.publish({ type: 'nested' }, tenant);
      return { read: readNested(tenant, 'Event', 'deliveries', id), add: () => addDelivery(tenant, id) };
    },
  ],
  [
    'Event.deliveries below events',
    async (tenant) => {
      const { id } = await bed.publish({ type: 'nested' }, tenant);
      await bed.publish({ type: 'nested' }, tenant);
      return { read: readBelow(tenant, 'events', 'deliveries', id), add: () => addDelivery(tenant, id) };
    },
  ],
  [
    'Delivery.attempts',
    async (tenant) => {
      await createPaused(tenant);
      const id = (await bed.publish({}, tenant)).deliveryIds[0] as string;
      return {
        read: readNested(tenant, 'Delivery', 'attempts', id),
        add: async () => [await recordAttempt(tenant, id)],
      };
    },
  ],
  [
    'Delivery.attempts below deliveries',
    async (tenant) => {
      await createPaused(tenant);
      const other = (await bed.publish({}, tenant)).deliveryIds[0] as string;
      const id = (await bed.publish({}, tenant)).deliveryIds[0] as string;
      const add = async () => {
        await recordAttempt(tenant, other);
        return [await recordAttempt(tenant, id)];
      };
      return { read: readBelow(tenant, 'deliveries', 'attempts', id), add };
    },
  ],
  [
    'Environment.apiKeys',
    async ({ organizationId }) => {
      const { environment } = await bed.ask(
        `mutation ($id: ID!) { createEnvironment(input: { organizationId: $id, name: "keyless" }) {
          ... on CreateEnvironmentPayload { environment { id } } } }`,
        { id: organizationId },
      );
      const add = async () => [await createKey(environment.id)];
      const operator = { key: ROOT_KEY, organizationId, environmentId: environment.id };
      return { read: readNested(operator, 'Environment', 'apiKeys', environment.id), add };
    },
  ],
];

async function createKey(environmentId: string): Promise<string> {
  const answer = await bed.ask(
    `mutation ($id: ID!) { createApiKey(input: { environmentId: $id, name: "key", scopes: [EVENTS_PUBLISH] }) {
      ... on CreateApiKeyPayload { apiKey { id } } } }`,
    { id: environmentId },
  );
  return answer.apiKey.id;
}

/** Makes one more endpoint for an event that was published, and ends its delivery, which nothing takes. */
async function addDelivery(tenant: Tenant, eventId: string): Promise<string[]> {
  const { id: endpointId } = await bed.createEndpoint({ url: receiver.url('/nested'), eventTypes: ['nested'] }, tenant);
  const answer = await bed.ask(
    `mutation ($input: RetryEventInput!) { retryEvent(input: $input) { ... on RetryEventPayload { deliveries { id } } } }`,
    { input: { eventId, endpointId } },
    tenant,
  );
  return answer.deliveries.map(({ id }: { id: string }) => id);
}

describe.each(CONNECTIONS)('%s', (name, open) => {
  let connection: Connection;
  let ids: string[];

  beforeAll(async () => {
    connection = await open(await bed.createTenant(name));
    ids = [];
    for (let count = 0; count < COUNT; count += 1) ids.push(...(await connection.add()));
    ids = newestFirst(ids);
    expect(ids).toHaveLength(COUNT);
  });

  it('comes newest first, 20 at the most where no size is given', async () => {
    const page = await connection.read({});
    expect(idsOf(page)).toEqual(ids.slice(0, 20));
    expect(page.pageInfo).toEqual({
      hasNextPage: false,
      hasPreviousPage: false,
      startCursor: page.edges[0]?.cursor,
      endCursor: page.edges.at(-1)?.cursor,
    });
  });

  it.each([1, 5, 16, 17, 100])('is read forwards, %d at a time', async (first) => {
    const seen: string[] = [];
    let after: string | null = null;
    for (;;) {
      const page: Page = await connection.read({ first, after });
      seen.push(...idsOf(page));
      expect(page.edges.length).toBeLessThanOrEqual(first);
      expect(page.pageInfo).toEqual({
        hasNextPage: seen.length < COUNT,
        hasPreviousPage: after !== null,
        startCursor: page.edges[0]?.cursor,
        endCursor: page.edges.at(-1)?.cursor,
      });
      after = page.pageInfo.endCursor;
      if (!page.pageInfo.hasNextPage) break;
    }
    expect(seen).toEqual(ids);
  });

  it.each([1, 5, 16, 17, 100])('is read backwards, %d at a time', async (last) => {
    const seen: string[] = [];
    let before: string | null = null;
    for (;;) {
      const page: Page = await connection.read({ last, before });
      seen.unshift(...idsOf(page));
      expect(page.edges.length).toBeLessThanOrEqual(last);
      expect(page.pageInfo).toEqual({
        hasNextPage: before !== null,
        hasPreviousPage: seen.length < COUNT,
        startCursor: page.edges[0]?.cursor,
        endCursor: page.edges.at(-1)?.cursor,
      });
      before = page.pageInfo.startCursor;
      if (!page.pageInfo.hasPreviousPage) break;
    }
    expect(seen).toEqual(ids);
  });

  it('is read between two cursors, from either end', async () => {
    const { edges } = await connection.read({ first: 100 });
    const between = { after: edges[2]?.cursor, before: edges[10]?.cursor };
    expect(idsOf(await connection.read({ first: 100, ...between }))).toEqual(ids.slice(3, 10));
    expect(idsOf(await connection.read({ first: 2, ...between }))).toEqual(ids.slice(3, 5));
    expect(idsOf(await connection.read({ last: 2, ...between }))).toEqual(ids.slice(8, 10));
    expect(idsOf(await connection.read({ first: 100, after: edges[10]?.cursor, before: edges[2]?.cursor }))).toEqual(
      [],
    );
  });

  it('is empty behind its end and before its beginning', async () => {
    const { pageInfo } = await connection.read({ first: 100 });
    const behind = await connection.read({ first: 5, after: pageInfo.endCursor });
    const ahead = await connection.read({ last: 5, before: pageInfo.startCursor });
    expect(behind).toMatchObject({ edges: [], pageInfo: { hasNextPage: false, startCursor: null, endCursor: null } });
    expect(ahead).toMatchObject({
      edges: [],
      pageInfo: { hasPreviousPage: false, startCursor: null, endCursor: null },
    });
  });

  it('stays the same behind a cursor while rows are added', async () => {
    const seen: string[] = [];
    const added: string[] = [];
    let after: string | null = null;
    do {
      const page: Page = await connection.read({ first: 5, after });
      seen.push(...idsOf(page));
      after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
      added.push(...(await connection.add()));
    } while (after);
    expect(seen).toEqual(ids);
    const page = await connection.read({ first: added.length });
    expect(idsOf(page)).toEqual(newestFirst(added));
    const newer = await connection.read({
      last: 100,
      before: (await connection.read({ first: added.length + 1 })).pageInfo.endCursor,
    });
    expect(idsOf(newer)).toEqual(newestFirst(added));
  });
});

describe('an empty list', () => {
  it.each(['endpoints', 'events', 'deliveries', 'deliveryAttempts'])('of %s is one empty page', async (field) => {
    const tenant = await bed.createTenant('empty');
    for (const args of [{}, { first: 5 }, { last: 5 }] as PageArgs[]) {
      expect(await readRoot(tenant, field)(args)).toEqual({
        edges: [],
        pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
      });
    }
  });
});

describe('connections below a list', () => {
  it('each has its own page, also with other arguments under other names', async () => {
    const tenant = await bed.createTenant('aliases');
    await createPaused(tenant);
    const attempts: Record<string, string[]> = {};
    for (const count of [0, 1, 3]) {
      const id = (await bed.publish({}, tenant)).deliveryIds[0] as string;
      attempts[id] = [];
      for (let left = count; left > 0; left -= 1) attempts[id].unshift(await recordAttempt(tenant, id));
    }
    const { edges } = await bed.ask(
      `{ deliveries { edges { node { id
        newest: attempts(first: 2) { edges { node { id number } } pageInfo { hasNextPage } }
        oldest: attempts(last: 1) { edges { node { id status } } pageInfo { hasPreviousPage } } } } } }`,
      {},
      tenant,
    );
    expect(edges).toHaveLength(3);
    for (const { node } of edges) {
      const own = attempts[node.id] as string[];
      expect(idsOf(node.newest)).toEqual(own.slice(0, 2));
      expect(idsOf(node.oldest)).toEqual(own.slice(-1));
      expect(node.newest.pageInfo.hasNextPage).toBe(own.length > 2);
      expect(node.oldest.pageInfo.hasPreviousPage).toBe(own.length > 1);
    }
  });
});

describe('filters', () => {
  let tenant: Tenant;
  /** IDs by the names of this description. */
  const ids: Record<string, string> = {};
  let before: string;
  let between: string;
  let after: string;

  beforeAll(async () => {
    tenant = await bed.createTenant('filters');
    receiver.answer = ({ path }) => ({ status: path === '/bad' ? 500 : path === '/gone' ? 404 : 201 });
    const policy = { retryPolicy: { maxRetries: 0 } };
    const later = { retryPolicy: { maxRetries: 3, delaysSeconds: [3_600] } };
    const create = async (name: string, path: string, eventTypes: string[], rest: object) => {
      ids[name] = (await bed.createEndpoint({ url: receiver.url(path), name, eventTypes, ...rest }, tenant)).id;
    };
    await create('good', '/good', ['ok.*', 'mixed'], policy);
    await create('bad', '/bad', ['dead', 'mixed'], policy);
    await create('slow', '/gone', ['later'], later);
    await create('paused', '/good', ['held'], policy);
    await create('disabled', '/good', ['skipped'], policy);
    const change = (field: string, id: string) =>
      bed.ask(`mutation ($id: ID!) { ${field}(input: { endpointId: $id }) { __typename } }`, { id }, tenant);
    await change('pauseEndpoint', ids.paused as string);
    await change('disableEndpoint', ids.disabled as string);

    before = inSeconds(-60);
    for (const type of ['ok.a', 'dead', 'mixed', 'later', 'held', 'skipped', 'nobody', 'ok.b']) {
      const input = { type, ...(type.startsWith('ok') ? { sourceKey: `source ${type}` } : {}) };
      const event = await bed.publish(input, tenant);
      ids[`event ${type}`] = event.id;
      for (const id of event.deliveryIds) ids[`delivery ${type} ${await settle(id)}`] = id;
      between ??= await readCreatedAt(event.id);
    }
    const canceled = await bed.publish({ type: 'held' }, tenant);
    ids['event canceled'] = canceled.id;
    ids['delivery canceled paused'] = canceled.deliveryIds[0] as string;
    await bed.ask(
      'mutation ($id: ID!) { cancelDelivery(input: { deliveryId: $id }) { __typename } }',
      { id: canceled.deliveryIds[0] },
      tenant,
    );
    const recorded = await bed.publish({ type: 'held' }, tenant);
    ids['event recorded'] = recorded.id;
    ids['delivery recorded paused'] = recorded.deliveryIds[0] as string;
    ids['attempt recorded paused'] = await recordAttempt(tenant, recorded.deliveryIds[0] as string, {
      responseStatus: 503,
    });
    after = inSeconds(60);
  });

  /** Waits until nothing more happens to a delivery for now, and notes its attempt. @returns name of its endpoint */
  async function settle(deliveryId: string): Promise<string> {
    const delivery = await until(async () => {
      const read = await bed.ask(
        'query ($id: ID!) { delivery(id: $id) { status endpoint { name } event { type } lastAttempt { id } } }',
        { id: deliveryId },
        tenant,
      );
      return read.status !== 'PENDING' && read;
    }, `delivery ${deliveryId}`);
    const { endpoint, event, lastAttempt } = delivery;
    if (lastAttempt) ids[`attempt ${event.type} ${endpoint.name}`] = lastAttempt.id;
    return endpoint.name;
  }

  const readCreatedAt = async (id: string): Promise<string> =>
    (await bed.ask('query ($id: ID!) { event(id: $id) { createdAt } }', { id }, tenant)).createdAt;

  const EVENTS = ['ok.a', 'dead', 'mixed', 'later', 'held', 'skipped', 'nobody', 'ok.b', 'canceled', 'recorded'].map(
    (name) => `event ${name}`,
  );
  const DELIVERIES = [
    'ok.a good',
    'dead bad',
    'mixed good',
    'mixed bad',
    'later slow',
    'held paused',
    'skipped disabled',
    'ok.b good',
    'canceled paused',
    'recorded paused',
  ].map((name) => `delivery ${name}`);
  const ATTEMPTS = [
    'ok.a good',
    'dead bad',
    'mixed good',
    'mixed bad',
    'later slow',
    'ok.b good',
    'recorded paused',
  ].map((name) => `attempt ${name}`);
  const ENDPOINTS = ['good', 'bad', 'slow', 'paused', 'disabled'];
  const ALL: Record<string, string[]> = {
    endpoints: ENDPOINTS,
    events: EVENTS,
    deliveries: DELIVERIES,
    deliveryAttempts: ATTEMPTS,
  };
  const TYPES: Record<string, string> = {
    endpoints: 'EndpointFilter',
    events: 'EventFilter',
    deliveries: 'DeliveryFilter',
    deliveryAttempts: 'DeliveryAttemptFilter',
  };

  const NONE = 'dlv_01h455vb4pex5vsknk084sn02q';
  const without = (list: string[], ...names: string[]) => list.filter((name) => !names.includes(name));

  const CASES: [field: string, filter: () => object, expected: string[]][] = [
    ['endpoints', () => ({}), ENDPOINTS],
    ['endpoints', () => ({ statuses: ['ACTIVE'] }), ['good', 'bad', 'slow']],
    ['endpoints', () => ({ statuses: ['PAUSED'] }), ['paused']],
    ['endpoints', () => ({ statuses: ['DISABLED', 'PAUSED'] }), ['paused', 'disabled']],
    ['endpoints', () => ({ statuses: [] }), []],
    ['endpoints', () => ({ eventType: 'ok.a' }), ['good']],
    ['endpoints', () => ({ eventType: 'ok' }), []],
    ['endpoints', () => ({ eventType: 'mixed' }), ['good', 'bad']],
    ['endpoints', () => ({ eventType: 'mixed', statuses: ['PAUSED'] }), []],
    ['endpoints', () => ({ eventType: 'held', statuses: ['PAUSED'] }), ['paused']],
    ['events', () => ({}), EVENTS],
    ['events', () => ({ types: ['dead'] }), ['event dead']],
    ['events', () => ({ types: ['dead', 'ok.a', 'none'] }), ['event dead', 'event ok.a']],
    ['events', () => ({ types: ['ok'] }), []],
    ['events', () => ({ types: ['ok.*'] }), []],
    ['events', () => ({ types: [] }), []],
    ['events', () => ({ statuses: ['DELIVERED'] }), ['event ok.a', 'event ok.b']],
    ['events', () => ({ statuses: ['FAILED'] }), ['event dead', 'event mixed']],
    ['events', () => ({ statuses: ['PENDING'] }), ['event later', 'event held', 'event recorded']],
    ['events', () => ({ statuses: ['SKIPPED'] }), ['event skipped', 'event nobody', 'event canceled']],
    [
      'events',
      () => ({ statuses: ['FAILED', 'DELIVERED'] }),
      ['event ok.a', 'event ok.b', 'event dead', 'event mixed'],
    ],
    ['events', () => ({ statuses: ['PENDING', 'DELIVERED', 'FAILED', 'SKIPPED'] }), EVENTS],
    ['events', () => ({ statuses: [] }), []],
    ['events', () => ({ sourceKey: 'source ok.a' }), ['event ok.a']],
    ['events', () => ({ sourceKey: 'source' }), []],
    ['events', () => ({ createdAfter: before }), EVENTS],
    ['events', () => ({ createdAfter: after }), []],
    ['events', () => ({ createdBefore: after }), EVENTS],
    ['events', () => ({ createdBefore: before }), []],
    ['events', () => ({ createdBefore: between }), []],
    ['events', () => ({ createdAfter: between }), without(EVENTS, 'event ok.a')],
    ['events', () => ({ types: ['held'], statuses: ['SKIPPED'] }), ['event canceled']],
    ['events', () => ({ types: ['held'], statuses: ['DELIVERED'] }), []],
    ['deliveries', () => ({}), DELIVERIES],
    ['deliveries', () => ({ eventId: ids['event mixed'] }), ['delivery mixed good', 'delivery mixed bad']],
    ['deliveries', () => ({ eventId: ids['event nobody'] }), []],
    ['deliveries', () => ({ endpointId: ids.slow }), ['delivery later slow']],
    [
      'deliveries',
      () => ({ endpointId: ids.good }),
      ['delivery ok.a good', 'delivery mixed good', 'delivery ok.b good'],
    ],
    ['deliveries', () => ({ eventId: ids['event mixed'], endpointId: ids.bad }), ['delivery mixed bad']],
    ['deliveries', () => ({ eventId: ids['event mixed'], endpointId: ids.slow }), []],
    [
      'deliveries',
      () => ({ statuses: ['DELIVERED'] }),
      ['delivery ok.a good', 'delivery mixed good', 'delivery ok.b good'],
    ],
    ['deliveries', () => ({ statuses: ['FAILED'] }), ['delivery dead bad', 'delivery mixed bad']],
    ['deliveries', () => ({ statuses: ['RETRYING'] }), ['delivery later slow', 'delivery recorded paused']],
    ['deliveries', () => ({ statuses: ['HELD'] }), ['delivery held paused']],
    [
      'deliveries',
      () => ({ statuses: ['SKIPPED', 'CANCELED'] }),
      ['delivery skipped disabled', 'delivery canceled paused'],
    ],
    ['deliveries', () => ({ statuses: ['PENDING'] }), []],
    ['deliveries', () => ({ statuses: [] }), []],
    [
      'deliveries',
      () => ({ eventTypes: ['mixed', 'dead'] }),
      ['delivery mixed good', 'delivery mixed bad', 'delivery dead bad'],
    ],
    ['deliveries', () => ({ eventTypes: ['ok'] }), []],
    ['deliveries', () => ({ eventTypes: [] }), []],
    ['deliveries', () => ({ responseStatus: 500 }), ['delivery dead bad', 'delivery mixed bad']],
    ['deliveries', () => ({ responseStatus: 404 }), ['delivery later slow']],
    ['deliveries', () => ({ responseStatus: 503 }), ['delivery recorded paused']],
    ['deliveries', () => ({ responseStatus: 599 }), []],
    ['deliveries', () => ({ responseStatus: 201, eventTypes: ['mixed'] }), ['delivery mixed good']],
    ['deliveries', () => ({ sourceKey: 'source ok.a' }), ['delivery ok.a good']],
    ['deliveries', () => ({ sourceKey: 'source' }), []],
    ['deliveries', () => ({ sourceKey: 'source ok.b', eventTypes: ['ok.a'] }), []],
    ['deliveries', () => ({ sourceKey: 'source ok.b', statuses: ['DELIVERED'] }), ['delivery ok.b good']],
    [
      'deliveries',
      () => ({ ids: [ids['delivery later slow'], ids['delivery ok.a good'], ids['delivery later slow'], NONE] }),
      ['delivery later slow', 'delivery ok.a good'],
    ],
    ['deliveries', () => ({ ids: [ids['delivery ok.a good']], createdAfter: before }), ['delivery ok.a good']],
    ['deliveries', () => ({ ids: [ids['delivery ok.a good']], createdAfter: after }), []],
    ['deliveries', () => ({ ids: [ids['delivery ok.a good']], statuses: ['FAILED'] }), []],
    ['deliveries', () => ({ createdAfter: before, createdBefore: after }), DELIVERIES],
    ['deliveries', () => ({ createdAfter: after }), []],
    ['deliveries', () => ({ createdBefore: before }), []],
    ['deliveryAttempts', () => ({}), ATTEMPTS],
    ['deliveryAttempts', () => ({ deliveryId: ids['delivery mixed bad'] }), ['attempt mixed bad']],
    ['deliveryAttempts', () => ({ deliveryId: ids['delivery held paused'] }), []],
    ['deliveryAttempts', () => ({ eventId: ids['event mixed'] }), ['attempt mixed good', 'attempt mixed bad']],
    ['deliveryAttempts', () => ({ eventId: ids['event held'] }), []],
    ['deliveryAttempts', () => ({ endpointId: ids.bad }), ['attempt dead bad', 'attempt mixed bad']],
    ['deliveryAttempts', () => ({ endpointId: ids.disabled }), []],
    [
      'deliveryAttempts',
      () => ({ statuses: ['SUCCEEDED'] }),
      ['attempt ok.a good', 'attempt mixed good', 'attempt ok.b good'],
    ],
    [
      'deliveryAttempts',
      () => ({ statuses: ['FAILED'] }),
      ['attempt dead bad', 'attempt mixed bad', 'attempt later slow', 'attempt recorded paused'],
    ],
    ['deliveryAttempts', () => ({ statuses: [] }), []],
    ['deliveryAttempts', () => ({ triggers: ['EXTERNAL'] }), ['attempt recorded paused']],
    ['deliveryAttempts', () => ({ triggers: ['INITIAL'] }), without(ATTEMPTS, 'attempt recorded paused')],
    ['deliveryAttempts', () => ({ triggers: ['MANUAL', 'RETRY'] }), []],
    ['deliveryAttempts', () => ({ triggers: [] }), []],
    ['deliveryAttempts', () => ({ isDeadLetter: true }), ['attempt dead bad', 'attempt mixed bad']],
    ['deliveryAttempts', () => ({ isDeadLetter: false }), without(ATTEMPTS, 'attempt dead bad', 'attempt mixed bad')],
    [
      'deliveryAttempts',
      () => ({ isDeadLetter: false, statuses: ['FAILED'], triggers: ['INITIAL'] }),
      ['attempt later slow'],
    ],
    ['deliveryAttempts', () => ({ createdAfter: before, createdBefore: after }), ATTEMPTS],
    ['deliveryAttempts', () => ({ createdAfter: after }), []],
    ['deliveryAttempts', () => ({ createdBefore: before }), []],
  ];

  const cases = CASES.map(([field, filter, expected]) => {
    const text = String(filter).replace(/^\(\) => \(|\)$/g, '');
    return { title: `${field} with ${text} are ${expected.join(', ') || 'none'}`, field, filter, expected };
  });

  it.each(cases)('$title', async ({ field, filter, expected }) => {
    const read = async (args: PageArgs): Promise<Page> =>
      bed.ask(
        `query (${VARIABLES}, $filter: ${TYPES[field]}) { ${field}(${ARGS}, filter: $filter) { ${SELECTION} } }`,
        { ...args, filter: filter() },
        tenant,
      );
    const names = new Map(Object.entries(ids).map(([name, id]) => [id, name]));
    const page = await read({ first: 100 });
    expect(
      idsOf(page)
        .map((id) => names.get(id))
        .toSorted(),
    ).toEqual(expected.toSorted());
    expect(idsOf(page)).toEqual(newestFirst(idsOf(page)));

    // Page by page it is the same, from either end.
    for (const size of ['first', 'last'] as const) {
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const part: Page = await read(size === 'first' ? { first: 1, after: cursor } : { last: 1, before: cursor });
        seen.push(...idsOf(part));
        const { hasNextPage, hasPreviousPage, startCursor, endCursor } = part.pageInfo;
        if (size === 'first') cursor = hasNextPage ? endCursor : null;
        else cursor = hasPreviousPage ? startCursor : null;
      } while (cursor);
      expect(size === 'first' ? seen : seen.reverse()).toEqual(idsOf(page));
    }
  });

  it.each(cases.filter(({ field }) => field === 'deliveries'))('as many are counted: $title', async (one) => {
    const query = 'query ($filter: DeliveryFilter) { deliveryCount(filter: $filter) }';
    expect(await bed.ask(query, { filter: one.filter() }, tenant)).toBe(one.expected.length);
  });

  it('a filter of null is none', async () => {
    for (const field of Object.keys(ALL)) {
      const page: Page = await bed.ask(`{ ${field}(first: 100, filter: null) { ${SELECTION} } }`, {}, tenant);
      expect(page.edges).toHaveLength(ALL[field]?.length as number);
    }
  });

  it('a deleted endpoint is no longer listed, what was sent to it is', async () => {
    const other = await bed.createTenant('deleted');
    const id = await createPaused(other);
    const { deliveryIds } = await bed.publish({}, other);
    await bed.ask('mutation ($id: ID!) { deleteEndpoint(input: { endpointId: $id }) { __typename } }', { id }, other);
    expect(idsOf(await readRoot(other, 'endpoints')({}))).toEqual([]);
    const page = await bed.ask(
      'query ($id: ID!) { deliveries(filter: { endpointId: $id }) { edges { cursor node { id endpoint { id } } } } }',
      { id },
      other,
    );
    expect(page.edges).toMatchObject([{ node: { id: deliveryIds[0], endpoint: { id } } }]);
  });
});

describe('deliveryCount', () => {
  it(`counts up to ${DELIVERY_COUNT_MAX}, and what is of others not at all`, async () => {
    const tenant = await bed.createTenant('counted');
    const other = await bed.createTenant('not counted');
    const count = (owner: Tenant) => bed.ask('{ deliveryCount }', {}, owner);
    const add = (rows: number) =>
      bed.database.query(
        `insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, status, max_retries)
         select uuidv7(), organization_id, id, gen_random_uuid(), gen_random_uuid(), 'counted.event', 'DELIVERED', 0
         from environments, generate_series(1, $2) where id = $1`,
        [decodeId('Environment', tenant.environmentId), rows],
      );
    await add(DELIVERY_COUNT_MAX - 1);
    expect(await count(tenant)).toBe(DELIVERY_COUNT_MAX - 1);
    await add(2);
    expect(await count(tenant)).toBe(DELIVERY_COUNT_MAX);
    expect(await count(other)).toBe(0);
  });
});
