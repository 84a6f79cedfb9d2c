import { parse } from 'graphql';
import { isAsyncIterable } from 'graphql-yoga';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Caller, shareCaller } from '../src/access/caller.ts';
import { decodeId, encodeId, type IdKind } from '../src/domain/ids.ts';
import type { Scope } from '../src/generated/prisma/enums.ts';
import type { Services } from '../src/graphql/context.ts';
import { schema } from '../src/graphql/schema.ts';
import { subscribe } from '../src/graphql/subscribe.ts';
import { makeContext } from '../src/http/graphql-handler.ts';
import { createLog } from '../src/log.ts';
import { type Database, openDatabase } from '../src/storage/database.ts';
import { ALL_SCOPES, useTestBed } from './support/posthorn.ts';
import { fieldsOf, selectAlone } from './support/selecting.ts';

// Results of subscriptions are computed once for all callers who select the same of the same batch. Hands one batch to
// callers of every kind, in two orders, and compares what each gets with what it gets alone, for every field.

const bed = useTestBed({ role: 'api' });
let database: Database;
/** UUIDs. */
let ids: Record<'organization' | 'environment' | 'endpoint' | 'event' | 'delivery' | 'attempt', string>;
let callers: Map<string, Caller>;

beforeAll(async () => {
  const tenant = await bed.createTenant('sharing');
  await bed.ask(
    `mutation ($id: ID!) { createEnvironment(input: { organizationId: $id, name: "beside" }) { __typename } }`,
    { id: tenant.organizationId },
    tenant,
  );
  const input = { url: 'https://example.com/', headers: { a: 'b' } };
  const [endpoint] = [await bed.createEndpoint(input, tenant), await bed.createEndpoint(input, tenant)];
  const { id, deliveryIds } = await bed.publish({}, tenant);
  await bed.ask(
    'mutation ($id: ID!) { recordDeliveryAttempt(input: { deliveryId: $id, status: FAILED }) { __typename } }',
    { id: deliveryIds[0] },
    tenant,
  );
  const uuid = (kind: IdKind, text: string) => decodeId(kind, text) as string;
  const [attempt] = await bed.database.query<{ id: string; delivery_id: string; endpoint_id: string }>(
    'select id, delivery_id, endpoint_id from delivery_attempts',
  );
  ids = {
    organization: uuid('Organization', tenant.organizationId),
    environment: uuid('Environment', tenant.environmentId),
    endpoint: attempt?.endpoint_id as string,
    event: uuid('Event', id),
    delivery: attempt?.delivery_id as string,
    attempt: attempt?.id as string,
  };
  expect(endpoint?.id).toBeTruthy();
  callers = makeCallers();
  database = openDatabase(bed.database.url, createLog('silent'));
});

afterAll(() => database.close());

function makeCallers(): Map<string, Caller> {
  const base: Caller = {
    ...{ organizationId: ids.organization, environmentId: ids.environment, endpointId: null },
    ...{ keyId: ids.attempt, scopes: [], isOperator: false, isBrowserToken: false, expiresAt: null },
  };
  const token = {
    isBrowserToken: true,
    scopes: ['DELIVERIES_READ'] as Scope[],
    expiresAt: new Date(Date.now() + 60_000),
  };
  const mayRetry = { scopes: ['DELIVERIES_READ', 'DELIVERIES_RETRY'] as Scope[] };
  return new Map<string, Caller>([
    ...ALL_SCOPES.map((scope): [string, Caller] => [
      `DELIVERIES_READ and ${scope}`,
      { ...base, scopes: ['DELIVERIES_READ', scope as Scope] },
    ]),
    ['a key with all scopes', { ...base, scopes: ALL_SCOPES as Scope[] }],
    ['a session', { ...base, scopes: ALL_SCOPES as Scope[], expiresAt: new Date(Date.now() + 3_600_000) }],
    ['the operator', { ...base, keyId: null, isOperator: true, scopes: ALL_SCOPES as Scope[] }],
    ["an environment's token", { ...base, ...token }],
    ["an environment's token that may retry", { ...base, ...token, ...mayRetry }],
    ["an endpoint's token", { ...base, ...token, endpointId: ids.endpoint }],
    ["an endpoint's token that may retry", { ...base, ...token, ...mayRetry, endpointId: ids.endpoint }],
  ]);
}

/** A source that hands one batch to everybody. */
const source = (batch: object) =>
  async function* () {
    yield batch;
  };

function makeServices(batch: object): Services {
  const { pool, prisma } = database;
  const counts = { published: 0, delivered: 0, failed: 0, retried: 0, attemptsSucceeded: 0, attemptsFailed: 0 };
  const stats = { ...counts, from: new Date(), to: new Date(), elapsedSeconds: 0, durations: [] };
  const health = {
    endpointId: ids.endpoint,
    state: 'IDLE',
    recent: stats,
    failuresInARow: 0,
    hasOwnLane: false,
    waiting: 0,
  };
  return {
    ...{ prisma, deliveries: { pool }, log: createLog('silent'), complexityMax: 1_000_000 },
    feed: { subscribe: source(batch) },
    endpointFeed: { subscribe: source(batch) },
    health: { follow: source(batch), read: async () => health },
    stats: { follow: source(batch) },
  } as unknown as Services;
}

/** Executes a subscription for one batch. */
async function tell(caller: Caller, query: string, batch: object) {
  const contextValue = makeContext(makeServices(batch), { requestId: 'test', requestBytes: 0, caller });
  const results = await subscribe({ schema, document: parse(query), contextValue }, () => {});
  if (!isAsyncIterable(results)) return results;
  const { value } = await results[Symbol.asyncIterator]().next();
  return value as object;
}

const toText = (result: object) =>
  JSON.stringify(result)
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/PerSecond":[\d.e-]+/g, 'PerSecond":0');

const at = { xid: 1n, id: 1n };
const MAKE_BATCH: Record<string, () => object> = {
  deliveryChanges: () => ({
    ...{ position: at, cursor: 'cursor', round: { head: at, at: new Date() } },
    changes: [
      {
        ...{ ...at, environmentId: ids.environment, deliveryId: ids.delivery, eventId: ids.event },
        ...{ endpointId: ids.endpoint, status: 'FAILED', previousStatus: 'PENDING', attemptId: ids.attempt },
        changedAt: new Date(),
      },
    ],
  }),
  eventChanges: () => (MAKE_BATCH.deliveryChanges as () => object)(),
  endpointChanges: () => ({
    cursor: 'cursor',
    changes: [
      { ...at, endpointId: ids.endpoint, kind: 'UPDATED', status: 'ACTIVE', reason: null, changedAt: new Date() },
    ],
  }),
  endpointHealth: () => ({ endpointId: ids.endpoint, state: 'IDLE', recent: {} }),
  deliveryStats: () => ({
    stats: {},
    waiting: 0,
    oldestWaitingAt: null,
    endpoints: [{ endpointId: ids.endpoint, stats: {} }],
  }),
};

/** Rows that subscriptions lead to: `SEL` is what is selected of them, `ID` that of what is followed. */
const WAYS: [type: string, root: string, selection: string][] = [
  ['Delivery', 'deliveryChanges', '{ changes { delivery { SEL } } }'],
  ['DeliveryAttempt', 'deliveryChanges', '{ changes { attempt { SEL } } }'],
  ['Event', 'eventChanges', '{ event { SEL } }'],
  ['Organization', 'eventChanges', '{ event { organization { SEL } } }'],
  ['Environment', 'eventChanges', '{ event { environment { SEL } } }'],
  ['Environment', 'deliveryChanges', '{ changes { delivery { organization { environments { SEL } } } } }'],
  ['Endpoint', 'endpointChanges', '{ changes { endpoint { SEL } } }'],
  ['Endpoint', 'endpointHealth', '{ endpoint { SEL } }'],
  ['Endpoint', 'deliveryStats', '{ endpoints { endpoint { SEL } } }'],
  ['Route', 'deliveryChanges', '{ changes { delivery { route { SEL } } } }'],
  ['SigningKey', 'endpointChanges', '{ changes { endpoint { signingKeys { SEL } } } }'],
  ['ApiKey', 'eventChanges', '{ event { environment { apiKeys { edges { node { SEL } } } } } }'],
];

const ARGUMENTS: Record<string, () => string> = {
  eventChanges: () => `(eventId: "${encodeId('Event', ids.event)}")`,
  endpointHealth: () => `(endpointId: "${encodeId('Endpoint', ids.endpoint)}")`,
};

/** Fields that are refused to some who may subscribe: each is selected alone, so that it refuses no others. */
const REFUSED = ['Environment.apiKeys'];

const CASES = WAYS.flatMap(([type, root, way]) => {
  const isRefused = ({ name }: { name: string }) => REFUSED.includes(`${type}.${name}`);
  const fields = fieldsOf(type);
  const select = (chosen: typeof fields) => way.replace('SEL', chosen.map(selectAlone).join(' '));
  const alone = fields.filter(isRefused).map((field) => [`${type}.${field.name}`, root, select([field])] as const);
  return [[`all fields of ${type}`, root, select(fields.filter((field) => !isRefused(field)))] as const, ...alone];
});

it.each(CASES)(
  '%s told by %s are for each caller what it gets alone, whoever else shares the batch',
  async (_, root, selection) => {
    const query = `subscription { ${root}${ARGUMENTS[root]?.() ?? ''} ${selection} }`;
    const makeBatch = MAKE_BATCH[root] as () => object;
    const alone = new Map<string, string>();
    for (const [name, caller] of callers) alone.set(name, toText(await tell(caller, query, makeBatch())));
    expect(
      [...alone.values()].some((text) => !text.includes('"errors"')),
      [...alone][0]?.join(),
    ).toBe(true);
    for (const order of [[...callers], [...callers].toReversed()]) {
      const batch = makeBatch();
      for (const [name, caller] of order) {
        expect(toText(await tell(caller, query, batch)), `${name}: ${query}`).toBe(alone.get(name));
      }
    }
  },
);

describe('a shared result', () => {
  const QUERY =
    'subscription { deliveryChanges { changes { delivery { id organization { environments { name } } } } } }';

  it('is the same object for tokens that differ in when they end and which key made them', async () => {
    const caller = callers.get("an environment's token") as Caller;
    const batch = (MAKE_BATCH.deliveryChanges as () => object)();
    const other = { ...caller, keyId: ids.event, expiresAt: new Date() };
    expect(await tell(caller, QUERY, batch)).toBe(await tell(other, QUERY, batch));
  });

  it("shows an environment's token its own environment alone, although a key has got the others from the same batch", async () => {
    const batch = (MAKE_BATCH.deliveryChanges as () => object)();
    const ofKey = toText(await tell(callers.get('a key with all scopes') as Caller, QUERY, batch));
    const ofToken = toText(await tell(callers.get("an environment's token") as Caller, QUERY, batch));
    expect(ofKey).toContain('"beside"');
    expect(ofToken).toContain('"production"');
    expect(ofToken).not.toContain('"beside"');
  });

  it('cannot depend on a property that is not in its key', () => {
    const caller = callers.get('a session') as Caller;
    const { key, caller: shared } = shareCaller(caller);
    for (const name of ['keyId', 'expiresAt'] as const) {
      expect(() => shared[name]).toThrow(name);
      expect(JSON.parse(key)).not.toHaveProperty(name);
    }
    const { keyId, expiresAt, scopes, ...rest } = caller;
    expect(JSON.parse(key)).toEqual({ ...rest, scopes: scopes.toSorted() });
    expect([keyId, expiresAt]).not.toContain(undefined);
    expect(Object.isFrozen(shared)).toBe(true);
  });
});
