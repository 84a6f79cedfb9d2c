import { type GraphQLObjectType, getNamedType, isNonNullType, isObjectType } from 'graphql';
import { beforeEach, describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { schema } from '../src/graphql/schema.ts';
import { useTestBed } from './support/posthorn.ts';
import { useStatements } from './support/statements.ts';

// Rows and their relations are read by several statements. Deletes the oldest event with all that belongs to it between
// every two of them, as retention does, for every relation of the schema that is never null.

/** Makes no attempts: deliveries stay as a test puts them. */
const bed = useTestBed({ role: 'api' });
const statements = useStatements();

const EVENTS = 3;
/** Events, oldest first, each with a delivery and an attempt. */
let events: { id: string; deliveryId: string }[];

beforeEach(async () => {
  for (const table of ['delivery_attempts', 'deliveries', 'events', 'endpoints cascade'] as const) {
    await bed.database.query(table.endsWith('cascade') ? `truncate ${table}` : `delete from ${table}`);
  }
  await bed.createEndpoint({ url: 'https://example.com/' });
  events = [];
  for (let index = 0; index < EVENTS; index += 1) await addEvent();
});

/** Adds an event that is delivered. */
async function addEvent(): Promise<void> {
  const { id, deliveryIds } = await bed.publish();
  const deliveryId = deliveryIds[0] as string;
  await bed.ask(
    `mutation ($id: ID!) { recordDeliveryAttempt(input: { deliveryId: $id, status: DELIVERED, responseStatus: 200 }) {
      __typename } }`,
    { id: deliveryId },
  );
  events.push({ id, deliveryId });
}

/** As retention deletes an event. */
async function deleteEvent(id: string): Promise<void> {
  const uuid = decodeId('Event', id);
  await bed.database.query(
    `with attempts as (delete from delivery_attempts where event_id = $1),
       gone as (delete from deliveries where event_id = $1)
     delete from events where id = $1`,
    [uuid],
  );
}

const isRead = (text: string) => /^\s*select/i.test(text) && /\b(events|deliveries|delivery_attempts)\b/.test(text);
/** What a payload reads: its mutation is committed by then. */
const isReadOfPayload = (text: string) =>
  /^SELECT .* FROM "public"\."(events|deliveries|delivery_attempts)"/.test(text);

interface Deletion {
  /** Number of the statement, from 1. */
  before: number;
  /** Which statements count. */
  of?: (text: string) => boolean;
  variables?: object;
}

/**
 * Runs an operation, and deletes the oldest event before its n-th statement that reads events, deliveries or attempts.
 *
 * @returns the answer; null: it has fewer statements
 */
async function runWithDeletion(query: string, { before, of = isRead, variables = {} }: Deletion) {
  let count = 0;
  let isDeleted = false;
  statements.holdBack((text) => {
    if (!of(text)) return undefined;
    count += 1;
    if (count !== before) return undefined;
    isDeleted = true;
    statements.holdBack(null);
    return deleteEvent(events[0]?.id as string);
  });
  const answer = await bed.graphql(query, variables);
  statements.holdBack(null);
  return isDeleted ? answer : null;
}

/** Lists whose rows retention deletes, and where they are reached. */
const LISTS: Record<string, string[]> = {
  Event: [
    '{ events(last: 50) { edges { node { id SEL } } } }',
    '{ events(last: 50, filter: { statuses: [DELIVERED] }) { edges { node { id SEL } } } }',
  ],
  Delivery: [
    '{ deliveries(last: 50) { edges { node { id SEL } } } }',
    '{ events(last: 50) { edges { node { deliveries { edges { node { id SEL } } } } } } }',
    '{ deliveryAttempts(last: 50) { edges { node { delivery { id SEL } } } } }',
  ],
  DeliveryAttempt: [
    '{ deliveryAttempts(last: 50) { edges { node { id SEL } } } }',
    '{ deliveries(last: 50) { edges { node { attempts { edges { node { id SEL } } } } } } }',
    '{ deliveries(last: 50) { edges { node { lastAttempt { id SEL } } } } }',
  ],
};

/** Every field of a row that is another object and never null, by what is selected of it. */
const REQUIRED = Object.keys(LISTS).flatMap((name) => {
  const type = schema.getType(name) as GraphQLObjectType;
  return Object.values(type.getFields()).flatMap((field): [string, string, string][] => {
    const target = getNamedType(field.type);
    if (!isNonNullType(field.type) || !isObjectType(target)) return [];
    const below = target.name.endsWith('Connection') ? 'edges { node { id } }' : 'id createdAt';
    return [[name, field.name, `${field.name} { ${below} }`]];
  });
});

it('walks the relations of every object whose rows retention deletes', () => {
  const coordinates = REQUIRED.map(([type, field]) => `${type}.${field}`);
  expect(coordinates).toEqual(
    expect.arrayContaining(['Delivery.event', 'DeliveryAttempt.delivery', 'Event.deliveries']),
  );
  expect(coordinates.length).toBeGreaterThan(10);
});

describe('while retention deletes the oldest event, a list', () => {
  it.each(REQUIRED)(
    'of %s that selects %s answers the rows that are left, without an error',
    async (type, _, selection) => {
      for (const list of LISTS[type] ?? []) {
        const query = list.replace('SEL', selection);
        for (let before = 1; before < 6; before += 1) {
          const answer = await runWithDeletion(query, { before });
          if (!answer) break;
          expect(answer.errors, `${query}, deleted before statement ${before}`).toBeUndefined();
          const [{ edges }] = Object.values(answer.data) as { edges: unknown[] }[] as [{ edges: unknown[] }];
          expect(edges.length).toBeGreaterThanOrEqual(EVENTS - 1);
          expect(JSON.stringify(edges)).not.toContain('null,"edges"');
          events.shift();
          await addEvent();
        }
      }
    },
  );

  it('says that there are more rows although some of the page were deleted before they were read', async () => {
    const query =
      '{ events(last: 2, filter: { statuses: [DELIVERED] }) { edges { node { id } } pageInfo { hasPreviousPage } } }';
    const answer = await runWithDeletion(query, { before: 1, of: isReadOfPayload });
    expect(answer?.data.events).toEqual({
      edges: [{ node: { id: events[2]?.id } }, { node: { id: events[1]?.id } }],
      pageInfo: { hasPreviousPage: true },
    });
  });
});

describe('a row that is deleted', () => {
  it.each([
    [
      'event',
      'query ($evt: ID!, $dlv: ID!) { it: event(id: $evt) { id organization { name } } other: delivery(id: $dlv) { id } }',
    ],
    [
      'delivery',
      'query ($evt: ID!, $dlv: ID!) { it: delivery(id: $dlv) { id event { type } } other: event(id: $evt) { id } }',
    ],
    [
      'node',
      'query ($evt: ID!, $dlv: ID!) { it: node(id: $dlv) { ... on Delivery { event { type } } } other: event(id: $evt) { id } }',
    ],
  ])('while %s reads it is null or complete', async (_, query) => {
    for (let before = 1; before < 5; before += 1) {
      const variables = { evt: events[0]?.id, dlv: events[0]?.deliveryId };
      const answer = await runWithDeletion(query, { before, variables });
      if (!answer) break;
      expect(answer.errors).toBeUndefined();
      events.shift();
    }
  });

  it.each([
    ['cancelDelivery', 'DeliveryAtEndError', 'delivery { id event { type } }', 'deliveryId', 'dlv'],
    ['retryEvent', 'RetryEventPayload', 'event { id }', 'eventId', 'evt'],
  ])(
    'before the answer of %s is read gives an error that says so, never an internal one',
    async (field, type, selection, argument, kind) => {
      const seen = new Set<string>();
      for (let before = 1; before < 8; before += 1) {
        const [oldest] = events;
        if (!oldest) break;
        const id = kind === 'dlv' ? oldest.deliveryId : oldest.id;
        const query = `mutation ($id: ID!) { ${field}(input: { ${argument}: $id }) { __typename ... on ${type} { ${selection} } } }`;
        const answer = await runWithDeletion(query, { before, of: isReadOfPayload, variables: { id } });
        if (!answer) break;
        for (const { extensions, message } of answer.errors ?? []) {
          seen.add(extensions.code);
          expect(message).toMatch(/no longer exists/);
        }
        const { id: added, deliveryIds } = await bed.publish();
        events = [{ id: added, deliveryId: deliveryIds[0] as string }];
        await bed.ask(
          'mutation ($id: ID!) { recordDeliveryAttempt(input: { deliveryId: $id, status: DELIVERED }) { __typename } }',
          { id: deliveryIds[0] },
        );
      }
      expect([...seen].filter((code) => code !== 'BAD_USER_INPUT')).toEqual([]);
    },
  );

  it('before the event of an idempotency conflict is read gives an error that says so', async () => {
    const publish = (body: string) =>
      `mutation { publishEvent(input: { type: "keyed.event", idempotencyKey: "key", body: "${body}" }) {
        __typename ... on PublishEventPayload { event { id } } ... on IdempotencyConflictError { event { id type } } } }`;
    const { event } = await bed.ask(publish('first'));
    events = [{ id: event.id, deliveryId: '' }];
    const answer = await runWithDeletion(publish('other'), { before: 1, of: isReadOfPayload });
    expect(answer?.errors?.map(({ extensions }) => extensions.code) ?? []).toEqual(['BAD_USER_INPUT']);
  });
});

it('changes of deliveries that were deleted are left out of their feed, and the others are told', async () => {
  const cursor = await bed.ask('{ liveCursor }');
  const told = [await bed.publish(), await bed.publish()];
  await deleteEvent(told[0]?.id as string);
  const query = `subscription { deliveryChanges(after: "${cursor}") { changes { delivery { id event { type } } } } }`;
  expectTold(await followOnce(query), told);
});

it('changes whose event is deleted while they are read are left out of their feed', async () => {
  const cursor = await bed.ask('{ liveCursor }');
  const told = [await bed.publish(), await bed.publish()];
  events = [{ id: told[0]?.id as string, deliveryId: '' }];
  let count = 0;
  statements.holdBack((text) => {
    if (!/^SELECT .* FROM "public"."(deliveries|events)"/.test(text)) return undefined;
    count += 1;
    return count === 2 ? deleteEvent(events[0]?.id as string) : undefined;
  });
  const query = `subscription { deliveryChanges(after: "${cursor}") { changes { delivery { id event { type } } } } }`;
  const answer = await followOnce(query);
  statements.holdBack(null);
  expectTold(answer, told);
});

/** The first is deleted, the second is not. Earlier changes may come before them: `liveCursor` is up to a second old. */
// biome-ignore lint/suspicious/noExplicitAny: tests pick what they asked for
function expectTold({ data, errors }: any, [gone, kept]: { deliveryIds: string[] }[]) {
  expect(errors).toBeUndefined();
  const ids = data.deliveryChanges.changes.map(({ delivery }: { delivery: { id: string } }) => delivery.id);
  expect(ids).not.toContain(gone?.deliveryIds[0]);
  expect(ids).toContain(kept?.deliveryIds[0]);
}

/** The first batch of a subscription. */
// biome-ignore lint/suspicious/noExplicitAny: tests pick what they asked for
async function followOnce(query: string): Promise<any> {
  const response = await fetch(`${bed.url}/graphql`, {
    method: 'POST',
    headers: {
      ...{ 'content-type': 'application/json', accept: 'text/event-stream' },
      authorization: 'Bearer root-key-for-tests-0123456789abcdef',
    },
    body: JSON.stringify({ query }),
  });
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const data = /^data: (.+)\n\n/m.exec(text)?.[1];
    if (data) return JSON.parse(data);
  }
  throw new Error(`A subscription ended without a result: ${text}`);
}
