import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { closeLane } from '../src/storage/lanes.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { type ReceiverAnswer, useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const ONE_HOUR = { retryPolicy: { maxRetries: 3, delaysSeconds: [3_600], jitter: 0 } };
const DEFAULT_POLICY = {
  maxRetries: 9,
  delaysSeconds: [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
  jitter: 0.2,
};

const ENDPOINT = `id name description url method status disabledReason disabledAt eventTypes
  routes { name eventTypes } headers retryPolicy { maxRetries delaysSeconds jitter } timeoutMs rateLimitPerSecond`;

const read = (id: string) => bed.ask(`query ($id: ID!) { endpoint(id: $id) { ${ENDPOINT} } }`, { id });

type Verb = 'update' | 'delete' | 'pause' | 'resume' | 'disable' | 'enable';

/** Runs one of the mutations that change an endpoint. @returns the endpoint, or the error */
async function change(verb: Verb, endpointId: string, input: Record<string, unknown> = {}) {
  const name = `${verb[0]?.toUpperCase()}${verb.slice(1)}Endpoint`;
  const answer = await bed.ask(
    `mutation ($input: ${name}Input!) { ${verb}Endpoint(input: $input) { __typename
      ... on ${name}Payload { endpoint { ${ENDPOINT} } } ... on Error { message } } }`,
    { input: { endpointId, ...input } },
  );
  return answer.endpoint ?? answer;
}

let count = 0;

/** An endpoint that gets events of a type of its own. */
async function createTarget(input: Record<string, unknown> = {}) {
  count += 1;
  const path = `/target-${count}`;
  const type = `target-${count}.happened`;
  const { id } = await bed.createEndpoint({ url: receiver.url(path), eventTypes: [type], ...input });
  const publish = async () => (await bed.publish({ type })).deliveryIds[0] as string;
  return { id, uuid: decodeId('Endpoint', id) as string, path, type, publish };
}

type Target = Awaited<ReturnType<typeof createTarget>>;

const readStatus = async (deliveryId: string) => (await bed.readDelivery(deliveryId)).status;

/** Makes the retry that a delivery waits for due now. */
const makeDue = (deliveryId: string) =>
  bed.database.query('update deliveries set next_attempt_at = now() where id = $1', [decodeId('Delivery', deliveryId)]);

/** How many deliveries of an endpoint have each status. */
async function countStatuses({ uuid }: Target): Promise<Record<string, number>> {
  const sql = 'select status::text, count(*)::int from deliveries where endpoint_id = $1 group by status';
  const rows = await bed.database.query<{ status: string; count: number }>(sql, [uuid]);
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}

const waitForStatuses = (target: Target, expected: Record<string, number>) =>
  until(
    async () => JSON.stringify(await countStatuses(target)) === JSON.stringify(expected),
    `the deliveries to be ${JSON.stringify(expected)}`,
  );

/** An answer that is held back until it is opened. */
function makeGate() {
  let open: (answer: ReceiverAnswer) => void = () => {};
  const opened = new Promise<ReceiverAnswer>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Begins something while a transaction of another one holds a row, and lets that commit once it waits or is done. */
async function runAgainst<T>(hold: (client: pg.Client) => Promise<unknown>, begin: () => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: bed.database.url, application_name: 'test' });
  await client.connect();
  try {
    await client.query('begin');
    await hold(client);
    let isDone = false;
    const begun = begin().finally(() => {
      isDone = true;
    });
    await until(async () => {
      const sql = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      return isDone || (await bed.database.query(sql)).length > 0;
    }, 'it to wait or to be done');
    await client.query('commit');
    return await begun;
  } finally {
    await client.end();
  }
}

describe('createEndpoint', () => {
  it('gives defaults to what is left out, and the host of the URL as the name', async () => {
    const { id, secret } = await bed.createEndpoint({ url: 'https://hooks.example.com:8443/in?x=1' });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]+=*$/);
    expect(await read(id)).toEqual({
      id,
      name: 'hooks.example.com:8443',
      description: null,
      url: 'https://hooks.example.com:8443/in?x=1',
      method: 'POST',
      status: 'ACTIVE',
      disabledReason: null,
      disabledAt: null,
      eventTypes: ['*'],
      routes: [{ name: 'hooks.example.com:8443', eventTypes: ['*'] }],
      headers: {},
      retryPolicy: DEFAULT_POLICY,
      timeoutMs: 15_000,
      rateLimitPerSecond: null,
    });
    await change('delete', id);
  });

  it('keeps all that is given, and reads header values back as null', async () => {
    const given = {
      url: 'https://example.com/',
      name: 'Billing',
      description: 'What finance wants',
      method: 'PUT',
      eventTypes: ['invoice.*', 'payment.made'],
      retryPolicy: { maxRetries: 2, delaysSeconds: [1, 2.5], jitter: 0 },
      timeoutMs: 100,
      rateLimitPerSecond: 0.5,
    };
    const { id } = await bed.createEndpoint({ ...given, headers: { 'X-Key': 'secret' } });
    const expected = { ...given, status: 'ACTIVE', headers: { 'X-Key': null }, routes: [{ name: 'Billing' }] };
    expect(await read(id)).toMatchObject(expected);
  });

  it.each([
    ['*', true],
    ['order.paid', true],
    ['order.*', true],
    ['order', false],
    ['order.paid.*', false],
    ['orders.*', false],
    ['order.paid.eu', false],
  ])('with event type %s gets an event of type order.paid: %s', async (pattern, isWanted) => {
    const { key } = await bed.createTenant(`pattern ${pattern}`);
    await bed.createEndpoint({ url: receiver.url('/pattern'), eventTypes: [pattern] }, { key });
    const { deliveryIds } = await bed.publish({ type: 'order.paid' }, { key });
    expect(deliveryIds).toHaveLength(isWanted ? 1 : 0);
  });

  it('with several event types that fit gets an event once', async () => {
    const type = 'several.types.fit';
    await bed.createEndpoint({ url: receiver.url('/once'), eventTypes: [type, 'several.*', 'several.types.*'] });
    const { deliveryIds } = await bed.publish({ type });
    expect(deliveryIds).toHaveLength(1);
  });
});

describe('updateEndpoint', () => {
  const given = {
    description: 'first',
    headers: { 'X-Key': 'secret' },
    rateLimitPerSecond: 100,
    retryPolicy: { maxRetries: 3, delaysSeconds: [7], jitter: 0.1 },
  };

  it('changes what is given and leaves the rest', async () => {
    const { id } = await createTarget(given);
    const before = await read(id);
    expect(await change('update', id, { name: 'Renamed' })).toEqual({ ...before, name: 'Renamed' });
    const policy = await change('update', id, { retryPolicy: { maxRetries: 5 } });
    expect(policy.retryPolicy).toEqual({ ...given.retryPolicy, maxRetries: 5 });
    const { routes, eventTypes } = await change('update', id, { eventTypes: ['other.*'] });
    expect(eventTypes).toEqual(['other.*']);
    expect(routes).toMatchObject([{ eventTypes: ['other.*'] }]);
  });

  it('with null takes away description, headers and rate limit', async () => {
    const { id } = await createTarget(given);
    const before = await read(id);
    const cleared = await change('update', id, { description: null, headers: null, rateLimitPerSecond: null });
    expect(cleared).toEqual({ ...before, description: null, headers: {}, rateLimitPerSecond: null });
  });

  it('with null leaves what an endpoint can not be without', async () => {
    const { id } = await createTarget(given);
    const before = await read(id);
    const nothing = { url: null, name: null, method: null, eventTypes: null, retryPolicy: null, timeoutMs: null };
    expect(await change('update', id, nothing)).toEqual(before);
  });

  it('counts for the next attempt of deliveries that wait already', async () => {
    receiver.answer = ({ path }) => ({ status: path.endsWith('-moved') ? 200 : 500 });
    const target = await createTarget(ONE_HOUR);
    const deliveryId = await target.publish();
    await bed.waitForStatus(deliveryId, 'RETRYING');
    const path = `${target.path}-moved`;
    await change('update', target.id, { url: receiver.url(path), method: 'PUT', headers: { 'X-New': 'yes' } });
    await makeDue(deliveryId);
    await bed.waitForStatus(deliveryId, 'DELIVERED');
    expect(receiver.to(path)).toMatchObject([{ method: 'PUT', headers: { 'x-new': 'yes' } }]);
  });

  it('leaves the endpoint as it is where one value is wrong', async () => {
    const { id } = await createTarget(given);
    const before = await read(id);
    expect(await change('update', id, { name: 'New', timeoutMs: 1 })).toMatchObject({
      __typename: 'InvalidInputError',
    });
    expect(await read(id)).toEqual(before);
  });
});

describe('deleteEndpoint', () => {
  it('takes the endpoint away, and its history stays readable', async () => {
    const target = await createTarget();
    const deliveryId = await target.publish();
    const { attempts } = await bed.waitForStatus(deliveryId, 'DELIVERED');
    await change('delete', target.id);
    expect(await read(target.id)).toBeNull();
    const { data } = await bed.graphql(
      `query ($delivery: ID!, $attempt: ID!) {
        delivery(id: $delivery) { status endpoint { id url } }
        deliveryAttempt(id: $attempt) { status endpoint { id } } }`,
      { delivery: deliveryId, attempt: attempts[0]?.id },
    );
    expect(data).toEqual({
      delivery: { status: 'DELIVERED', endpoint: { id: target.id, url: receiver.url(target.path) } },
      deliveryAttempt: { status: 'SUCCEEDED', endpoint: { id: target.id } },
    });
  });

  it('ends it for new events and for every mutation', async () => {
    const target = await createTarget();
    await change('delete', target.id);
    expect((await bed.publish({ type: target.type })).deliveryIds).toEqual([]);
    for (const verb of ['update', 'delete', 'pause', 'resume', 'disable', 'enable'] as const) {
      expect(await change(verb, target.id)).toMatchObject({ __typename: 'NotFoundError' });
    }
  });

  it('skips what is held, what waits in the lane and what waits for a retry', async () => {
    const held = await createTarget();
    await change('pause', held.id);
    const heldId = await held.publish();
    const queued = await createTarget({ rateLimitPerSecond: 0.001 });
    const firstId = await queued.publish();
    await bed.waitForStatus(firstId, 'DELIVERED');
    const queuedId = await queued.publish();
    receiver.answer = () => ({ status: 500 });
    const retrying = await createTarget(ONE_HOUR);
    const retryingId = await retrying.publish();
    await bed.waitForStatus(retryingId, 'RETRYING');
    for (const { id } of [held, queued, retrying]) await change('delete', id);
    await makeDue(retryingId);
    for (const id of [heldId, queuedId, retryingId]) {
      expect(await bed.waitForStatus(id, 'SKIPPED')).toMatchObject({ nextAttemptAt: null });
    }
    expect(receiver.to(held.path)).toEqual([]);
    expect(receiver.to(queued.path)).toHaveLength(1);
    expect(receiver.to(retrying.path)).toHaveLength(1);
  });
});

describe('pauseEndpoint and resumeEndpoint', () => {
  it('hold what is published meanwhile and send it in order when the endpoint is resumed', async () => {
    const target = await createTarget();
    expect((await change('pause', target.id)).status).toBe('PAUSED');
    const ids: string[] = [];
    for (let index = 0; index < 20; index += 1) ids.push(await target.publish());
    expect(await countStatuses(target)).toEqual({ HELD: 20 });
    expect(receiver.to(target.path)).toEqual([]);
    expect((await change('resume', target.id)).status).toBe('ACTIVE');
    const deliveries = [];
    for (const id of ids) deliveries.push(await bed.waitForStatus(id, 'DELIVERED'));
    expect(deliveries.every(({ attemptCount }) => attemptCount === 1)).toBe(true);
    const startedAt = deliveries.map(({ attempts }) => attempts[0]?.createdAt);
    expect(startedAt).toEqual(startedAt.toSorted());
    expect(receiver.to(target.path)).toHaveLength(20);
  });

  it('hold what waits for a retry when it comes due, and go on with its schedule', async () => {
    receiver.answer = () => ({ status: 500 });
    const target = await createTarget(ONE_HOUR);
    const deliveryId = await target.publish();
    await bed.waitForStatus(deliveryId, 'RETRYING');
    await change('pause', target.id);
    await makeDue(deliveryId);
    expect(await bed.waitForStatus(deliveryId, 'HELD')).toMatchObject({ retryCount: 0, attemptCount: 1 });
    receiver.answer = () => ({});
    await change('resume', target.id);
    const delivery = await bed.waitForStatus(deliveryId, 'DELIVERED');
    expect(delivery).toMatchObject({ retryCount: 1, attempts: [{ trigger: 'INITIAL' }, { trigger: 'RETRY' }] });
  });

  it('let an attempt that is in flight finish and count', async () => {
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    const target = await createTarget();
    const deliveryId = await target.publish();
    await receiver.waitFor(1, target.path);
    await change('pause', target.id);
    gate.open({ status: 200 });
    expect((await bed.waitForStatus(deliveryId, 'DELIVERED')).attemptCount).toBe(1);
  });

  it('can be called again without effect, and do not touch a disabled endpoint', async () => {
    const { id } = await createTarget();
    await change('pause', id);
    expect((await change('pause', id)).status).toBe('PAUSED');
    await change('resume', id);
    expect((await change('resume', id)).status).toBe('ACTIVE');
    const disabled = await change('disable', id, { reason: 'No longer wanted' });
    expect(await change('pause', id)).toEqual(disabled);
    expect(await change('resume', id)).toEqual(disabled);
  });

  it('called again and again while events are published lose nothing and send nothing twice', async () => {
    const target = await createTarget();
    let isPublishing = true;
    const toggling = (async () => {
      while (isPublishing) {
        await change('pause', target.id);
        await change('resume', target.id);
      }
    })();
    for (let left = 60; left > 0; left -= 1) await Promise.all([1, 2, 3, 4, 5].map(() => target.publish()));
    isPublishing = false;
    await toggling;
    await waitForStatuses(target, { DELIVERED: 300 });
    const ids = receiver.to(target.path).map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids).size).toBe(300);
    expect(ids).toHaveLength(300);
  }, 40_000);

  it('called while the lane is just closing leave nothing held for ever', async () => {
    const target = await createTarget();
    await bed.database.query(
      `with worker as (insert into workers (id, seen_until) values ($1, now() + interval '1 hour'))
      insert into lanes (endpoint_id, leased_by) values ($1, $1)`,
      [target.uuid],
    );
    await runAgainst(
      async (client) => expect(await closeLane(client, target.uuid)).toBe(true),
      () => change('pause', target.id),
    );
    await bed.database.query('delete from workers where id = $1', [target.uuid]);
    const deliveryId = await target.publish();
    expect(await readStatus(deliveryId)).toBe('HELD');
    await change('resume', target.id);
    await bed.waitForStatus(deliveryId, 'DELIVERED');
  });

  it('called while the endpoint is being disabled leave it disabled', async () => {
    const { id, uuid } = await createTarget();
    await change('pause', id);
    await runAgainst(
      (client) =>
        client.query(
          `update endpoints set status = 'DISABLED', disabled_reason = 'gone', disabled_at = now() where id = $1`,
          [uuid],
        ),
      () => change('resume', id),
    );
    expect(await read(id)).toMatchObject({ status: 'DISABLED', disabledReason: 'gone' });
  });
});

describe('disableEndpoint and enableEndpoint', () => {
  it('skip what is published meanwhile, say why, and send again what comes later', async () => {
    const target = await createTarget();
    const disabled = await change('disable', target.id, { reason: 'Too many failures' });
    expect(disabled).toMatchObject({ status: 'DISABLED', disabledReason: 'Too many failures' });
    expect(disabled.disabledAt).not.toBeNull();
    const skipped = await target.publish();
    expect(await bed.readDelivery(skipped)).toMatchObject({ status: 'SKIPPED', attemptCount: 0, nextAttemptAt: null });
    const enabled = await change('enable', target.id);
    expect(enabled).toMatchObject({ status: 'ACTIVE', disabledReason: null, disabledAt: null });
    const later = await target.publish();
    await bed.waitForStatus(later, 'DELIVERED');
    expect(await readStatus(skipped)).toBe('SKIPPED');
    expect(receiver.to(target.path)).toHaveLength(1);
  });

  it('give a reason where none was given, and keep the first one', async () => {
    const { id } = await createTarget();
    const disabled = await change('disable', id);
    expect(disabled.disabledReason).toMatch(/./);
    expect(await change('disable', id, { reason: 'Again' })).toEqual(disabled);
  });

  it('skip what is held, what waits in the lane and what waits for a retry', async () => {
    receiver.answer = () => ({ status: 500 });
    const retrying = await createTarget(ONE_HOUR);
    const retryingId = await retrying.publish();
    await bed.waitForStatus(retryingId, 'RETRYING');
    const held = await createTarget();
    await change('pause', held.id);
    const heldId = await held.publish();
    const queued = await createTarget({ rateLimitPerSecond: 0.001 });
    await queued.publish();
    await receiver.waitFor(1, queued.path);
    const queuedId = await queued.publish();
    for (const { id } of [retrying, held, queued]) await change('disable', id);
    await makeDue(retryingId);
    for (const id of [retryingId, heldId, queuedId]) await bed.waitForStatus(id, 'SKIPPED');
    expect(receiver.to(retrying.path)).toHaveLength(1);
    expect(receiver.to(held.path)).toEqual([]);
    expect(receiver.to(queued.path)).toHaveLength(1);
  });

  it('called again and again while events are published leave each delivered or skipped', async () => {
    const target = await createTarget();
    let isPublishing = true;
    const toggling = (async () => {
      while (isPublishing) {
        await change('disable', target.id);
        await change('enable', target.id);
      }
    })();
    for (let left = 30; left > 0; left -= 1) await Promise.all([1, 2, 3, 4, 5].map(() => target.publish()));
    isPublishing = false;
    await toggling;
    const { DELIVERED = 0 } = await until(async () => {
      const statuses = await countStatuses(target);
      return (statuses.DELIVERED ?? 0) + (statuses.SKIPPED ?? 0) === 150 ? statuses : null;
    }, 'every delivery to be at its end');
    expect(receiver.to(target.path)).toHaveLength(DELIVERED);
  }, 40_000);
});
