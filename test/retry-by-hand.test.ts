import { describe, expect, it } from 'vitest';
import { type DeliveryState, until, useTestBed } from './support/posthorn.ts';
import { type ReceiverAnswer, useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const ONE_HOUR = { retryPolicy: { maxRetries: 3, delaysSeconds: [3_600], jitter: 0 } };
const NO_RETRIES = { retryPolicy: { maxRetries: 0 } };

const FAILED: ReceiverAnswer = { status: 500 };
const SUCCEEDED: ReceiverAnswer = { status: 204 };

/** A promise that is kept from outside: an answer that the receiver holds back. */
function makeGate() {
  let open: (answer: ReceiverAnswer) => void = () => {};
  const opened = new Promise<ReceiverAnswer>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

let count = 0;

/** An endpoint that gets events of a type of its own. */
async function createTarget(input: Record<string, unknown> = ONE_HOUR) {
  count += 1;
  const path = `/target-${count}`;
  const type = `target-${count}.happened`;
  const { id } = await bed.createEndpoint({ url: receiver.url(path), eventTypes: [type], ...input });
  const publish = async () => {
    const published = await bed.publish({ type });
    return { eventId: published.id, deliveryId: published.deliveryIds[0] as string };
  };
  return { id, path, type, publish };
}

const DELIVERY = 'id status attemptCount retryCount nextAttemptAt';

const retry = (deliveryId: string, restartSchedule?: boolean) =>
  bed.ask(
    `mutation ($input: RetryDeliveryInput!) { retryDelivery(input: $input) { __typename
      ... on RetryDeliveryPayload { delivery { ${DELIVERY} } }
      ... on DeliveryNotRetryableError { message reason delivery { ${DELIVERY} } }
      ... on NotFoundError { message } } }`,
    { input: { deliveryId, restartSchedule } },
  );

const retryAttempt = (attemptId: string) =>
  bed.ask(
    `mutation ($input: RetryDeliveryAttemptInput!) { retryDeliveryAttempt(input: $input) { __typename
      ... on RetryDeliveryAttemptPayload { attempt { id } delivery { ${DELIVERY} } }
      ... on DeliveryNotRetryableError { message reason delivery { ${DELIVERY} } }
      ... on NotFoundError { message } } }`,
    { input: { attemptId } },
  );

const retryEvent = (eventId: string, endpointId?: string) =>
  bed.ask(
    `mutation ($input: RetryEventInput!) { retryEvent(input: $input) { __typename
      ... on RetryEventPayload { endpointCount message event { id endpointCount status } deliveries { id endpoint { id } } }
      ... on DeliveryNotRetryableError { reason delivery { id } }
      ... on InvalidInputError { issues { path message } }
      ... on NotFoundError { message } } }`,
    { input: { eventId, endpointId } },
  );

const cancel = (deliveryId: string) =>
  bed.ask(
    `mutation ($input: CancelDeliveryInput!) { cancelDelivery(input: $input) { __typename
      ... on CancelDeliveryPayload { delivery { ${DELIVERY} } }
      ... on DeliveryAtEndError { message delivery { ${DELIVERY} } }
      ... on NotFoundError { message } } }`,
    { input: { deliveryId } },
  );

const record = (input: { deliveryId: string; status: string } & Record<string, unknown>) =>
  bed.ask(
    `mutation ($input: RecordDeliveryAttemptInput!) { recordDeliveryAttempt(input: $input) { __typename
      ... on RecordDeliveryAttemptPayload { delivery { ${DELIVERY} } attempt { id number trigger status nextAttemptAt isDeadLetter } }
      ... on DeliveryAtEndError { delivery { id } }
      ... on InvalidInputError { issues { path message } } } }`,
    { input },
  );

const setEndpointStatus = (verb: 'pause' | 'resume' | 'disable' | 'enable' | 'delete', endpointId: string) => {
  const name = `${verb[0]?.toUpperCase()}${verb.slice(1)}Endpoint`;
  const sql = `mutation ($input: ${name}Input!) { ${verb}Endpoint(input: $input) {
    ... on ${name}Payload { endpoint { status } } } }`;
  return bed.ask(sql, { input: { endpointId } });
};

const waitForAttempts = (deliveryId: string, attemptCount: number) =>
  until(async () => {
    const delivery = await bed.readDelivery(deliveryId);
    return delivery.attemptCount >= attemptCount && delivery.status !== 'PENDING' ? delivery : null;
  }, `${attemptCount} attempts of ${deliveryId}`);

const triggersOf = ({ attempts }: DeliveryState) => attempts.map(({ trigger, status }) => `${trigger} ${status}`);

/** A delivery that failed once and waits for its first automatic retry. */
async function failOnce() {
  receiver.answer = () => FAILED;
  const target = await createTarget(ONE_HOUR);
  const published = await target.publish();
  return { target, ...published, before: await bed.waitForStatus(published.deliveryId, 'RETRYING') };
}

describe('a retry by hand while the schedule runs', () => {
  it('that fails leaves the schedule as it was: same next time, same retries left', async () => {
    const { deliveryId, before } = await failOnce();
    for (const attemptCount of [2, 3, 4, 5, 6]) {
      expect(await retry(deliveryId)).toMatchObject({
        __typename: 'RetryDeliveryPayload',
        delivery: { id: deliveryId, nextAttemptAt: before.nextAttemptAt },
      });
      const { attempts, updatedAt, ...after } = await waitForAttempts(deliveryId, attemptCount);
      const { attempts: _, updatedAt: __, ...expected } = { ...before, attemptCount };
      expect(after).toEqual(expected);
      expect(attempts.at(-1)).toMatchObject({
        number: attemptCount,
        trigger: 'MANUAL',
        status: 'FAILED',
        nextAttemptAt: null,
        isDeadLetter: false,
      });
    }
  });

  it('that fails leaves the automatic retry to go out at its time, with the whole rest of the schedule', async () => {
    receiver.answer = () => FAILED;
    const target = await createTarget({ retryPolicy: { maxRetries: 2, delaysSeconds: [2], jitter: 0 } });
    const { deliveryId } = await target.publish();
    await bed.waitForStatus(deliveryId, 'RETRYING');
    await retry(deliveryId);
    const delivery = await bed.waitForStatus(deliveryId, 'FAILED');
    expect(triggersOf(delivery)).toEqual(['INITIAL FAILED', 'MANUAL FAILED', 'RETRY FAILED', 'RETRY FAILED']);
    expect(delivery).toMatchObject({ retryCount: 2, attemptCount: 4 });
    const [first, , second] = delivery.attempts;
    expect(Date.parse(second?.createdAt ?? '')).toBeGreaterThanOrEqual(Date.parse(first?.nextAttemptAt ?? ''));
  });

  it('that is still in flight when the automatic retry comes due holds it back, and it follows at once', async () => {
    const gate = makeGate();
    receiver.answer = () => FAILED;
    const target = await createTarget({ retryPolicy: { maxRetries: 1, delaysSeconds: [1], jitter: 0 } });
    const { deliveryId } = await target.publish();
    const before = await bed.waitForStatus(deliveryId, 'RETRYING');
    receiver.answer = () => (receiver.to(target.path).length === 2 ? gate.opened : SUCCEEDED);
    await retry(deliveryId);
    await receiver.waitFor(2, target.path);
    await until(() => Date.now() > Date.parse(before.nextAttemptAt as string), 'the automatic retry to be due');
    expect(await bed.readDelivery(deliveryId)).toMatchObject({ status: 'PENDING', attemptCount: 1 });
    expect(receiver.to(target.path)).toHaveLength(2);
    gate.open(FAILED);
    const delivery = await bed.waitForStatus(deliveryId, 'DELIVERED');
    expect(triggersOf(delivery)).toEqual(['INITIAL FAILED', 'MANUAL FAILED', 'RETRY SUCCEEDED']);
    expect(delivery.retryCount).toBe(1);
  });

  it('that succeeds delivers and drops the schedule', async () => {
    const { deliveryId, target } = await failOnce();
    receiver.answer = () => SUCCEEDED;
    await retry(deliveryId);
    const delivery = await bed.waitForStatus(deliveryId, 'DELIVERED');
    expect(delivery).toMatchObject({ nextAttemptAt: null, retryCount: 0, attemptCount: 2, deadLetteredAt: null });
    expect(delivery.deliveredAt).not.toBeNull();
    expect(triggersOf(delivery)).toEqual(['INITIAL FAILED', 'MANUAL SUCCEEDED']);
    expect(receiver.to(target.path)).toHaveLength(2);
  });

  it('is one request with the same webhook-id and body', async () => {
    const { deliveryId, eventId, target } = await failOnce();
    await retry(deliveryId);
    await waitForAttempts(deliveryId, 2);
    const [first, second, ...more] = receiver.to(target.path);
    expect(more).toEqual([]);
    expect(second?.headers['webhook-id']).toBe(eventId);
    expect(first?.headers['webhook-id']).toBe(eventId);
    expect(second?.body.equals(first?.body as Buffer)).toBe(true);
  });
});

describe('a second retry by hand', () => {
  it('is refused with ALREADY_QUEUED while the first attempt is in flight', async () => {
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    const target = await createTarget();
    const { deliveryId } = await target.publish();
    await receiver.waitFor(1, target.path);
    const refused = { __typename: 'DeliveryNotRetryableError', reason: 'ALREADY_QUEUED', delivery: { id: deliveryId } };
    expect(await retry(deliveryId)).toMatchObject(refused);
    expect(await retry(deliveryId, true)).toMatchObject(refused);
    gate.open(SUCCEEDED);
    const delivery = await bed.waitForStatus(deliveryId, 'DELIVERED');
    expect(delivery.attemptCount).toBe(1);
  });

  it('is refused while a retry by hand is in flight, by attempt, by delivery and by event', async () => {
    const { deliveryId, eventId, target, before } = await failOnce();
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    await retry(deliveryId);
    await receiver.waitFor(2, target.path);
    expect(await retry(deliveryId)).toMatchObject({ reason: 'ALREADY_QUEUED' });
    expect(await retryAttempt(before.attempts[0]?.id as string)).toMatchObject({ reason: 'ALREADY_QUEUED' });
    expect(await retryEvent(eventId, target.id)).toMatchObject({ reason: 'ALREADY_QUEUED' });
    expect(await retryEvent(eventId)).toMatchObject({ endpointCount: 0, deliveries: [] });
    gate.open(SUCCEEDED);
    expect((await bed.waitForStatus(deliveryId, 'DELIVERED')).attemptCount).toBe(2);
  });

  it('is refused while the first waits in its lane', async () => {
    const target = await createTarget({ rateLimitPerSecond: 0.001 });
    await target.publish();
    await receiver.waitFor(1, target.path);
    const { deliveryId } = await target.publish();
    expect(await retry(deliveryId)).toMatchObject({ reason: 'ALREADY_QUEUED' });
    await cancel(deliveryId);
  });

  it('of a double click sends once', async () => {
    const target = await createTarget();
    const deliveries = await Promise.all(Array.from({ length: 10 }, () => target.publish()));
    for (const { deliveryId } of deliveries) await bed.waitForStatus(deliveryId, 'DELIVERED');
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    for (const { deliveryId } of deliveries) {
      const answers = await Promise.all([retry(deliveryId), retry(deliveryId)]);
      expect(answers.map((answer) => answer.__typename).sort()).toEqual([
        'DeliveryNotRetryableError',
        'RetryDeliveryPayload',
      ]);
    }
    gate.open(SUCCEEDED);
    for (const { deliveryId } of deliveries) {
      expect(triggersOf(await waitForAttempts(deliveryId, 2))).toEqual(['INITIAL SUCCEEDED', 'MANUAL SUCCEEDED']);
    }
    expect(receiver.to(target.path)).toHaveLength(20);
  });
});

describe('restartSchedule', () => {
  it('gives a dead letter the whole schedule again', async () => {
    receiver.answer = () => FAILED;
    const target = await createTarget({ retryPolicy: { maxRetries: 1, delaysSeconds: [1], jitter: 0 } });
    const { deliveryId } = await target.publish();
    expect(await bed.waitForStatus(deliveryId, 'FAILED')).toMatchObject({ retryCount: 1, attemptCount: 2 });
    expect(await retry(deliveryId, true)).toMatchObject({ delivery: { retryCount: 0 } });
    const delivery = await until(async () => {
      const found = await bed.readDelivery(deliveryId);
      return found.status === 'FAILED' && found.attemptCount === 4 ? found : null;
    }, 'the schedule to be used up again');
    expect(triggersOf(delivery)).toEqual(['INITIAL FAILED', 'RETRY FAILED', 'MANUAL FAILED', 'RETRY FAILED']);
    expect(delivery.attempts.map(({ isDeadLetter }) => isDeadLetter)).toEqual([false, true, false, true]);
    expect(delivery.retryCount).toBe(1);
  });

  it('takes the place of the schedule that runs, with the policy that the endpoint has now', async () => {
    const { deliveryId, target, before } = await failOnce();
    await bed.ask(`mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }`, {
      input: { endpointId: target.id, retryPolicy: { maxRetries: 7, delaysSeconds: [7_200] } },
    });
    await retry(deliveryId, true);
    const delivery = await waitForAttempts(deliveryId, 2);
    expect(delivery).toMatchObject({ status: 'RETRYING', retryCount: 0, maxRetries: 7 });
    expect(delivery.attempts[1]).toMatchObject({ trigger: 'MANUAL', nextAttemptAt: delivery.nextAttemptAt });
    const laterMs = Date.parse(delivery.nextAttemptAt as string) - Date.parse(before.nextAttemptAt as string);
    expect(laterMs).toBeGreaterThanOrEqual(3_600_000);
  });
});

describe('a retry by hand of a delivery at its end', () => {
  it('that fails leaves a delivered one delivered, since when it was', async () => {
    const target = await createTarget();
    const { deliveryId } = await target.publish();
    const before = await bed.waitForStatus(deliveryId, 'DELIVERED');
    receiver.answer = () => FAILED;
    await retry(deliveryId);
    const after = await waitForAttempts(deliveryId, 2);
    expect(after).toMatchObject({ status: 'DELIVERED', deliveredAt: before.deliveredAt, nextAttemptAt: null });
    expect(triggersOf(after)).toEqual(['INITIAL SUCCEEDED', 'MANUAL FAILED']);
    expect(after.deadLetteredAt).toBeNull();
  });

  it('that fails leaves a dead letter as it is, and the attempt is not what made it one', async () => {
    receiver.answer = () => FAILED;
    const target = await createTarget(NO_RETRIES);
    const { deliveryId } = await target.publish();
    const before = await bed.waitForStatus(deliveryId, 'FAILED');
    await retry(deliveryId);
    const after = await waitForAttempts(deliveryId, 2);
    expect(after).toMatchObject({ status: 'FAILED', deadLetteredAt: before.deadLetteredAt, retryCount: 0 });
    expect(after.attempts.map(({ isDeadLetter }) => isDeadLetter)).toEqual([true, false]);
  });

  it('that succeeds makes a dead letter delivered', async () => {
    receiver.answer = () => FAILED;
    const target = await createTarget(NO_RETRIES);
    const { deliveryId } = await target.publish();
    await bed.waitForStatus(deliveryId, 'FAILED');
    receiver.answer = () => SUCCEEDED;
    await retry(deliveryId);
    const after = await bed.waitForStatus(deliveryId, 'DELIVERED');
    expect(after).toMatchObject({ deadLetteredAt: null, nextAttemptAt: null });
  });

  it('goes out from CANCELED, and falls back to it', async () => {
    const { deliveryId } = await failOnce();
    await cancel(deliveryId);
    await retry(deliveryId);
    expect(await waitForAttempts(deliveryId, 2)).toMatchObject({ status: 'CANCELED', nextAttemptAt: null });
    receiver.answer = () => SUCCEEDED;
    await retry(deliveryId);
    expect((await bed.waitForStatus(deliveryId, 'DELIVERED')).attemptCount).toBe(3);
  });

  it('goes out from SKIPPED once the endpoint is enabled, and falls back to it', async () => {
    receiver.answer = () => FAILED;
    const target = await createTarget();
    await setEndpointStatus('disable', target.id);
    const { deliveryId } = await target.publish();
    expect((await bed.readDelivery(deliveryId)).status).toBe('SKIPPED');
    await setEndpointStatus('enable', target.id);
    await retry(deliveryId);
    expect(await waitForAttempts(deliveryId, 1)).toMatchObject({ status: 'SKIPPED' });
    receiver.answer = () => SUCCEEDED;
    await retry(deliveryId);
    expect(triggersOf(await bed.waitForStatus(deliveryId, 'DELIVERED'))).toEqual(['MANUAL FAILED', 'MANUAL SUCCEEDED']);
  });
});

describe('an endpoint that takes no deliveries', () => {
  it.each([
    ['pause', 'ENDPOINT_PAUSED'],
    ['disable', 'ENDPOINT_DISABLED'],
    ['delete', 'ENDPOINT_DELETED'],
  ] as const)('after %s refuses every retry by hand with %s', async (verb, reason) => {
    const { deliveryId, eventId, target, before } = await failOnce();
    await setEndpointStatus(verb, target.id);
    const refused = { __typename: 'DeliveryNotRetryableError', reason, delivery: { id: deliveryId } };
    expect(await retry(deliveryId)).toMatchObject(refused);
    expect(await retry(deliveryId, true)).toMatchObject(refused);
    expect(await retryAttempt(before.attempts[0]?.id as string)).toMatchObject(refused);
    expect(await retryEvent(eventId, target.id)).toMatchObject(refused);
    expect(await retryEvent(eventId)).toMatchObject({ endpointCount: 0, deliveries: [] });
    expect(await bed.readDelivery(deliveryId)).toMatchObject({
      status: 'RETRYING',
      nextAttemptAt: before.nextAttemptAt,
      attemptCount: 1,
    });
  });

  it('holds what waits in its lane when it is paused, and sends it once when it is resumed', async () => {
    const target = await createTarget({ rateLimitPerSecond: 0.001 });
    await target.publish();
    await receiver.waitFor(1, target.path);
    const { deliveryId } = await target.publish();
    await setEndpointStatus('pause', target.id);
    await bed.waitForStatus(deliveryId, 'HELD');
    const unlimited = { input: { endpointId: target.id, rateLimitPerSecond: null } };
    await bed.ask(
      `mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }`,
      unlimited,
    );
    await setEndpointStatus('resume', target.id);
    expect((await bed.waitForStatus(deliveryId, 'DELIVERED')).attemptCount).toBe(1);
  });
});

describe('retryDeliveryAttempt', () => {
  it('gives the attempt that was named and makes one new attempt', async () => {
    const { deliveryId, before } = await failOnce();
    const attemptId = before.attempts[0]?.id as string;
    expect(await retryAttempt(attemptId)).toMatchObject({
      attempt: { id: attemptId },
      delivery: { id: deliveryId },
    });
    expect(await waitForAttempts(deliveryId, 2)).toMatchObject({
      status: 'RETRYING',
      nextAttemptAt: before.nextAttemptAt,
    });
  });

  it('answers NotFoundError for an attempt or delivery of another tenant', async () => {
    const { deliveryId, before } = await failOnce();
    const stranger = await bed.createTenant('stranger');
    const attemptId = before.attempts[0]?.id;
    const query = `mutation ($attemptId: ID!, $deliveryId: ID!) {
      a: retryDeliveryAttempt(input: { attemptId: $attemptId }) { __typename }
      b: retryDelivery(input: { deliveryId: $deliveryId }) { __typename }
      c: cancelDelivery(input: { deliveryId: $deliveryId }) { __typename } }`;
    const { data } = await bed.graphql(query, { attemptId, deliveryId }, { key: stranger.key });
    const notFound = { __typename: 'NotFoundError' };
    expect(data).toEqual({ a: notFound, b: notFound, c: notFound });
    expect(await bed.readDelivery(deliveryId)).toEqual(before);
  });
});

describe('retryEvent', () => {
  it('sends to endpoints that match today, those added later included, and counts them', async () => {
    const target = await createTarget();
    const { eventId, deliveryId } = await target.publish();
    await bed.waitForStatus(deliveryId, 'DELIVERED');
    const added = await bed.createEndpoint({ url: receiver.url(`${target.path}-added`), eventTypes: [target.type] });
    const answer = await retryEvent(eventId);
    expect(answer).toMatchObject({
      endpointCount: 2,
      message: 'Event queued for retry to 2 webhook(s)',
      event: { id: eventId, endpointCount: 2 },
    });
    const endpoints = answer.deliveries.map((delivery: { endpoint: { id: string } }) => delivery.endpoint.id);
    expect(endpoints.sort()).toEqual([target.id, added.id].sort());
    expect(triggersOf(await waitForAttempts(deliveryId, 2))).toEqual(['INITIAL SUCCEEDED', 'MANUAL SUCCEEDED']);
    const newId = answer.deliveries.find((delivery: { id: string }) => delivery.id !== deliveryId).id;
    expect((await bed.waitForStatus(newId, 'DELIVERED')).attempts).toMatchObject([{ number: 1 }]);
    expect(receiver.to(`${target.path}-added`)).toHaveLength(1);
  });

  it('makes the missing delivery to the one endpoint named, with the whole schedule', async () => {
    receiver.answer = () => FAILED;
    const target = await createTarget();
    const { eventId, deliveryId } = await target.publish();
    await bed.waitForStatus(deliveryId, 'RETRYING');
    const added = await bed.createEndpoint({
      url: receiver.url(`${target.path}-added`),
      eventTypes: [target.type],
      ...ONE_HOUR,
    });
    const answer = await retryEvent(eventId, added.id);
    expect(answer).toMatchObject({ endpointCount: 1, deliveries: [{ endpoint: { id: added.id } }] });
    const made = await bed.waitForStatus(answer.deliveries[0].id, 'RETRYING');
    expect(made).toMatchObject({ retryCount: 0, maxRetries: 3, attemptCount: 1 });
    expect((await bed.readDelivery(deliveryId)).attemptCount).toBe(1);
  });

  it('twice at once makes one delivery to an endpoint added later', async () => {
    const target = await createTarget();
    const { eventId, deliveryId } = await target.publish();
    await bed.waitForStatus(deliveryId, 'DELIVERED');
    const path = `${target.path}-added`;
    const added = await bed.createEndpoint({ url: receiver.url(path), eventTypes: [target.type] });
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    const answers = await Promise.all([retryEvent(eventId, added.id), retryEvent(eventId, added.id)]);
    const queued = answers.flatMap((answer) => answer.deliveries ?? []);
    expect(queued).toHaveLength(1);
    gate.open(SUCCEEDED);
    await bed.waitForStatus(queued[0].id, 'DELIVERED');
    expect(receiver.to(path)).toHaveLength(1);
    expect(await bed.ask('query ($id: ID!) { event(id: $id) { endpointCount } }', { id: eventId })).toEqual({
      endpointCount: 2,
    });
  });

  it('says what is wrong with an endpoint that does not want the event, is paused, or is not there', async () => {
    const target = await createTarget();
    const { eventId } = await target.publish();
    const other = await createTarget();
    expect(await retryEvent(eventId, other.id)).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ path: ['endpointId'] }],
    });
    const paused = await bed.createEndpoint({ url: receiver.url('/paused'), eventTypes: [target.type] });
    await setEndpointStatus('pause', paused.id);
    expect(await retryEvent(eventId, paused.id)).toMatchObject({ __typename: 'InvalidInputError' });
    await setEndpointStatus('delete', paused.id);
    expect(await retryEvent(eventId, paused.id)).toMatchObject({ __typename: 'NotFoundError' });
    expect(await retryEvent('evt_00000000000000000000000000')).toMatchObject({ __typename: 'NotFoundError' });
  });
});

describe('cancelDelivery', () => {
  it('lets the attempt in flight go on record as the next number, and the delivery stays canceled', async () => {
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    const target = await createTarget();
    const { deliveryId } = await target.publish();
    await receiver.waitFor(1, target.path);
    expect(await cancel(deliveryId)).toMatchObject({
      __typename: 'CancelDeliveryPayload',
      delivery: { status: 'CANCELED', attemptCount: 0, nextAttemptAt: null },
    });
    gate.open(FAILED);
    const delivery = await waitForAttempts(deliveryId, 1);
    expect(delivery).toMatchObject({ status: 'CANCELED', attemptCount: 1, nextAttemptAt: null, deadLetteredAt: null });
    expect(delivery.attempts).toMatchObject([
      { number: 1, trigger: 'INITIAL', status: 'FAILED', nextAttemptAt: null, isDeadLetter: false },
    ]);
  });

  it('stays canceled even where the attempt in flight succeeds', async () => {
    const { deliveryId, target } = await failOnce();
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    await retry(deliveryId);
    await receiver.waitFor(2, target.path);
    await cancel(deliveryId);
    gate.open(SUCCEEDED);
    const delivery = await waitForAttempts(deliveryId, 2);
    expect(delivery).toMatchObject({ status: 'CANCELED', deliveredAt: null });
    expect(delivery.attempts[1]).toMatchObject({ number: 2, trigger: 'MANUAL', status: 'SUCCEEDED' });
  });

  it('ends the schedule of a delivery that waits for a retry', async () => {
    receiver.answer = () => FAILED;
    const target = await createTarget({ retryPolicy: { maxRetries: 1, delaysSeconds: [1], jitter: 0 } });
    const canceled = await target.publish();
    const other = await target.publish();
    await bed.waitForStatus(canceled.deliveryId, 'RETRYING');
    await cancel(canceled.deliveryId);
    await bed.waitForStatus(other.deliveryId, 'FAILED');
    expect(await bed.readDelivery(canceled.deliveryId)).toMatchObject({ status: 'CANCELED', attemptCount: 1 });
  });

  it('does not send what is canceled while it waits for a place at its endpoint', async () => {
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    const target = await createTarget();
    const events = Array.from({ length: 90 }, () => ({ type: target.type, payload: 1 }));
    await bed.ask(
      'mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) { __typename } }',
      { events },
    );
    await receiver.waitFor(64, target.path);
    const list = await bed.ask(
      `query ($id: ID!) { deliveries(first: 100, filter: { endpointId: $id }) { edges { node { id event { id } } } } }`,
      { id: target.id },
    );
    const sent = new Set(receiver.to(target.path).map(({ headers }) => headers['webhook-id']));
    const waiting = list.edges.map(({ node }: { node: { id: string; event: { id: string } } }) => node);
    const canceled = waiting.filter(({ event }: { event: { id: string } }) => !sent.has(event.id));
    expect(canceled.length).toBeGreaterThan(0);
    const answers = await Promise.all(canceled.map(({ id }: { id: string }) => cancel(id)));
    expect(answers.map((answer) => answer.__typename)).toEqual(canceled.map(() => 'CancelDeliveryPayload'));
    gate.open(SUCCEEDED);
    await until(async () => {
      const left = `select 1 from deliveries d join events e on e.id = d.event_id
        where e.type = $1 and d.status = 'PENDING'`;
      const jobs = 'select 1 from pgboss.job';
      return (await bed.database.query(left, [target.type])).length + (await bed.database.query(jobs)).length === 0;
    }, 'everything to be settled');
    const received = receiver.to(target.path).map(({ headers }) => headers['webhook-id']);
    for (const { event } of canceled) expect(received).not.toContain(event.id);
  });

  it('answers DeliveryAtEndError for a delivery at its end', async () => {
    const target = await createTarget(NO_RETRIES);
    const delivered = await target.publish();
    await bed.waitForStatus(delivered.deliveryId, 'DELIVERED');
    receiver.answer = () => FAILED;
    const failed = await target.publish();
    await bed.waitForStatus(failed.deliveryId, 'FAILED');
    await setEndpointStatus('disable', target.id);
    const skipped = await target.publish();
    for (const [{ deliveryId }, status] of [
      [delivered, 'DELIVERED'],
      [failed, 'FAILED'],
      [skipped, 'SKIPPED'],
    ] as const) {
      expect(await cancel(deliveryId)).toMatchObject({ __typename: 'DeliveryAtEndError', delivery: { status } });
    }
    const { deliveryId } = await failOnce();
    expect(await cancel(deliveryId)).toMatchObject({ __typename: 'CancelDeliveryPayload' });
    expect(await cancel(deliveryId)).toMatchObject({ __typename: 'DeliveryAtEndError' });
  });

  it('cancels what is held', async () => {
    const target = await createTarget();
    await setEndpointStatus('pause', target.id);
    const { deliveryId } = await target.publish();
    expect(await cancel(deliveryId)).toMatchObject({ delivery: { status: 'CANCELED' } });
    await setEndpointStatus('resume', target.id);
    const next = await target.publish();
    await bed.waitForStatus(next.deliveryId, 'DELIVERED');
    expect((await bed.readDelivery(deliveryId)).status).toBe('CANCELED');
    expect(receiver.to(target.path)).toHaveLength(1);
  });

  it('a retry by hand after canceling decides, and the older attempt in flight does not', async () => {
    const [older, newer] = [makeGate(), makeGate()];
    const target = await createTarget();
    receiver.answer = () => (receiver.to(target.path).length === 1 ? older.opened : newer.opened);
    const { deliveryId } = await target.publish();
    await receiver.waitFor(1, target.path);
    await cancel(deliveryId);
    expect(await retry(deliveryId)).toMatchObject({ delivery: { status: 'PENDING' } });
    await receiver.waitFor(2, target.path);
    newer.open(SUCCEEDED);
    await bed.waitForStatus(deliveryId, 'DELIVERED');
    older.open(FAILED);
    const delivery = await waitForAttempts(deliveryId, 2);
    expect(delivery).toMatchObject({ status: 'DELIVERED', nextAttemptAt: null });
    expect(delivery.attempts.map(({ number, trigger, status }) => [number, trigger, status])).toEqual([
      [1, 'MANUAL', 'SUCCEEDED'],
      [2, 'INITIAL', 'FAILED'],
    ]);
  });
});

describe('recordDeliveryAttempt', () => {
  async function holdAttempt() {
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    const target = await createTarget();
    const { deliveryId } = await target.publish();
    await receiver.waitFor(1, target.path);
    return { gate, target, deliveryId };
  }

  it('while an attempt is in flight decides, and the attempt goes on record without effect', async () => {
    const { gate, deliveryId } = await holdAttempt();
    expect(await record({ deliveryId, status: 'DELIVERED', responseStatus: 200 })).toMatchObject({
      delivery: { status: 'DELIVERED', attemptCount: 1 },
      attempt: { number: 1, trigger: 'EXTERNAL', status: 'SUCCEEDED' },
    });
    gate.open(FAILED);
    const delivery = await waitForAttempts(deliveryId, 2);
    expect(delivery).toMatchObject({ status: 'DELIVERED', nextAttemptAt: null, retryCount: 0 });
    expect(delivery.attempts[1]).toMatchObject({
      number: 2,
      trigger: 'INITIAL',
      status: 'FAILED',
      nextAttemptAt: null,
    });
  });

  it('of a failure for good makes a dead letter, also while an attempt is in flight', async () => {
    const { gate, deliveryId } = await holdAttempt();
    const answer = await record({ deliveryId, status: 'FAILED', error: 'gave up' });
    expect(answer.attempt).toMatchObject({ number: 1, trigger: 'EXTERNAL', isDeadLetter: true });
    gate.open(SUCCEEDED);
    const delivery = await waitForAttempts(deliveryId, 2);
    expect(delivery).toMatchObject({ status: 'FAILED', deliveredAt: null });
    expect(delivery.deadLetteredAt).not.toBeNull();
  });

  it('with a time for the next attempt keeps that time, whatever the attempt in flight brings', async () => {
    const { gate, deliveryId } = await holdAttempt();
    const nextAttemptAt = new Date(Date.now() + 7_200_000).toISOString();
    const answer = await record({ deliveryId, status: 'RETRY_SCHEDULED', nextAttemptAt });
    expect(answer).toMatchObject({ delivery: { status: 'RETRYING', nextAttemptAt }, attempt: { nextAttemptAt } });
    gate.open(FAILED);
    const delivery = await waitForAttempts(deliveryId, 2);
    expect(delivery).toMatchObject({ status: 'RETRYING', nextAttemptAt, retryCount: 0 });
    receiver.answer = () => FAILED;
    await retry(deliveryId);
    expect(await waitForAttempts(deliveryId, 3)).toMatchObject({ status: 'RETRYING', nextAttemptAt });
  });

  it('of PENDING queues an attempt now, once', async () => {
    const { deliveryId, target } = await failOnce();
    receiver.answer = () => SUCCEEDED;
    expect(await record({ deliveryId, status: 'PENDING', responseStatus: 500 })).toMatchObject({
      attempt: { number: 2, trigger: 'EXTERNAL', status: 'FAILED' },
    });
    const delivery = await bed.waitForStatus(deliveryId, 'DELIVERED');
    expect(triggersOf(delivery)).toEqual(['INITIAL FAILED', 'EXTERNAL FAILED', 'RETRY SUCCEEDED']);
    expect(receiver.to(target.path)).toHaveLength(2);
  });

  it('of a success drops the schedule of a delivery that waits for a retry', async () => {
    const { deliveryId } = await failOnce();
    expect(await record({ deliveryId, status: 'DELIVERED' })).toMatchObject({
      delivery: { status: 'DELIVERED', nextAttemptAt: null },
    });
  });

  it('is refused with DeliveryAtEndError for a delivery at its end', async () => {
    const target = await createTarget();
    const { deliveryId } = await target.publish();
    const before = await bed.waitForStatus(deliveryId, 'DELIVERED');
    expect(await record({ deliveryId, status: 'FAILED' })).toMatchObject({ __typename: 'DeliveryAtEndError' });
    expect(await bed.readDelivery(deliveryId)).toEqual(before);
  });
});
