import { beforeAll, describe, expect, it } from 'vitest';
import { type Tenant, until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const NOTHING = 'ep_01h455vb4pex5vsknk084sn02q';

let tenant: Tenant;
let ids: Record<'wanting' | 'other' | 'paused' | 'disabled' | 'deleted' | 'foreign', string>;

beforeAll(async () => {
  tenant = await bed.createTenant('targets');
  const stranger = await bed.createTenant('stranger');
  const create = async (name: string, eventTypes: string[], owner = tenant) =>
    (await bed.createEndpoint({ url: receiver.url(`/${name}`), eventTypes }, owner)).id;
  ids = {
    wanting: await create('wanting', ['order.*']),
    other: await create('other', ['never']),
    paused: await create('paused', ['never']),
    disabled: await create('disabled', ['never']),
    deleted: await create('deleted', ['*']),
    foreign: await create('foreign', ['*'], stranger),
  };
  for (const [verb, id] of [
    ['pause', ids.paused],
    ['disable', ids.disabled],
    ['delete', ids.deleted],
  ]) {
    await bed.ask(`mutation ($id: ID!) { ${verb}Endpoint(input: { endpointId: $id }) { __typename } }`, { id }, tenant);
  }
});

const EVENT =
  'event { id endpointCount status deliveries { edges { node { id status endpoint { id } route { id } } } } } duplicate';
const ERRORS = `... on InvalidInputError { issues { path message } } ... on IdempotencyConflictError { message event { id } }`;

const publish = (input: object) =>
  bed.ask(
    `mutation ($input: PublishEventInput!) { publishEvent(input: $input) { __typename
      ... on PublishEventPayload { ${EVENT} } ${ERRORS} } }`,
    { input: { type: 'order.paid', payload: { test: true }, ...input } },
    tenant,
  );

const publishAll = (events: object[]) =>
  bed.ask(
    `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) { __typename
      ... on PublishEventsPayload { results { ${EVENT} } } ${ERRORS} } }`,
    { events: events.map((event) => ({ type: 'order.paid', payload: { test: true }, ...event })) },
    tenant,
  );

interface Published {
  event: { id: string; deliveries: { edges: { node: { id: string; status: string; endpoint: { id: string } } }[] } };
}

const targetsOf = ({ event }: Published) => event.deliveries.edges.map(({ node }) => node.endpoint.id);

const countEvents = async () =>
  (await bed.database.query<{ n: number }>('select count(*)::int as n from events'))[0]?.n;

describe('an event for one endpoint', () => {
  it('goes to that one alone, whatever types it and others take', async () => {
    const published = await publish({ endpointId: ids.other });
    expect(published.event).toMatchObject({ endpointCount: 1, deliveries: { edges: [{ node: { route: null } }] } });
    expect(targetsOf(published)).toEqual([ids.other]);
    await receiver.waitFor(1, '/other');
    expect(receiver.to('/other')[0]?.headers['webhook-id']).toBe(published.event.id);
    expect(receiver.to('/wanting')).toHaveLength(0);
  });

  it('goes to an endpoint that takes its type once', async () => {
    expect(targetsOf(await publish({ endpointId: ids.wanting }))).toEqual([ids.wanting]);
  });

  it('without a name goes to all that take its type', async () => {
    expect(targetsOf(await publish({}))).toEqual([ids.wanting]);
    expect(targetsOf(await publish({ endpointId: null }))).toEqual([ids.wanting]);
  });

  it('is held where the endpoint is paused, and skipped where it is disabled', async () => {
    for (const [endpointId, status] of [
      [ids.paused, 'HELD'],
      [ids.disabled, 'SKIPPED'],
    ]) {
      const { event } = await publish({ endpointId });
      expect(event.deliveries.edges).toMatchObject([{ node: { status, endpoint: { id: endpointId } } }]);
    }
  });

  it.each([
    ['of nothing', () => NOTHING],
    ['that was deleted', () => ids.deleted],
    ['of another tenant', () => ids.foreign],
    ['that is no ID', () => 'nonsense'],
    ['that is empty', () => ''],
    ['of another kind', () => 'evt_01h455vb4pex5vsknk084sn02q'],
  ])('is refused with a name %s, and nothing is stored', async (_, name) => {
    const before = await countEvents();
    for (const idempotencyKey of [null, 'astray']) {
      expect(await publish({ endpointId: name(), idempotencyKey })).toMatchObject({
        __typename: 'InvalidInputError',
        issues: [{ path: ['endpointId'] }],
      });
      expect(await publishAll([{}, { endpointId: name(), idempotencyKey }, { endpointId: ids.other }])).toMatchObject({
        __typename: 'InvalidInputError',
        issues: [{ path: ['events', '1', 'endpointId'] }],
      });
    }
    expect(await countEvents()).toBe(before);
  });

  it('that is refused takes none with it of those that are stored at the same time', async () => {
    const calls = Array.from({ length: 30 }, (_, index) =>
      publish({
        endpointId: [ids.other, NOTHING, undefined][index % 3],
        ...(index % 2 === 0 && { idempotencyKey: `at once ${index}` }),
      }),
    );
    const answers = await Promise.all(calls);
    for (const [index, answer] of answers.entries()) {
      if (index % 3 === 1) expect(answer.__typename).toBe('InvalidInputError');
      else expect(targetsOf(answer)).toEqual([index % 3 === 0 ? ids.other : ids.wanting]);
    }
  });

  it('stands among others in one call', async () => {
    const { results } = await publishAll([{ endpointId: ids.other }, {}, { endpointId: ids.paused }]);
    expect(results.map(targetsOf)).toEqual([[ids.other], [ids.wanting], [ids.paused]]);
  });

  it('must not be of the types that are told by Posthorn itself', async () => {
    expect(await publish({ endpointId: ids.other, type: 'posthorn.endpoint.disabled' })).toMatchObject({
      issues: [{ path: ['type'] }],
    });
  });

  it('is sent again to that one alone, and to another only by its name', async () => {
    const { event } = await publish({ endpointId: ids.other });
    const id = event.deliveries.edges[0].node.id;
    const statusOf = () => bed.ask(`query ($id: ID!) { delivery(id: $id) { status } }`, { id }, tenant);
    await until(async () => (await statusOf()).status === 'DELIVERED', 'the first delivery');
    const retry = async (endpointId?: string) => {
      const { deliveries } = await bed.ask(
        `mutation ($input: RetryEventInput!) { retryEvent(input: $input) {
          ... on RetryEventPayload { deliveries { endpoint { id } } } } }`,
        { input: { eventId: event.id, endpointId } },
        tenant,
      );
      return deliveries.map(({ endpoint }: { endpoint: { id: string } }) => endpoint.id);
    };
    expect(await retry()).toEqual([ids.other]);
    expect(await retry(ids.wanting)).toEqual([ids.wanting]);
  });
});

describe('an idempotency key', () => {
  it('of an event for one endpoint is good for the same one again, and for no other', async () => {
    const input = { endpointId: ids.other, idempotencyKey: 'same' };
    const { event } = await publish(input);
    expect(await publish(input)).toMatchObject({ duplicate: true, event: { id: event.id, endpointCount: 1 } });
    for (const endpointId of [ids.wanting, null]) {
      expect(await publish({ ...input, endpointId })).toMatchObject({
        __typename: 'IdempotencyConflictError',
        event: { id: event.id },
      });
    }
    const both = [input, { ...input, endpointId: ids.wanting }].map((one) => ({ ...one, idempotencyKey: 'both' }));
    expect(await publishAll(both)).toMatchObject({ issues: [{ path: ['events', '1', 'idempotencyKey'] }] });
  });

  it('gives the earlier event also where its endpoint was deleted since', async () => {
    const { id } = await bed.createEndpoint({ url: receiver.url('/short-lived'), eventTypes: ['never'] }, tenant);
    const input = { endpointId: id, idempotencyKey: 'short-lived' };
    const { event } = await publish(input);
    await bed.ask('mutation ($id: ID!) { deleteEndpoint(input: { endpointId: $id }) { __typename } }', { id }, tenant);
    expect(await publish(input)).toMatchObject({ duplicate: true, event: { id: event.id } });
  });
});
