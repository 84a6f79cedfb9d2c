import { beforeEach, describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { type FollowOptions, findFeedError, useFollowing } from './support/following.ts';
import { type Tenant, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';
import { COUNT_FIELDS, NO_COUNTS, untilCounted, untilQuiet } from './support/statistics.ts';

const bed = useTestBed();
const receiver = useReceiver();
const { follow } = useFollowing(bed);
const subscribe = <T>(query: string, options: Omit<FollowOptions, 'query'>) =>
  follow<T>('WebSocket', { query, ...options });

const NOBODY = 'ep_01h455vb4pex5vsknk084sn02q';

let tenant: Tenant;
let key: { key: string };
let number = 0;

beforeEach(async () => {
  number += 1;
  tenant = await bed.createTenant(`live statistics ${number}`);
  key = { key: tenant.key };
});

async function createTarget(name: string, input: Record<string, unknown> = {}) {
  const type = `${name}.happened`;
  const { id } = await bed.createEndpoint({ url: receiver.url(`/${name}`), eventTypes: [type], ...input }, key);
  return { id, type, path: `/${name}` };
}

const mutate = (field: string, input: string, variables: object) =>
  bed.ask(`mutation ($id: ID!) { ${field}(input: { ${input} }) { __typename } }`, variables, key);

type Counts = typeof NO_COUNTS;

interface Tick {
  stats: Counts & { from: string; to: string; durationMs: { p50: number } | null };
  waiting: number;
  oldestWaitingAt: string | null;
  endpoints: { endpoint: { id: string }; stats: Counts }[];
}

const TICKS = `subscription ($id: ID, $interval: Int = 1) { deliveryStats(endpointId: $id, intervalSeconds: $interval) {
  stats { from to ${COUNT_FIELDS} durationMs { p50 } } waiting oldestWaitingAt
  endpoints { endpoint { id } stats { ${COUNT_FIELDS} } } } }`;

const followTicks = (id?: string, options: Record<string, unknown> = {}) =>
  subscribe<Tick>(TICKS, { variables: { id, ...options }, ...key });

async function next<T>(feed: AsyncGenerator<T>): Promise<T> {
  const { value, done } = await feed.next();
  if (done) throw new Error('The feed ended.');
  return value;
}

const add = (a: Counts, b: Counts): Counts =>
  Object.fromEntries(
    Object.keys(NO_COUNTS).map((name) => [name, a[name as keyof Counts] + b[name as keyof Counts]]),
  ) as Counts;

/** Sums up ticks from now on, until so many attempts have been told. */
async function sumUp(feed: AsyncGenerator<Tick>, attempts: number) {
  let [own, listed] = [NO_COUNTS, NO_COUNTS];
  while (own.attempts < attempts) {
    const tick = await next(feed);
    own = add(own, tick.stats);
    for (const endpoint of tick.endpoints) listed = add(listed, endpoint.stats);
  }
  return { own, listed };
}

describe('the subscription deliveryStats', () => {
  it('tells at once, and then what happened, each once', async () => {
    const [a, b] = [await createTarget('a'), await createTarget('b', { eventTypes: ['*'] })];
    const [all, one] = [followTicks(), followTicks(a.id)];
    const [first, firstOfOne] = await Promise.all([next(all), next(one)]);
    expect(first.stats).toMatchObject({ ...NO_COUNTS, durationMs: null });
    expect(first).toMatchObject({ waiting: 0, oldestWaitingAt: null, endpoints: [] });
    expect(firstOfOne.stats).toMatchObject(NO_COUNTS);
    const sums = Promise.all([sumUp(all, 60), sumUp(one, 20)]);
    for (let index = 0; index < 40; index += 1) await bed.publish({ type: index % 2 ? a.type : 'other' }, key);
    const [ofAll, ofOne] = await sums;
    expect(ofAll.own).toEqual({ published: 40, delivered: 60, failed: 0, retried: 0, attempts: 60 });
    expect(ofAll.listed).toEqual({ published: 60, delivered: 60, failed: 0, retried: 0, attempts: 60 });
    expect(ofOne.own).toEqual({ published: 20, delivered: 20, failed: 0, retried: 0, attempts: 20 });
    expect(ofOne.listed).toEqual(ofOne.own);
    expect(b.id).not.toBe(a.id);
  });

  it('begins with the last interval or so', async () => {
    const target = await createTarget('recent');
    for (let times = 0; times < 3; times += 1) await bed.publish({ type: target.type }, key);
    await untilQuiet(bed);
    const tick = await next(followTicks(target.id, { interval: 60 }));
    expect(tick.stats).toMatchObject({ published: 3, delivered: 3, attempts: 3 });
    expect(tick.stats.durationMs?.p50).toBeGreaterThan(0);
    const old = `update delivery_changes set changed_at = changed_at - interval '1 hour' where environment_id = $1`;
    await bed.database.query(old, [decodeId('Environment', tenant.environmentId)]);
    expect((await next(followTicks(target.id, { interval: 30 }))).stats).toMatchObject(NO_COUNTS);
  });

  it('tells what waits and since when', async () => {
    const target = await createTarget('held');
    await mutate('pauseEndpoint', 'endpointId: $id', { id: target.id });
    const { deliveryIds } = await bed.publish({ type: target.type }, key);
    await bed.publish({ type: target.type }, key);
    await untilCounted(bed);
    const { createdAt } = await bed.ask(
      'query ($id: ID!) { delivery(id: $id) { createdAt } }',
      { id: deliveryIds[0] },
      key,
    );
    for (const feed of [followTicks(), followTicks(target.id)]) {
      expect(await next(feed)).toMatchObject({ waiting: 2, oldestWaitingAt: createdAt });
      expect(await next(feed)).toMatchObject({ waiting: 2, oldestWaitingAt: createdAt });
    }
  });

  it.each([
    [{ interval: 0 }, 'from 1 to 60'],
    [{ interval: 61 }, 'from 1 to 60'],
    [{ id: 'nonsense' }, 'endpointId must be an ID'],
  ])('with %o is refused', async (variables, message) => {
    const error = await findFeedError(subscribe(TICKS, { variables, ...key }));
    expect(error?.errors[0]).toMatchObject({
      message: expect.stringContaining(message),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  it('is refused to a key that may not read deliveries', async () => {
    const blind = await bed.createKey(tenant.environmentId, ['ENDPOINTS_MANAGE']);
    const error = await findFeedError(subscribe(TICKS, { key: blind }));
    expect(error?.code).toBe('FORBIDDEN');
  });

  it('tells another tenant nothing', async () => {
    const target = await createTarget('secret');
    await mutate('pauseEndpoint', 'endpointId: $id', { id: target.id });
    const stranger = await bed.createTenant('stranger');
    for (const id of [target.id, NOBODY]) {
      const error = await findFeedError(subscribe(TICKS, { variables: { id }, key: stranger.key }));
      expect(error?.errors[0]).toMatchObject({
        message: 'There is nothing with the ID in endpointId.',
        extensions: { code: 'BAD_USER_INPUT' },
      });
    }
    const feed = subscribe<Tick>(TICKS, { key: stranger.key });
    await next(feed);
    await bed.publish({ type: target.type }, key);
    await untilCounted(bed);
    for (let times = 0; times < 2; times += 1) {
      expect(await next(feed)).toMatchObject({ stats: NO_COUNTS, waiting: 0, oldestWaitingAt: null, endpoints: [] });
    }
  });
});

interface Health {
  endpoint: { id: string; name: string };
  state: string;
  failuresInARow: number;
  hasOwnLane: boolean;
  waiting: number;
  oldestWaitingAt: string | null;
  lastSucceededAt: string | null;
  lastFailedAt: string | null;
  recent: Counts;
}

const HEALTH_FIELDS = `endpoint { id name } state failuresInARow hasOwnLane waiting oldestWaitingAt lastSucceededAt
  lastFailedAt recent { ${COUNT_FIELDS} }`;

const readHealth = async (id: string): Promise<Health> =>
  (await bed.ask(`query ($id: ID!) { endpoint(id: $id) { health { ${HEALTH_FIELDS} } } }`, { id }, key)).health;

const HEALTH = `subscription ($id: ID!, $interval: Int = 1) {
  endpointHealth(endpointId: $id, intervalSeconds: $interval) { ${HEALTH_FIELDS} } }`;

const followHealth = (id: string) => subscribe<Health>(HEALTH, { variables: { id }, ...key });

const NEW = {
  state: 'IDLE',
  failuresInARow: 0,
  hasOwnLane: false,
  waiting: 0,
  oldestWaitingAt: null,
  lastSucceededAt: null,
  lastFailedAt: null,
  recent: NO_COUNTS,
};

describe('the health of an endpoint', () => {
  it('is idle, healthy, failing, paused and disabled', async () => {
    receiver.answer = ({ path }) => ({ status: path === '/bad' ? 500 : 200 });
    const [idle, good, bad, paused, disabled] = await Promise.all(
      ['idle', 'good', 'bad', 'paused', 'disabled'].map((name) =>
        createTarget(name, { retryPolicy: { maxRetries: 0 } }),
      ),
    );
    if (!idle || !good || !bad || !paused || !disabled) throw new Error('No endpoints.');
    await mutate('pauseEndpoint', 'endpointId: $id', { id: paused.id });
    await mutate('disableEndpoint', 'endpointId: $id', { id: disabled.id });
    for (const { type } of [good, bad, bad, bad, bad, bad, paused]) await bed.publish({ type }, key);
    await untilQuiet(bed);
    const time = expect.stringMatching(/^\d{4}-/);
    expect(await readHealth(idle.id)).toEqual({ ...NEW, endpoint: { id: idle.id, name: expect.anything() } });
    expect(await readHealth(good.id)).toMatchObject({
      ...NEW,
      state: 'HEALTHY',
      lastSucceededAt: time,
      recent: { ...NO_COUNTS, published: 1, delivered: 1, attempts: 1 },
    });
    expect(await readHealth(bad.id)).toMatchObject({
      ...NEW,
      state: 'FAILING',
      failuresInARow: 5,
      lastFailedAt: time,
      recent: { ...NO_COUNTS, published: 5, failed: 5, attempts: 5 },
    });
    expect(await readHealth(paused.id)).toMatchObject({
      ...NEW,
      state: 'PAUSED',
      hasOwnLane: true,
      waiting: 1,
      oldestWaitingAt: time,
      recent: { ...NO_COUNTS, published: 1 },
    });
    expect(await readHealth(disabled.id)).toMatchObject({ ...NEW, state: 'DISABLED' });
    const { edges } = await bed.ask('{ endpoints { edges { node { health { state } } } } }', {}, key);
    expect(edges.map(({ node }: { node: { health: { state: string } } }) => node.health.state).sort()).toEqual([
      'DISABLED',
      'FAILING',
      'HEALTHY',
      'IDLE',
      'PAUSED',
    ]);
  });

  it('counts failures in a row up to 100, and looks at no more attempts', async () => {
    const target = await createTarget('many', { retryPolicy: { maxRetries: 0 } });
    await bed.publish({ type: target.type }, key);
    await untilQuiet(bed);
    // Attempts from elsewhere, because an endpoint that fails so often gets few of Posthorn's own.
    await bed.ask('mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }', target, key);
    const fail = async (count: number) => {
      for (let number = 0; number < count; number += 1) {
        const { deliveryIds } = await bed.publish({ type: target.type }, key);
        const input = { deliveryId: deliveryIds[0], status: 'FAILED', responseStatus: 500 };
        await bed.ask(
          'mutation ($input: RecordDeliveryAttemptInput!) { recordDeliveryAttempt(input: $input) { __typename } }',
          { input },
          key,
        );
      }
    };
    await fail(99);
    expect(await readHealth(target.id)).toMatchObject({ failuresInARow: 99, lastSucceededAt: expect.any(String) });
    await fail(3);
    expect(await readHealth(target.id)).toMatchObject({ failuresInARow: 100, lastSucceededAt: null });
  });

  it('is told at once, and then whenever it changed', async () => {
    const target = await createTarget('followed');
    const feed = followHealth(target.id);
    expect(await next(feed)).toMatchObject(NEW);
    const change = next(feed);
    await bed.publish({ type: target.type }, key);
    expect(await change).toMatchObject({ endpoint: { id: target.id }, state: 'HEALTHY' });
    const followed = (async () => {
      for await (const health of feed) if (health.state === 'PAUSED') return health;
      return null;
    })();
    await mutate('pauseEndpoint', 'endpointId: $id', { id: target.id });
    expect(await followed).toMatchObject({ state: 'PAUSED', recent: { published: 1 } });
  });

  it('is told to a tenant of its own endpoints only', async () => {
    const target = await createTarget('private');
    const stranger = await bed.createTenant('stranger');
    const query =
      'query ($id: ID!) { endpoint(id: $id) { health { state } } node(id: $id) { ... on Endpoint { health { state } } } }';
    const { data } = await bed.graphql(query, { id: target.id }, { key: stranger.key });
    expect(data).toEqual({ endpoint: null, node: null });
    const errors = await Promise.all(
      [target.id, NOBODY].map((id) => findFeedError(subscribe(HEALTH, { variables: { id }, key: stranger.key }))),
    );
    for (const error of errors) {
      expect(error?.errors[0]).toMatchObject({
        message: 'There is nothing with the ID in endpointId.',
        extensions: { code: 'BAD_USER_INPUT' },
      });
    }
  });

  it.each([
    [{ id: 'nonsense' }, 'endpointId must be an ID'],
    [{ id: NOBODY, interval: 0 }, 'from 1 to 60'],
    [{ id: NOBODY, interval: 61 }, 'from 1 to 60'],
  ])('with %o is refused', async (variables, message) => {
    const error = await findFeedError(subscribe(HEALTH, { variables, ...key }));
    expect(error?.errors[0]).toMatchObject({
      message: expect.stringContaining(message),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  it('is refused to a key that may not read deliveries', async () => {
    const target = await createTarget('unseen');
    const blind = await bed.createKey(tenant.environmentId, ['ENDPOINTS_MANAGE']);
    const error = await findFeedError(subscribe(HEALTH, { variables: { id: target.id }, key: blind }));
    expect(error?.code).toBe('FORBIDDEN');
    const { errors } = await bed.graphql(
      'query ($id: ID!) { endpoint(id: $id) { health { state } } }',
      { id: target.id },
      { key: blind },
    );
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});
