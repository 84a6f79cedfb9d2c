import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isEventType } from '../src/domain/event-type.ts';
import { decodeId, encodeId } from '../src/domain/ids.ts';
import type { Posthorn } from '../src/main.ts';
import { OPERATIONAL_PATTERNS } from '../src/publish/operational-event.ts';
import { type Followed, useFollowing } from './support/following.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const DAY_MS = 86_400_000;

/** Has a worker that disables nobody. Those of the tests do. */
const bed = useTestBed({ role: 'api' });
const receiver = useReceiver();
const { follow } = useFollowing(bed);

let worker: Posthorn;
beforeAll(async () => {
  worker = await bed.startProcess({ role: 'worker', disableFailingAfterMs: 5 * DAY_MS });
});
afterAll(() => worker.stop());

let count = 0;

/** An endpoint that gets events of a type of its own, in an environment of its own where a key is given. */
async function createTarget(input: Record<string, unknown> = {}, key?: string) {
  count += 1;
  const path = `/failing-${count}`;
  const type = `failing-${count}.happened`;
  const { id } = await bed.createEndpoint(
    { url: receiver.url(path), eventTypes: [type], retryPolicy: { maxRetries: 0 }, ...input },
    { key },
  );
  return { id, uuid: decodeId('Endpoint', id) as string, path, type, key };
}

type Target = Awaited<ReturnType<typeof createTarget>>;

const ENDPOINT = 'query ($id: ID!) { endpoint(id: $id) { status disabledReason disabledAt } }';
const readEndpoint = ({ id, key }: Target) => bed.ask(ENDPOINT, { id }, { key });

/** As if the endpoint had failed for so long already. */
const failSince = ({ uuid }: Target, { ms, spaced }: { ms: number; spaced: number }) =>
  bed.database.query(
    `insert into failure_streaks (endpoint_id, failures, began_at, spaced_failures, spaced_at)
     values ($1, 7, $2, $3, now() - interval '2 hours')`,
    [uuid, new Date(Date.now() - ms), spaced],
  );

/** Publishes an event and waits until its delivery is at its end. */
async function deliver({ type, key }: Target): Promise<string> {
  const { id } = await bed.publish({ type }, { key });
  return until(async () => {
    const { status } = await bed.ask('query ($id: ID!) { event(id: $id) { status } }', { id }, { key });
    return status !== 'PENDING' && status;
  }, 'the delivery to end');
}

describe('an endpoint with nothing but failures', () => {
  it('is disabled after five days of them, with a reason', async () => {
    const target = await createTarget();
    receiver.answer = () => ({ status: 500 });
    await failSince(target, { ms: 5 * DAY_MS, spaced: 4 });
    await deliver(target);
    const endpoint = await readEndpoint(target);
    expect(endpoint.status).toBe('DISABLED');
    expect(endpoint.disabledReason).toMatch(/^Nothing has succeeded since \d{4}-.*Z: 8 attempts failed\.$/);
    expect(Date.now() - Date.parse(endpoint.disabledAt)).toBeLessThan(60_000);
    expect(await deliver(target)).toBe('SKIPPED');
  });

  it.each([
    ['that began less than five days ago', { ms: 5 * DAY_MS - 60_000, spaced: 20 }],
    ['of one bad minute after a quiet week', { ms: 7 * DAY_MS, spaced: 3 }],
  ])('%s is not', async (_, streak) => {
    const target = await createTarget();
    receiver.answer = () => ({ status: 500 });
    await failSince(target, streak);
    await deliver(target);
    expect((await readEndpoint(target)).status).toBe('ACTIVE');
  });

  it('that succeeds once begins anew', async () => {
    const target = await createTarget();
    await failSince(target, { ms: 6 * DAY_MS, spaced: 20 });
    receiver.answer = () => ({});
    expect(await deliver(target)).toBe('DELIVERED');
    receiver.answer = () => ({ status: 500 });
    expect(await deliver(target)).toBe('FAILED');
    expect((await readEndpoint(target)).status).toBe('ACTIVE');
  });

  it('that was enabled again begins anew, too', async () => {
    const target = await createTarget();
    receiver.answer = () => ({ status: 500 });
    await failSince(target, { ms: 6 * DAY_MS, spaced: 20 });
    await deliver(target);
    await bed.ask('mutation ($id: ID!) { enableEndpoint(input: { endpointId: $id }) { __typename } }', {
      id: target.id,
    });
    expect(await deliver(target)).toBe('FAILED');
    expect((await readEndpoint(target)).status).toBe('ACTIVE');
  });

  it('counts failures as apart only where there is an hour between them', async () => {
    const target = await createTarget();
    receiver.answer = () => ({ status: 500 });
    for (let number = 0; number < 3; number += 1) await deliver(target);
    const read = () =>
      bed.database.query('select failures, spaced_failures from failure_streaks where endpoint_id = $1', [target.uuid]);
    expect(await read()).toEqual([{ failures: 3, spaced_failures: 1 }]);
    await bed.database.query(
      `update failure_streaks set spaced_at = now() - interval '61 minutes' where endpoint_id = $1`,
      [target.uuid],
    );
    await deliver(target);
    expect(await read()).toEqual([{ failures: 4, spaced_failures: 2 }]);
  });

  it('stays where the operator has turned that off', async () => {
    const target = await createTarget();
    receiver.answer = () => ({ status: 500 });
    await failSince(target, { ms: 90 * DAY_MS, spaced: 50 });
    await worker.stop();
    const patient = await bed.startProcess({ role: 'worker', disableFailingAfterMs: null });
    await deliver(target);
    expect((await readEndpoint(target)).status).toBe('ACTIVE');
    await patient.stop();
    worker = await bed.startProcess({ role: 'worker', disableFailingAfterMs: 5 * DAY_MS });
  });
});

describe('an attempt that was sent to the address before', () => {
  it('says nothing of the one that the endpoint has now: it neither disables it nor lengthens its streak', async () => {
    const target = await createTarget();
    const old = receiver.url(target.path);
    let answer: (status: number) => void = () => {};
    receiver.answer = ({ path }) =>
      path === target.path ? new Promise((resolve) => (answer = (status) => resolve({ status }))) : {};
    for (const status of [410, 500]) {
      await bed.database.query('update endpoints set url = $2 where id = $1', [target.uuid, old]);
      const requests = receiver.to(target.path).length + 1;
      const { deliveryIds } = await bed.publish({ type: target.type });
      await receiver.waitFor(requests, target.path);
      await bed.ask('mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }', {
        input: { endpointId: target.id, url: `${old}/new` },
      });
      answer(status);
      await bed.waitForStatus(deliveryIds[0] as string, 'FAILED');
      expect(await readEndpoint(target)).toMatchObject({ status: 'ACTIVE' });
      const where = 'select 1 from failure_streaks where endpoint_id = $1';
      expect(await bed.database.query(where, [target.uuid])).toEqual([]);
    }
    expect(await deliver(target)).toBe('DELIVERED');
  });
});

interface Batch {
  changes: { kind: string; status: string; reason: string | null; endpoint: { id: string; name: string } }[];
  cursor: string;
}

const CHANGES = `subscription ($endpointId: ID, $after: String) { endpointChanges(endpointId: $endpointId, after: $after) {
  changes { kind status reason endpoint { id name } changedAt } cursor } }`;

/** All changes up to the first one of a kind. */
async function collectUntil(kind: string, feed: AsyncGenerator<Followed<Batch>>): Promise<Batch['changes']> {
  const changes: Batch['changes'] = [];
  for await (const batch of feed) {
    changes.push(...batch.changes);
    if (changes.some((change) => change.kind === kind)) break;
  }
  return changes;
}

const act = (field: string, { id, key }: Target, rest = '') =>
  bed.ask(`mutation ($id: ID!) { ${field}(input: { endpointId: $id ${rest} }) { __typename } }`, { id }, { key });

describe('endpointChanges', () => {
  it.each(['WebSocket', 'SSE'] as const)(
    'tells all that is done to an endpoint, in order, over %s',
    async (transport) => {
      const { key } = await bed.createTenant('changes');
      const after = await bed.ask('{ liveCursor }', {}, { key });
      const told = collectUntil('DELETED', follow<Batch>(transport, { query: CHANGES, variables: { after }, key }));
      const target = await createTarget({ name: 'first' }, key);
      await act('pauseEndpoint', target);
      await act('pauseEndpoint', target);
      await act('resumeEndpoint', target);
      await act('updateEndpoint', target, 'name: "second"');
      await act('rotateEndpointSecret', target);
      await act('disableEndpoint', target, 'reason: "Moving house."');
      await act('enableEndpoint', target);
      await act('deleteEndpoint', target);
      const changes = await told;
      expect(changes.map(({ kind, status, reason }) => [kind, status, reason])).toEqual([
        ['CREATED', 'ACTIVE', null],
        ['PAUSED', 'PAUSED', null],
        ['RESUMED', 'ACTIVE', null],
        ['UPDATED', 'ACTIVE', null],
        ['SECRET_ROTATED', 'ACTIVE', null],
        ['DISABLED', 'DISABLED', 'Moving house.'],
        ['ENABLED', 'ACTIVE', null],
        ['DELETED', 'ACTIVE', null],
      ]);
      expect(new Set(changes.map(({ endpoint }) => endpoint.id))).toEqual(new Set([target.id]));
    },
  );

  it('goes on behind a cursor without a gap and without a repeat', async () => {
    const { key } = await bed.createTenant('resumed');
    const target = await createTarget({}, key);
    let after = await bed.ask('{ liveCursor }', {}, { key });
    const told: string[] = [];
    for (let number = 0; number < 6; number += 1) {
      await act(number % 2 === 0 ? 'pauseEndpoint' : 'resumeEndpoint', target);
      const feed = follow<Batch>('SSE', { query: CHANGES, variables: { after }, key });
      const { value } = await feed.next();
      told.push(...value.changes.map((change: Batch['changes'][number]) => change.kind));
      after = value.cursor;
      await feed.return(undefined);
    }
    const expected = Array.from({ length: 6 }, (_, index) => (index % 2 === 0 ? 'PAUSED' : 'RESUMED'));
    expect(told.filter((kind) => kind !== 'CREATED')).toEqual(expected);
  });

  it('goes on from liveCursor behind a list, and tells of one endpoint where asked to', async () => {
    const { key } = await bed.createTenant('list');
    const [one, other] = [await createTarget({}, key), await createTarget({}, key)];
    const after = await bed.ask('{ liveCursor }', {}, { key });
    await act('pauseEndpoint', other);
    await act('pauseEndpoint', one);
    await act('deleteEndpoint', one);
    const all = await collectUntil('DELETED', follow<Batch>('SSE', { query: CHANGES, variables: { after }, key }));
    expect(all.slice(-3).map(({ kind, endpoint }) => [kind, endpoint.id])).toEqual([
      ['PAUSED', other.id],
      ['PAUSED', one.id],
      ['DELETED', one.id],
    ]);
    const variables = { after, endpointId: one.id };
    const ofOne = await collectUntil('DELETED', follow<Batch>('SSE', { query: CHANGES, variables, key }));
    expect(new Set(ofOne.map(({ endpoint }) => endpoint.id))).toEqual(new Set([one.id]));
  });

  it('tells when an endpoint is backed off and when it recovers, each once', async () => {
    const { key } = await bed.createTenant('backed off');
    const target = await createTarget({ retryPolicy: { maxRetries: 9, delaysSeconds: [1], jitter: 0 } }, key);
    const after = await bed.ask('{ liveCursor }', {}, { key });
    receiver.answer = () => ({ status: 503 });
    for (let number = 0; number < 30; number += 1) await bed.publish({ type: target.type }, { key });
    const variables = { after, endpointId: target.id };
    const feed = follow<Batch>('WebSocket', { query: CHANGES, variables, key });
    await until(
      async () =>
        (await bed.database.query('select 1 from failure_streaks where next_probe_at is not null')).length > 0,
      'the back-off',
    );
    const readHealth = async () => {
      const query = 'query ($id: ID!) { endpoint(id: $id) { health { state failingSince nextProbeAt } } }';
      return (await bed.ask(query, { id: target.id }, { key })).health;
    };
    const { state, failingSince, nextProbeAt } = await readHealth();
    expect(state).toBe('FAILING');
    expect(Date.parse(nextProbeAt)).toBeGreaterThan(Date.parse(failingSince));
    receiver.answer = () => ({});
    const changes = (await collectUntil('RECOVERED', feed)).filter(({ kind }) => kind !== 'CREATED');
    expect(changes.map(({ kind }) => kind)).toEqual(['BACKED_OFF', 'RECOVERED']);
    expect(changes[0]?.reason).toMatch(/^The last \d+ attempts failed\.$/);
    expect(await readHealth()).toMatchObject({ failingSince: null, nextProbeAt: null });
  });

  it("does not tell of another tenant's endpoints, nor follows one", async () => {
    const [mine, other] = [await bed.createTenant('mine'), await bed.createTenant('other')];
    const foreign = await createTarget({}, other.key);
    const feed = follow<Batch>('SSE', { query: CHANGES, variables: { endpointId: foreign.id }, key: mine.key });
    await expect(feed.next()).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    const after = await bed.ask('{ liveCursor }', {}, { key: mine.key });
    await act('pauseEndpoint', foreign);
    const own = await createTarget({}, mine.key);
    const feedOfMine = follow<Batch>('SSE', { query: CHANGES, variables: { after }, key: mine.key });
    const told = await collectUntil('CREATED', feedOfMine);
    expect(told.map(({ endpoint }) => endpoint.id)).toEqual([own.id]);
    const wrong = follow<Batch>('SSE', { query: CHANGES, variables: { after }, key: other.key });
    await expect(wrong.next()).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
  });
});

describe('operational events', () => {
  it('all stand in the document that tells of them', async () => {
    const document = await readFile(new URL('../docs/FAILING-ENDPOINTS.md', import.meta.url), 'utf8');
    const types = OPERATIONAL_PATTERNS.filter(isEventType);
    expect(types).toHaveLength(11);
    expect(types.filter((type) => !document.includes(`\`${type}\``))).toEqual([]);
  });

  const told = (path: string) => receiver.to(path).map(({ body }) => JSON.parse(body.toString()));

  it('tell an endpoint that asks for them of dead letters and of what happens to others', async () => {
    const { key } = await bed.createTenant('operations');
    receiver.answer = ({ path }) => ({ status: path === '/ops' ? 200 : path === '/gone' ? 410 : 400, body: 'no' });
    await bed.createEndpoint({ url: receiver.url('/ops'), eventTypes: ['posthorn.*'] }, { key });
    const gone = await createTarget({ url: receiver.url('/gone'), name: 'Gone' }, key);
    const { id, deliveryIds } = await bed.publish({ type: gone.type }, { key });
    await until(() => told('/ops').length >= 3, 'three events');
    const [created, ...rest] = told('/ops').toSorted((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp));
    const about = { endpointId: gone.id, endpointName: 'Gone', endpointUrl: receiver.url('/gone') };
    expect(created).toMatchObject({ type: 'posthorn.endpoint.created', data: { ...about, status: 'ACTIVE' } });
    const byType = new Map(rest.map((event) => [event.type, event]));
    expect(byType.get('posthorn.delivery.dead_lettered').data).toEqual({
      ...about,
      deliveryId: deliveryIds[0],
      eventId: id,
      eventType: gone.type,
      attemptCount: 1,
      lastError: { code: 'HTTP_STATUS', message: 'The endpoint answered with status 410.', responseStatus: 410 },
    });
    expect(byType.get('posthorn.endpoint.disabled').data).toEqual({
      ...about,
      status: 'DISABLED',
      reason: 'The endpoint answered 410 Gone.',
    });
    const signed = receiver.to('/ops')[0]?.headers;
    expect(signed).toMatchObject({ 'content-type': 'application/json' });
    const event = await bed.ask(
      'query ($id: ID!) { event(id: $id) { type status sourceKey } }',
      { id: signed?.['webhook-id'] },
      { key },
    );
    expect(event).toMatchObject({ sourceKey: gone.id });
  });

  it('go to nobody who asks for every type, to no other tenant, and are not stored where nobody asks', async () => {
    const { key, environmentId } = await bed.createTenant('quiet');
    receiver.answer = ({ path }) => ({ status: path === '/everything' ? 200 : 500 });
    const everything = await createTarget({ url: receiver.url('/everything'), eventTypes: ['*'] }, key);
    const failing = await createTarget({}, key);
    await deliver(failing);
    const { key: other } = await bed.createTenant('listener');
    await bed.createEndpoint({ url: receiver.url('/ops-of-another'), eventTypes: ['posthorn.*'] }, { key: other });
    const watched = await createTarget({}, other);
    await act('pauseEndpoint', watched);
    await until(() => told('/ops-of-another').length >= 2, 'the events of the other tenant');
    await act('pauseEndpoint', everything);
    const types = await bed.database.query<{ type: string }>('select type from events where environment_id = $1', [
      decodeId('Environment', environmentId),
    ]);
    expect(types.map(({ type }) => type)).toEqual([failing.type]);
    expect(told('/ops-of-another').every(({ data }) => data.endpointId === watched.id)).toBe(true);
  });

  it('make no loop: an endpoint is told nothing of itself, and their own dead letters are not announced', async () => {
    const { key, environmentId } = await bed.createTenant('loop');
    receiver.answer = () => ({ status: 500 });
    const listeners = ['a', 'b'].map((name) =>
      createTarget({ url: receiver.url(`/loop-${name}`), eventTypes: ['posthorn.*'] }, key),
    );
    const [a, b] = (await Promise.all(listeners)) as [Target, Target];
    await act('pauseEndpoint', await createTarget({}, key));
    const read = () =>
      bed.database.query<{ type: string; source_key: string; status: string; endpoint_id: string; event_id: string }>(
        `select v.type, v.source_key, d.status, d.endpoint_id, d.event_id from events v join deliveries d on d.event_id = v.id
         where v.environment_id = $1`,
        [decodeId('Environment', environmentId)],
      );
    const settled = async () => {
      const rows = await read();
      const isDone = rows.length > 0 && rows.every(({ status }) => status === 'FAILED');
      return isDone && rows.some(({ type }) => type === 'posthorn.endpoint.paused') && rows;
    };
    const first = await until(settled, 'all deliveries to fail');
    // Nor where somebody sends them again.
    receiver.answer = () => ({ status: 500 });
    for (const id of new Set(first.map(({ event_id }) => encodeId('Event', event_id)))) {
      await bed.ask('mutation ($id: ID!) { retryEvent(input: { eventId: $id }) { __typename } }', { id }, { key });
    }
    const rows = await until(settled, 'all deliveries to fail again');
    // Time enough for an announcer to take what it finds.
    await bed.database.query('select pg_sleep(2.5)');
    expect(await settled()).toHaveLength(rows.length);
    expect(rows.filter(({ type }) => type.startsWith('posthorn.delivery'))).toEqual([]);
    const ofSelf = rows.filter(({ source_key, endpoint_id }) => decodeId('Endpoint', source_key) === endpoint_id);
    expect(ofSelf).toEqual([]);
    expect(new Set(rows.map(({ endpoint_id }) => endpoint_id))).toEqual(new Set([a.uuid, b.uuid]));
  });

  it('can be published by nobody else', async () => {
    const answer = await bed.ask(
      `mutation { publishEvent(input: { type: "posthorn.endpoint.disabled", payload: {} }) {
        __typename ... on InvalidInputError { issues { path message } } } }`,
    );
    expect(answer).toEqual({
      __typename: 'InvalidInputError',
      issues: [{ path: ['type'], message: 'must not begin with "posthorn.": Posthorn\'s own events are called so.' }],
    });
  });

  it('are published once by two workers', async () => {
    const { key } = await bed.createTenant('two workers');
    receiver.answer = () => ({});
    await bed.startProcess({ role: 'worker' });
    await bed.createEndpoint({ url: receiver.url('/once'), eventTypes: ['posthorn.endpoint.*'] }, { key });
    const targets = await Promise.all(Array.from({ length: 20 }, () => createTarget({}, key)));
    await Promise.all(targets.map((target) => act('pauseEndpoint', target)));
    await until(() => told('/once').length >= 40, '40 events');
    const seen = told('/once').map(({ type, data }) => `${type} ${data.endpointId}`);
    expect(new Set(seen).size).toBe(40);
    expect(seen).toHaveLength(40);
  });
});
