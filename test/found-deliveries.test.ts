import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { type Tenant, until, useTestBed } from './support/posthorn.ts';
import { type ReceiverAnswer, useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const FAILED: ReceiverAnswer = { status: 500 };
const ONE_HOUR = { retryPolicy: { maxRetries: 3, delaysSeconds: [3_600], jitter: 0 } };
const NO_RETRIES = { retryPolicy: { maxRetries: 0 } };

const PAGE = 'endCursor hasNextPage';
const ISSUES = '... on InvalidInputError { issues { path message } }';

const retry = (input: object, options: object) =>
  bed.ask(
    `mutation ($input: RetryDeliveriesInput!) { retryDeliveries(input: $input) { __typename
      ... on RetryDeliveriesPayload { retriedCount passedOver { reason count } ${PAGE} } ${ISSUES} } }`,
    { input },
    options,
  );

const cancel = (input: object, options: object) =>
  bed.ask(
    `mutation ($input: CancelDeliveriesInput!) { cancelDeliveries(input: $input) { __typename
      ... on CancelDeliveriesPayload { canceledCount passedOverCount ${PAGE} } ${ISSUES} } }`,
    { input },
    options,
  );

let count = 0;

/** A tenant with an endpoint that gets every event of a type of its own. */
async function makeScene(endpoint: object = ONE_HOUR) {
  count += 1;
  const tenant = await bed.createTenant(`found ${count}`);
  const addEndpoint = async (name: string, input: object = endpoint) => {
    const path = `/found-${count}-${name}`;
    const { id } = await bed.createEndpoint({ url: receiver.url(path), eventTypes: [name], ...input }, tenant);
    const publish = async (events: number): Promise<string[]> => {
      const ids: string[] = [];
      for (let left = events; left > 0; left -= 1) {
        ids.push(...(await bed.publish({ type: name }, tenant)).deliveryIds);
      }
      return ids;
    };
    return { id, path, publish };
  };
  return { tenant, addEndpoint };
}

const setStatus = (verb: 'pause' | 'resume' | 'disable' | 'delete', endpointId: string, tenant: Tenant) =>
  bed.ask(
    `mutation ($id: ID!) { ${verb}Endpoint(input: { endpointId: $id }) { __typename } }`,
    { id: endpointId },
    tenant,
  );

const readAll = async (ids: string[], tenant: Tenant): Promise<Record<string, unknown>[]> => {
  const { edges } = await bed.ask(
    `query ($ids: [ID!]) { deliveries(first: 100, filter: { ids: $ids }) { edges { node {
      id status attemptCount retryCount nextAttemptAt notRetryableReason } } } }`,
    { ids },
    tenant,
  );
  return edges.map(({ node }: { node: Record<string, unknown> }) => node);
};

const untilAll = (ids: string[], status: string, tenant: Tenant) =>
  until(async () => {
    const all = await readAll(ids, tenant);
    return all.every((delivery) => delivery.status === status) && all;
  }, `all deliveries to be ${status}`);

describe('retryDeliveries', () => {
  it('retries all that fits, page by page, newest first, each once', async () => {
    receiver.answer = () => FAILED;
    const { tenant, addEndpoint } = await makeScene(NO_RETRIES);
    const [target, other] = [await addEndpoint('a'), await addEndpoint('b')];
    const ids = await target.publish(7);
    await untilAll(ids, 'FAILED', tenant);
    const others = await other.publish(2);
    await untilAll(others, 'FAILED', tenant);
    receiver.answer = () => ({});
    const filter = { endpointId: target.id, statuses: ['FAILED'] };
    const sizes: number[] = [];
    let after: string | null = null;
    do {
      const page: { retriedCount: number; endCursor: string; hasNextPage: boolean } = await retry(
        { filter, first: 3, after },
        tenant,
      );
      expect(page).toMatchObject({ passedOver: [] });
      const done = ids.toReversed().slice(0, sizes.reduce((sum, size) => sum + size, 0) + page.retriedCount);
      expect(Buffer.from(page.endCursor, 'base64url').toString()).toBe(done.at(-1));
      sizes.push(page.retriedCount);
      after = page.hasNextPage ? page.endCursor : null;
    } while (after);
    expect(sizes).toEqual([3, 3, 1]);
    expect(await untilAll(ids, 'DELIVERED', tenant)).toMatchObject(ids.map(() => ({ attemptCount: 2 })));
    expect(receiver.to(target.path)).toHaveLength(14);
    expect(await readAll(others, tenant)).toMatchObject(others.map(() => ({ status: 'FAILED', attemptCount: 1 })));
  });

  it('finds what no attempt can be made of now, says why, and leaves it as it is', async () => {
    receiver.answer = () => FAILED;
    const { tenant, addEndpoint } = await makeScene();
    const names = ['active', 'queued', 'paused', 'disabled', 'deleted'];
    const targets = [];
    for (const name of names) targets.push(await addEndpoint(name));
    const ids: string[] = [];
    for (const target of targets) ids.push(...(await target.publish(1)));
    await untilAll(ids, 'RETRYING', tenant);
    let open: (answer: ReceiverAnswer) => void = () => {};
    const opened = new Promise<ReceiverAnswer>((resolve) => {
      open = resolve;
    });
    receiver.answer = () => opened;
    await retry({ filter: { ids: [ids[1]] } }, tenant);
    for (const [index, verb] of [
      [2, 'pause'],
      [3, 'disable'],
      [4, 'delete'],
    ] as const) {
      await setStatus(verb, targets[index]?.id as string, tenant);
    }
    const before = await readAll(ids, tenant);
    expect(before.map(({ notRetryableReason }) => notRetryableReason).reverse()).toEqual([
      null,
      'ALREADY_QUEUED',
      'ENDPOINT_PAUSED',
      'ENDPOINT_DISABLED',
      'ENDPOINT_DELETED',
    ]);
    const answer = await retry({ filter: {} }, tenant);
    expect(answer).toMatchObject({ retriedCount: 1, hasNextPage: false });
    const reasons = answer.passedOver.map(({ reason, count }: { reason: string; count: number }) => [reason, count]);
    expect(Object.fromEntries(reasons)).toEqual({
      ALREADY_QUEUED: 1,
      ENDPOINT_PAUSED: 1,
      ENDPOINT_DISABLED: 1,
      ENDPOINT_DELETED: 1,
    });
    expect((await readAll(ids, tenant)).slice(0, 4)).toEqual(before.slice(0, 4));
    open({});
    await untilAll(ids.slice(0, 2), 'DELIVERED', tenant);
    expect(receiver.to(targets[1]?.path as string)).toHaveLength(2);
  });

  it('leaves schedules as they were, and gives them anew where that is asked for', async () => {
    receiver.answer = () => FAILED;
    const { tenant, addEndpoint } = await makeScene();
    const target = await addEndpoint('a');
    const ids = await target.publish(3);
    const before = await untilAll(ids, 'RETRYING', tenant);
    await retry({ filter: { statuses: ['RETRYING'] } }, tenant);
    const again = await until(async () => {
      const all = await readAll(ids, tenant);
      return all.every(({ status, attemptCount }) => status === 'RETRYING' && attemptCount === 2) && all;
    }, 'the retries');
    const times = (deliveries: Record<string, unknown>[]) => deliveries.map(({ nextAttemptAt }) => nextAttemptAt);
    expect(times(again)).toEqual(times(before));
    await retry({ filter: { statuses: ['RETRYING'] }, restartSchedule: true }, tenant);
    const anew = await until(async () => {
      const all = await readAll(ids, tenant);
      return all.every(({ status, attemptCount }) => status === 'RETRYING' && attemptCount === 3) && all;
    }, 'the schedules that begin anew');
    for (const [index, at] of times(anew).entries()) {
      expect(Date.parse(String(at))).toBeGreaterThan(Date.parse(String(times(before)[index])));
    }
  });

  it('does not touch what another call has changed meanwhile, so that it fits no more', async () => {
    receiver.answer = () => FAILED;
    const { tenant, addEndpoint } = await makeScene(NO_RETRIES);
    const target = await addEndpoint('a');
    const ids = await target.publish(2);
    await untilAll(ids, 'FAILED', tenant);
    const [, changed] = ids.map((id) => decodeId('Delivery', id)) as [string, string];
    const client = new pg.Client({ connectionString: bed.database.url });
    await client.connect();
    try {
      await client.query('begin');
      await client.query(`update deliveries set status = 'DELIVERED', plan = plan + 1 where id = $1`, [changed]);
      receiver.answer = () => ({});
      const retrying = retry({ filter: { statuses: ['FAILED'] } }, tenant);
      const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      await until(async () => (await bed.database.query(waiting)).length > 0, 'the call to wait');
      await client.query('commit');
      expect(await retrying).toMatchObject({ retriedCount: 1, passedOver: [] });
    } finally {
      await client.end();
    }
    const [after] = await readAll([ids[1] as string], tenant);
    expect(after).toMatchObject({ status: 'DELIVERED', attemptCount: 1 });
    await untilAll(ids, 'DELIVERED', tenant);
    expect(receiver.to(target.path)).toHaveLength(3);
  });

  it('of nothing answers an empty page', async () => {
    const { tenant } = await makeScene();
    expect(await retry({ filter: {} }, tenant)).toEqual({
      __typename: 'RetryDeliveriesPayload',
      retriedCount: 0,
      passedOver: [],
      endCursor: null,
      hasNextPage: false,
    });
  });

  it("by one endpoint's browser token reaches the deliveries of that endpoint alone", async () => {
    receiver.answer = () => FAILED;
    const { tenant, addEndpoint } = await makeScene(NO_RETRIES);
    const [own, other] = [await addEndpoint('a'), await addEndpoint('b')];
    const [ownIds, otherIds] = [await own.publish(2), await other.publish(2)];
    await untilAll([...ownIds, ...otherIds], 'FAILED', tenant);
    const { token } = await bed.ask(
      `mutation ($id: ID!) { createBrowserToken(input: { endpointId: $id, allowRetry: true }) {
        ... on CreateBrowserTokenPayload { token } } }`,
      { id: own.id },
      tenant,
    );
    receiver.answer = () => ({});
    for (const filter of [{ endpointId: other.id }, { ids: otherIds }]) {
      expect(await retry({ filter }, { key: token })).toMatchObject({
        retriedCount: 0,
        passedOver: [],
        endCursor: null,
      });
      expect(await cancel({ filter }, { key: token })).toMatchObject({ canceledCount: 0, passedOverCount: 0 });
    }
    expect(await retry({ filter: {} }, { key: token })).toMatchObject({ retriedCount: 2, hasNextPage: false });
    await untilAll(ownIds, 'DELIVERED', tenant);
    expect(await readAll(otherIds, tenant)).toMatchObject([{ status: 'FAILED' }, { status: 'FAILED' }]);
  });
});

describe('cancelDeliveries', () => {
  it('ends all that fits, page by page, and counts what was at its end already', async () => {
    receiver.answer = () => FAILED;
    const { tenant, addEndpoint } = await makeScene();
    const [waiting, held, ended] = [await addEndpoint('a'), await addEndpoint('b'), await addEndpoint('c', NO_RETRIES)];
    const retrying = await waiting.publish(3);
    await untilAll(retrying, 'RETRYING', tenant);
    await setStatus('pause', held.id, tenant);
    const paused = await held.publish(2);
    const failed = await ended.publish(1);
    await untilAll(failed, 'FAILED', tenant);
    const first = await cancel({ filter: {}, first: 4 }, tenant);
    expect(first).toMatchObject({ canceledCount: 3, passedOverCount: 1, hasNextPage: true });
    const second = await cancel({ filter: {}, first: 4, after: first.endCursor }, tenant);
    expect(second).toMatchObject({ canceledCount: 2, passedOverCount: 0, hasNextPage: false });
    const canceled = [...retrying, ...paused];
    expect(await readAll(canceled, tenant)).toMatchObject(
      canceled.map(() => ({ status: 'CANCELED', nextAttemptAt: null })),
    );
    expect(await readAll(failed, tenant)).toMatchObject([{ status: 'FAILED' }]);
    await setStatus('resume', held.id, tenant);
    const [next] = await held.publish(1);
    await untilAll([next as string], 'RETRYING', tenant);
    expect(receiver.to(held.path)).toHaveLength(1);
  });
});

describe('a page of deliveries', () => {
  const FAULTS: [name: string, input: object, path: string[]][] = [
    ['first 0', { filter: {}, first: 0 }, ['first']],
    ['first 501', { filter: {}, first: 501 }, ['first']],
    ['a cursor that is none', { filter: {}, after: 'nonsense' }, ['after']],
    ['an ID of another kind', { filter: { ids: ['evt_01h455vb4pex5vsknk084sn02q'] } }, ['filter', 'ids']],
    ['no ID', { filter: { ids: [] } }, ['filter', 'ids']],
    ['501 IDs', { filter: { ids: Array(501).fill('dlv_01h455vb4pex5vsknk084sn02q') } }, ['filter', 'ids']],
    ['an event that is none', { filter: { eventId: 'nonsense' } }, ['filter', 'eventId']],
    ['a response status that is none', { filter: { responseStatus: 99 } }, ['filter', 'responseStatus']],
    ['a source key with NUL', { filter: { sourceKey: 'a\0b' } }, ['filter', 'sourceKey']],
    ['an event type with NUL', { filter: { eventTypes: ['a\0b'] } }, ['filter', 'eventTypes']],
  ];

  it.each(FAULTS)('with %s is refused, and nothing changes', async (_, input, path) => {
    const { tenant, addEndpoint } = await makeScene();
    const target = await addEndpoint('a');
    await setStatus('pause', target.id, tenant);
    const ids = await target.publish(1);
    for (const answer of [await retry(input, tenant), await cancel(input, tenant)]) {
      expect(answer).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path }] });
    }
    expect(await readAll(ids, tenant)).toMatchObject([{ status: 'HELD' }]);
  });

  it('costs what it may change: 100 calls of 500 are the most that an operation may have', async () => {
    const { tenant } = await makeScene();
    const make = (calls: number, first: number) =>
      `mutation { ${Array.from({ length: calls }, (_, index) => `a${index}: retryDeliveries(input: { filter: {}, first: ${first} }) { __typename }`).join(' ')} }`;
    expect((await bed.graphql(make(100, 400), {}, tenant)).errors).toBeUndefined();
    expect((await bed.graphql(make(100, 500), {}, tenant)).errors).toMatchObject([
      { extensions: { code: 'COST_LIMIT_EXCEEDED' } },
    ]);
  });
});

describe('calls at once', () => {
  it('retry and cancel the same deliveries while outcomes are recorded, each delivery whole, and none deadlocks', async () => {
    let answers = 0;
    receiver.answer = () => {
      answers += 1;
      return { status: answers % 3 === 0 ? 200 : 500 };
    };
    const { tenant, addEndpoint } = await makeScene({ retryPolicy: { maxRetries: 3, delaysSeconds: [1], jitter: 0 } });
    const target = await addEndpoint('a');
    const events = Array.from({ length: 300 }, (_, index) => ({ type: 'a', payload: index }));
    const publish =
      'mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) { __typename } }';
    for (let round = 0; round < 6; round += 1) {
      await Promise.all([
        bed.ask(publish, { events }, tenant),
        retry({ filter: { endpointId: target.id }, first: 500 }, tenant),
        retry({ filter: { statuses: ['RETRYING', 'FAILED', 'CANCELED'] }, first: 500 }, tenant),
        cancel({ filter: { statuses: ['PENDING', 'RETRYING'] }, first: 500 }, tenant),
        cancel({ filter: {}, first: 250 }, tenant),
      ]);
    }
    await cancel({ filter: { statuses: ['RETRYING'] }, first: 500 }, tenant);
    const left = `select 1 from deliveries d where endpoint_id = $1 and (status in ('PENDING', 'RETRYING')
      or attempt_count <> (select count(*) from delivery_attempts a where a.delivery_id = d.id)) limit 1`;
    await until(
      async () => (await bed.database.query(left, [decodeId('Endpoint', target.id)])).length === 0,
      'the end',
    );
    const [stats] = await bed.database.query<{ deadlocks: number }>(
      `select deadlocks::int from pg_stat_database where datname = current_database()`,
    );
    expect(stats?.deadlocks).toBe(0);
  });
});
