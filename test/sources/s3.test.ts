import { beforeAll, describe, expect, it } from 'vitest';
import { type GraphqlOptions, type Tenant, until, useTestBed } from '../support/posthorn.ts';
import { type ReceivedRequest, useReceiver } from '../support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();
let tenant: Tenant;
/** The operator's key, acting in the tenant's organization. */
let asTenant: GraphqlOptions;

beforeAll(async () => {
  tenant = await bed.createTenant('Bakery');
  asTenant = { headers: { 'x-organization-id': tenant.organizationId } };
});

const DELIVERY = `
  id organization { id } endpoint { id name url } status attemptCount
  lastAttempt { responseStatus error { message } createdAt }
  nextAttemptAt deliveredAt createdAt updatedAt`;

const ATTEMPT = `
  number trigger status responseStatus responseBody responseHeaders durationMs error { code message }
  nextAttemptAt isDeadLetter deadLetteredAt createdAt`;

const RECORD = `mutation ($input: RecordDeliveryAttemptInput!) { recordDeliveryAttempt(input: $input) { __typename
  ... on RecordDeliveryAttemptPayload {
    event { id organization { id } type sourceKey status endpointCount payload createdAt updatedAt
      deliveries { edges { node { ${DELIVERY} } } } }
    delivery { ${DELIVERY} deadLetteredAt }
    attempt { ${ATTEMPT} } }
  ... on DeliveryAtEndError { message delivery { id status } }
  ... on InvalidInputError { message issues { path message } }
  ... on NotFoundError { message } } }`;

const record = (input: object, options = asTenant) => bed.ask(RECORD, { input }, options);

const read = (id: string) =>
  bed.ask(
    `query ($id: ID!) { delivery(id: $id) { ${DELIVERY} deadLetteredAt retryCount
      attempts(last: 50) { edges { node { ${ATTEMPT} } } } } }`,
    { id },
    asTenant,
  );

const waitFor = (id: string, status: string, attemptCount = 0) =>
  until(async () => {
    const delivery = await read(id);
    return delivery.status === status && delivery.attemptCount >= attemptCount && delivery;
  }, `delivery ${id} to be ${status}`);

const LATER = { delaysSeconds: [3600], jitter: 0, maxRetries: 3 };

const createEndpoint = (name: string, type: string, retryPolicy: object = LATER) =>
  bed.createEndpoint({ url: receiver.url(`/${name}`), name, eventTypes: [type], retryPolicy }, asTenant);

/** Publishes to a new endpoint, which fails. @returns the delivery, waiting for its retry */
async function publishFailing(name: string, retryPolicy: object = LATER) {
  receiver.answer = () => ({ status: 500 });
  await createEndpoint(name, `s3.${name}`, retryPolicy);
  const { deliveryIds } = await bed.publish({ type: `s3.${name}` }, asTenant);
  return waitFor(deliveryIds[0] as string, 'RETRYING');
}

const change = (name: string, endpointId: string) =>
  bed.ask(`mutation ($id: ID!) { ${name}(input: { endpointId: $id }) { __typename } }`, { id: endpointId }, asTenant);

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();
const ms = (time: string) => Date.parse(time);

function expectBetween(time: string, from: number, to = Date.now()) {
  expect(ms(time)).toBeGreaterThanOrEqual(from);
  expect(ms(time)).toBeLessThanOrEqual(to);
}

describe('S3: what recording an attempt answers', () => {
  it('DELIVERED ends the delivery and answers the event with all its deliveries', async () => {
    receiver.answer = ({ path }) => ({ status: path === '/full-a' ? 200 : 500 });
    const a = await createEndpoint('full-a', 's3.full');
    const b = await createEndpoint('full-b', 's3.full');
    const beganAt = Date.now();
    const payload = { bread: ['rye', 'spelt'] };
    const made = await bed.publish({ type: 's3.full', payload, sourceKey: 'order-9' }, asTenant);
    const before = await Promise.all(
      made.deliveryIds.map((id) => until(async () => (await read(id)).attemptCount === 1 && read(id), 'an attempt')),
    );
    const ofA = before.find((delivery) => delivery.endpoint.id === a.id);
    const ofB = before.find((delivery) => delivery.endpoint.id === b.id);
    expect([ofA.status, ofB.status]).toEqual(['DELIVERED', 'RETRYING']);

    const askedAt = Date.now();
    const input = { deliveryId: ofB.id, status: 'DELIVERED', responseStatus: 299, responseBody: 'taken' };
    const { event, delivery, attempt } = await record(input);
    const { deliveries, ...rest } = event;
    expect(rest).toEqual({
      id: made.id,
      organization: { id: tenant.organizationId },
      type: 's3.full',
      sourceKey: 'order-9',
      status: 'DELIVERED',
      endpointCount: 2,
      payload,
      createdAt: expect.any(String),
      updatedAt: delivery.updatedAt,
    });
    expectBetween(event.createdAt, beganAt, receiver.requests[0]?.receivedAt ?? 0);
    const { deadLetteredAt, ...listed } = delivery;
    const { attempts: _, deadLetteredAt: __, retryCount: ___, ...listedA } = ofA;
    const newestFirst = [listed, listedA].sort((one, two) => (one.id < two.id ? 1 : -1));
    expect(deliveries.edges.map((edge: { node: object }) => edge.node)).toEqual(newestFirst);
    expect(listedA).toMatchObject({
      organization: { id: tenant.organizationId },
      endpoint: { id: a.id, name: 'full-a', url: receiver.url('/full-a') },
      lastAttempt: { responseStatus: 200, error: null },
    });
    expect(listed).toEqual({
      id: ofB.id,
      organization: { id: tenant.organizationId },
      endpoint: { id: b.id, name: 'full-b', url: receiver.url('/full-b') },
      status: 'DELIVERED',
      attemptCount: 2,
      lastAttempt: { responseStatus: 299, error: null, createdAt: attempt.createdAt },
      nextAttemptAt: null,
      deliveredAt: expect.any(String),
      createdAt: ofB.createdAt,
      updatedAt: expect.any(String),
    });
    expect(deadLetteredAt).toBeNull();
    for (const time of [delivery.updatedAt, delivery.deliveredAt, attempt.createdAt]) expectBetween(time, askedAt);
    expect(attempt).toMatchObject({ number: 2, trigger: 'EXTERNAL', status: 'SUCCEEDED', error: null });
    expect(attempt).toMatchObject({ responseStatus: 299, responseBody: 'taken', responseHeaders: null });
    expect(attempt).toMatchObject({ durationMs: null, nextAttemptAt: null, isDeadLetter: false, deadLetteredAt: null });
  });

  it('FAILED makes the delivery a dead letter, with the reason given', async () => {
    const { id } = await publishFailing('failed');
    const askedAt = Date.now();
    const input = { deliveryId: id, status: 'FAILED', responseStatus: 422, error: 'refused by hand' };
    const { event, delivery, attempt } = await record(input);
    expect(event).toMatchObject({ status: 'FAILED', endpointCount: 1, sourceKey: null, updatedAt: delivery.updatedAt });
    expect(delivery).toMatchObject({ status: 'FAILED', attemptCount: 2, nextAttemptAt: null, deliveredAt: null });
    expect(delivery.lastAttempt).toMatchObject({ responseStatus: 422, error: { message: 'refused by hand' } });
    expect(attempt).toMatchObject({ number: 2, trigger: 'EXTERNAL', status: 'FAILED', isDeadLetter: true });
    expect(attempt.error).toEqual({ code: 'EXTERNAL', message: 'refused by hand' });
    expect(attempt.deadLetteredAt).toBe(delivery.deadLetteredAt);
    expectBetween(delivery.deadLetteredAt, askedAt);
  });

  it('RETRY_SCHEDULED makes the next attempt at the time given, not earlier', async () => {
    const { id } = await publishFailing('scheduled');
    receiver.answer = () => ({ status: 200 });
    const nextAttemptAt = inSeconds(1.5);
    const { event, delivery, attempt } = await record({ deliveryId: id, status: 'RETRY_SCHEDULED', nextAttemptAt });
    expect(event.status).toBe('PENDING');
    expect(delivery).toMatchObject({ status: 'RETRYING', attemptCount: 2, nextAttemptAt, deliveredAt: null });
    expect(delivery.lastAttempt).toEqual({ responseStatus: null, error: null, createdAt: attempt.createdAt });
    expect(attempt).toMatchObject({ trigger: 'EXTERNAL', status: 'FAILED', nextAttemptAt, isDeadLetter: false });
    const [, second] = (await receiver.waitFor(2, '/scheduled')) as [ReceivedRequest, ReceivedRequest];
    expect(second.receivedAt).toBeGreaterThanOrEqual(ms(nextAttemptAt));
    expect(await waitFor(id, 'DELIVERED')).toMatchObject({ attemptCount: 3, lastAttempt: { responseStatus: 200 } });
  });

  it('PENDING makes the next attempt now', async () => {
    const { id } = await publishFailing('pending');
    const { promise, resolve: release } = Promise.withResolvers<void>();
    receiver.answer = () => promise.then(() => ({ status: 200 }));
    const { event, delivery, attempt } = await record({ deliveryId: id, status: 'PENDING', error: 'busy' });
    expect(event.status).toBe('PENDING');
    expect(delivery).toMatchObject({ status: 'PENDING', attemptCount: 2, nextAttemptAt: null, deliveredAt: null });
    expect(attempt).toMatchObject({ number: 2, trigger: 'EXTERNAL', status: 'FAILED', nextAttemptAt: null });
    expect(attempt.error).toEqual({ code: 'EXTERNAL', message: 'busy' });
    await receiver.waitFor(2, '/pending');
    release();
    const { attempts } = await waitFor(id, 'DELIVERED');
    expect(attempts.edges[0].node).toMatchObject({ number: 3, status: 'SUCCEEDED', responseStatus: 200 });
  });
});

describe('S3: the older plan', () => {
  it('whatever is recorded, the retry that was planned does not go out any more', async () => {
    const policy = { delaysSeconds: [3], jitter: 0, maxRetries: 1 };
    const names = ['old-delivered', 'old-failed', 'old-scheduled', 'old-pending'];
    const [delivered, failed, scheduled, pending] = await Promise.all(
      names.map((name) => publishFailing(name, policy)),
    );
    const canary = await publishFailing('canary');
    receiver.answer = () => ({ status: 200 });
    const planned = [delivered, failed, scheduled, pending].map((delivery) => ms(delivery.nextAttemptAt));
    const afterAll = new Date(Math.max(...planned) + 1_000).toISOString();
    await record({ deliveryId: delivered.id, status: 'DELIVERED' });
    await record({ deliveryId: failed.id, status: 'FAILED' });
    await record({ deliveryId: scheduled.id, status: 'RETRY_SCHEDULED', nextAttemptAt: inSeconds(3600) });
    await record({ deliveryId: pending.id, status: 'PENDING' });
    await record({ deliveryId: canary.id, status: 'RETRY_SCHEDULED', nextAttemptAt: afterAll });
    await receiver.waitFor(2, '/canary');
    expect(names.map((name) => receiver.to(`/${name}`).length)).toEqual([1, 1, 1, 2]);
    expect(await read(delivered.id)).toMatchObject({ status: 'DELIVERED', attemptCount: 2 });
    expect(await read(failed.id)).toMatchObject({ status: 'FAILED', attemptCount: 2 });
    expect(await read(scheduled.id)).toMatchObject({ status: 'RETRYING', attemptCount: 2 });
    expect(await read(pending.id)).toMatchObject({ status: 'DELIVERED', attemptCount: 3 });
  });

  it('a delivery held for a paused endpoint does not go out with the others after its attempt was recorded', async () => {
    const endpoint = await createEndpoint('held', 's3.held');
    await change('pauseEndpoint', endpoint.id);
    const first = await bed.publish({ type: 's3.held' }, asTenant);
    const second = await bed.publish({ type: 's3.held' }, asTenant);
    const answer = await record({ deliveryId: first.deliveryIds[0], status: 'DELIVERED' });
    expect(answer.delivery).toMatchObject({ status: 'DELIVERED', attemptCount: 1 });
    await change('resumeEndpoint', endpoint.id);
    await waitFor(second.deliveryIds[0] as string, 'DELIVERED');
    expect(receiver.to('/held').map((request) => request.headers['webhook-id'])).toEqual([second.id]);
  });

  it('an attempt in flight while another one is recorded goes on record behind it and decides nothing', async () => {
    const { promise, resolve: release } = Promise.withResolvers<void>();
    receiver.answer = () => promise.then(() => ({ status: 500 }));
    await createEndpoint('flight', 's3.flight', { delaysSeconds: [1], jitter: 0, maxRetries: 5 });
    const { deliveryIds } = await bed.publish({ type: 's3.flight' }, asTenant);
    const id = deliveryIds[0] as string;
    await receiver.waitFor(1, '/flight');
    const { delivery } = await record({ deliveryId: id, status: 'DELIVERED', responseStatus: 200 });
    release();
    const { deliveredAt, nextAttemptAt, attempts } = await waitFor(id, 'DELIVERED', 2);
    expect({ deliveredAt, nextAttemptAt }).toEqual({ deliveredAt: delivery.deliveredAt, nextAttemptAt: null });
    const late = { number: 2, trigger: 'INITIAL', status: 'FAILED', nextAttemptAt: null };
    expect(attempts.edges.map((edge: { node: object }) => edge.node)).toContainEqual(expect.objectContaining(late));
  });
});

describe('S3: what may be recorded', () => {
  it('statuses from 100 to 599, any JSON as body, and null for all that is not known', async () => {
    const { id } = await publishFailing('inputs');
    const put = async (input: object) => {
      const base = { deliveryId: id, status: 'RETRY_SCHEDULED', nextAttemptAt: inSeconds(3600) };
      const { responseStatus, responseBody, error } = (await record({ ...base, ...input })).attempt;
      return [responseStatus, responseBody, error?.message ?? null];
    };
    expect(await put({ responseStatus: 100, responseBody: 'plain', error: 'x' })).toEqual([100, 'plain', 'x']);
    expect(await put({ responseStatus: 599, responseBody: { a: [1] } })).toEqual([599, '{"a":[1]}', null]);
    expect(await put({ responseBody: '€'.repeat(2000) })).toEqual([null, '€'.repeat(1365), null]);
    expect(await put({ responseStatus: null, responseBody: null, error: null })).toEqual([null, null, null]);
    expect(await read(id)).toMatchObject({ attemptCount: 5, retryCount: 0, status: 'RETRYING' });
    const { delivery } = await record({ deliveryId: id, status: 'FAILED', nextAttemptAt: null });
    expect(delivery).toMatchObject({ attemptCount: 6, status: 'FAILED' });
  });

  it('what is out of range, empty or at the wrong time is an InvalidInputError, and nothing is stored', async () => {
    const { id } = await publishFailing('invalid');
    const faults: [object, string][] = [
      [{ status: 'FAILED', responseStatus: 99 }, 'responseStatus'],
      [{ status: 'FAILED', responseStatus: 600 }, 'responseStatus'],
      [{ status: 'FAILED', error: '' }, 'error'],
      [{ status: 'RETRY_SCHEDULED' }, 'nextAttemptAt'],
      [{ status: 'RETRY_SCHEDULED', nextAttemptAt: inSeconds(-1) }, 'nextAttemptAt'],
      [{ status: 'PENDING', nextAttemptAt: inSeconds(60) }, 'nextAttemptAt'],
      [{ status: 'DELIVERED', nextAttemptAt: inSeconds(60) }, 'nextAttemptAt'],
      [{ status: 'FAILED', nextAttemptAt: inSeconds(60) }, 'nextAttemptAt'],
      [{ status: 'FAILED', deliveryId: 'nonsense' }, 'deliveryId'],
    ];
    for (const [input, path] of faults) {
      const answer = await record({ deliveryId: id, ...input });
      expect(answer).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: [path] }] });
    }
    expect(await read(id)).toMatchObject({ status: 'RETRYING', attemptCount: 1 });
  });

  it('a skipped event stays skipped: a delivery at its end takes no more', async () => {
    const endpoint = await createEndpoint('skipped', 's3.skipped');
    await change('disableEndpoint', endpoint.id);
    const made = await bed.publish({ type: 's3.skipped' }, asTenant);
    const deliveryId = made.deliveryIds[0];
    expect(await record({ deliveryId, status: 'DELIVERED' })).toEqual({
      __typename: 'DeliveryAtEndError',
      message: expect.stringContaining('at its end'),
      delivery: { id: deliveryId, status: 'SKIPPED' },
    });
    const query = 'query ($id: ID!) { event(id: $id) { status endpointCount } }';
    expect(await bed.ask(query, { id: made.id }, asTenant)).toEqual({ status: 'SKIPPED', endpointCount: 1 });
  });

  it('x-organization-id names the organization for the operator only, and must name one', async () => {
    const { id } = await publishFailing('organization');
    const input = { deliveryId: id, status: 'DELIVERED' };
    const viewer = '{ viewer { organization { id } environment { id } } }';
    expect(await bed.ask(viewer, {}, asTenant)).toEqual({
      organization: { id: tenant.organizationId },
      environment: { id: tenant.environmentId },
    });
    const other = await bed.createTenant('Butcher');
    expect((await record(input, {})).__typename).toBe('NotFoundError');
    const refused = await bed.graphql(RECORD, { input }, { key: other.key, ...asTenant });
    expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN' });
    for (const name of [tenant.environmentId, `${tenant.organizationId.slice(0, -4)}0000`]) {
      const answer = await bed.graphql(RECORD, { input }, { headers: { 'x-organization-id': name } });
      const requestId = answer.headers.get('x-request-id');
      expect(answer.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', requestId });
    }
    expect(await read(id)).toMatchObject({ status: 'RETRYING', attemptCount: 1 });
  });
});
