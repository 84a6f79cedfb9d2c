import { connect } from 'node:net';
import { getIntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { schema } from '../src/graphql/schema.ts';
import { expectNotBlocked } from './support/event-loop.ts';
import { type FieldWithInputs, findFieldsWithInputs, type GeneratedOperation } from './support/largest-inputs.ts';
import { ROOT_KEY, useTestBed } from './support/posthorn.ts';
import { askOver } from './support/transports.ts';
import { WatchedProcess } from './support/watched-process.ts';

// Walks the inputs of the schema: every list, text and JSON value of every argument, at its limit and beyond, is sent to a
// process that measures how long its event loop is blocked. A new argument is part of this test without a change.

/** Bytes of a message over WebSocket. */
const MESSAGE_BYTES_MAX = 1_000_000;
/** Characters of a document with literals. */
const DOCUMENT_CHARS_MAX = 500_000;
const MIB = 1_048_576;

/** How objects below the root are reached. */
const WAYS: Record<string, string> = {
  Delivery: 'deliveries(first: 1) { edges { node { SEL } } }',
  DeliveryStatsHistory: 'deliveryStats { SEL }',
  DeliveryStatsTick: '',
  Endpoint: 'endpoints(first: 1) { edges { node { SEL } } }',
  Environment: 'viewer { environment { SEL } }',
  Event: 'events(first: 1) { edges { node { SEL } } }',
};
const FIELDS = findFieldsWithInputs(schema, WAYS).filter(
  ({ coordinate }) => !coordinate.startsWith('DeliveryStatsTick'),
);

const bed = useTestBed({ role: 'api', requestsPerSecondMax: null });
let server: WatchedProcess;
let url: string;
let heapBytes: number;
let rssBytes: number;

beforeAll(async () => {
  await bed.createEndpoint({ url: 'https://example.com/', eventTypes: ['known.*'] });
  await bed.publish({ type: 'known.a' });
  server = new WatchedProcess(bed.database.url, { POSTHORN_REQUESTS_PER_SECOND: 'off' });
  await server.started();
  ({ url } = await server.measure());
  await post({ query: getIntrospectionQuery(), variables: {} });
  ({ heapBytes, rssBytes } = await server.measure());
}, 60_000);
afterAll(() => server?.stop());

const attack = (name: string, send: () => Promise<unknown>) => expectNotBlocked({ server, url }, name, send);

interface Answer {
  data?: unknown;
  errors?: { message: string; extensions: { code: string } }[];
}

const post = (operation: GeneratedOperation, headers: Record<string, string> = {}): Promise<Answer> =>
  fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ROOT_KEY}`, ...headers },
    body: JSON.stringify(operation),
  }).then((response) => response.json() as Promise<Answer>);

const CODES = /^(BAD_USER_INPUT|COST_LIMIT_EXCEEDED|GRAPHQL_VALIDATION_FAILED)$/;

function expectForeseen({ errors }: Answer, name: string) {
  for (const { extensions, message } of errors ?? []) expect(extensions.code, `${name}: ${message}`).toMatch(CODES);
}

const AT = { beyond: 0, char: 'x', isOfValues: false };
const BEYOND = { beyond: 1, char: '\u0001', isOfValues: true };
const FAR_BEYOND = { beyond: 2_000, char: '"', isOfValues: false };

describe('values of every argument in variables', () => {
  it.each(
    FIELDS.filter(({ operation }) => operation !== 'subscription').map((field) => [field.coordinate, field] as const),
  )('are answered without blocking the event loop, at their limits and beyond: %s', async (name, { operations }) => {
    await attack(name, async () => {
      for (const size of [AT, BEYOND, FAR_BEYOND]) {
        for (const operation of operations(size)) expectForeseen(await post(operation), name);
      }
    });
  });
});

it('values of every argument as literals are answered without blocking the event loop', async () => {
  for (const { coordinate, operation, literal } of FIELDS) {
    if (operation === 'subscription') continue;
    await attack(coordinate, async () => {
      for (const size of [AT, BEYOND]) {
        const query = literal(size);
        if (query.length > DOCUMENT_CHARS_MAX) continue;
        expectForeseen(await post({ query, variables: {} }), coordinate);
      }
    });
  }
}, 60_000);

describe.each(['SSE', 'WebSocket'] as const)('over %s', (transport) => {
  it('values of every argument beyond their limits are answered without blocking the event loop', async () => {
    for (const { coordinate, operations } of FIELDS.filter(isBounded)) {
      const all = operations(BEYOND).at(-1) as GeneratedOperation;
      if (JSON.stringify(all).length > MESSAGE_BYTES_MAX) continue;
      await attack(`${coordinate} over ${transport}`, async () => {
        const answer = await askOver(bed, { ...all, transport, url }).catch((error: Error) => {
          // A message with too many JSON values closes the WebSocket.
          expect(error.message).toMatch(/the connection ended with 4400/);
          return {};
        });
        expectForeseen(answer as Answer, coordinate);
      });
    }
  }, 60_000);
});

/** Whether something of a field's arguments is refused for its size, so that even a subscription answers at once. */
const isBounded = ({ operations }: FieldWithInputs) => /\\u0001/.test(JSON.stringify(operations(BEYOND)));

const PUBLISH_EVENTS = `mutation ($input: PublishEventsInput!) { publishEvents(input: $input) {
  __typename ... on PublishEventsPayload { results { event { id } } } ... on InvalidInputError { message } } }`;
const publishEvents = (event: (index: number) => object, query = PUBLISH_EVENTS) =>
  post({ query, variables: { input: { events: Array.from({ length: 1_000 }, (_, index) => event(index)) } } });

describe('a publishEvents of 1,000 events', () => {
  const key = (name: string, index: number) => `${name}${index}`.padEnd(256, 'x');
  const fill = (index: number) => ({
    type: 'known.'.padEnd(256, 'x'),
    sourceKey: key('s', index),
    source: { workflowId: key('w', index), runId: key('r', index), nodeId: key('n', index) },
  });

  it.each([
    ['bodies', (index: number) => ({ ...fill(index), body: '\u00e9'.repeat(7_000) })],
    ['payloads of many values', (index: number) => ({ ...fill(index), payload: new Array(900).fill(index) })],
    ['payloads of long numbers', (index: number) => ({ ...fill(index), payload: [`${'1'.repeat(14_000)}`] })],
  ])(
    'that are as large as a request may be does not block the event loop: %s',
    async (what, event) => {
      await attack(what, async () => {
        const { data, errors } = await publishEvents((index) => event(index));
        expect(errors).toBeUndefined();
        expect(data).toMatchObject({ publishEvents: { __typename: 'PublishEventsPayload' } });
      });
    },
    60_000,
  );

  it('is refused before anything is stored if its answer would have too many fields', async () => {
    const count = () => bed.database.query<{ count: number }>('select count(*)::int as count from events');
    const before = await count();
    const fields = Array.from({ length: 90 }, (_, index) => `a${index}: createdAt`).join(' ');
    const query = PUBLISH_EVENTS.replace('{ id }', `{ ${fields} }`);
    await attack('many fields of each event', async () => {
      const { errors } = await publishEvents((index) => ({ type: 'known.a', body: String(index) }), query);
      expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['COST_LIMIT_EXCEEDED']);
    });
    expect(await count()).toEqual(before);
  });
});

describe('a subscription', () => {
  it.each(['SSE', 'WebSocket'] as const)(
    'resolves a batch of many changes without blocking the event loop, over %s',
    async (transport) => {
      const { data } = await post({ query: '{ liveCursor }', variables: {} });
      const cursor = (data as { liveCursor: string }).liveCursor;
      await publishEvents((index) => ({ type: 'known.a', body: String(index) }));
      let tries = 0;
      await attack(`changes over ${transport}`, async () => {
        // Results are shared among subscriptions with the same selection.
        tries += 1;
        const fields = Array.from({ length: 90 }, (_, index) => `a${tries}_${index}: createdAt`).join(' ');
        const query = `subscription { deliveryChanges(after: "${cursor}") { changes { delivery { ${fields} } } } }`;
        const answer = await askOver(bed, { transport, url, query });
        expect(answer.errors).toBeUndefined();
        expect(answer.data.deliveryChanges.changes.length).toBeGreaterThan(100);
      });
    },
    60_000,
  );

  it.each(['SSE', 'WebSocket'] as const)(
    'ends with COST_LIMIT_EXCEEDED if a batch has more bytes than an answer may have, over %s',
    async (transport) => {
      const { data } = await post({ query: '{ liveCursor }', variables: {} });
      const cursor = (data as { liveCursor: string }).liveCursor;
      const bodies = Array.from({ length: 50 }, () => ({ type: 'known.a', body: '"'.repeat(240_000) }));
      for (let request = 0; request < 2; request += 1) {
        await post({
          query: PUBLISH_EVENTS,
          variables: { input: { events: bodies.slice(request * 25, request * 25 + 25) } },
        });
      }
      const query = `subscription { deliveryChanges(after: "${cursor}") { changes { delivery { event { body payload } } } } }`;
      await attack(`bodies over ${transport}`, async () => {
        const { errors } = await askOver(bed, { transport, url, query });
        expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['COST_LIMIT_EXCEEDED']);
      });
    },
    60_000,
  );
});

describe('an operation whose fields fail', () => {
  let key: string;
  beforeAll(async () => {
    const { environment } = await bed.ask('{ viewer { environment { id } } }');
    key = await bed.createKey(environment.id, ['DELIVERIES_RETRY']);
    const events = Array.from({ length: 100 }, (_, index) => ({ type: 'known.a', body: String(index) }));
    const query = `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) {
      ... on PublishEventsPayload { results { event { deliveries { edges { node { id } } } } } } } }`;
    const { results } = await bed.ask(query, { events });
    for (const { event } of results) await record(event.deliveries.edges[0].node.id);
  });

  const record = (id: string) =>
    bed.ask(
      `mutation ($id: ID!) { recordDeliveryAttempt(input: { deliveryId: $id, status: DELIVERED }) { __typename } }`,
      { id },
    );
  const failing = (selection: string) => {
    const fields = Array.from({ length: 90 }, (_, index) => `a${index}: lastAttempt { ${selection} }`).join(' ');
    // The place of every error is found by counting lines.
    return `{ deliveries(first: 100) { ${'\n'.repeat(4_900)} edges { node { ${fields} } } } }`;
  };
  it.each([
    ['that the key may not read', failing('endpoint { health { failuresInARow } }')],
    ['with wrong arguments', failing('delivery { attempts(first: 0) { edges { cursor } } }')],
  ])('is given up without blocking the event loop: fields %s', async (what, query) => {
    await attack(what, async () => {
      const { errors } = await post({ query, variables: {} }, { authorization: `Bearer ${key}` });
      expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['COST_LIMIT_EXCEEDED']);
    });
  });
});

describe('documents', () => {
  const aliases = Array.from({ length: 90 }, (_, index) => `a${index}: name`).join(' ');
  const same = Array.from({ length: 490 }, () => 'id').join(' ');
  const fragments = Array.from({ length: 19 }, (_, index) => `fragment F${index} on Event { ${same} }`).join(' ');
  it.each([
    ['the usual introspection', getIntrospectionQuery()],
    [
      'aliases below fields of types',
      `{ __schema { types { fields { type { ofType { fields { ${aliases} } } } } } } }`,
    ],
    ['aliases below arguments', `{ __schema { types { fields { args { ${aliases} } } } } }`],
    [
      'aliases below types of one type',
      `{ __type(name: "Delivery") { fields { type { ofType { fields { type { ofType { fields { ${aliases} } } } } } } } } }`,
    ],
    ['fragments with the same fields', `{ __typename } ${fragments}`],
  ])('of every kind are answered without blocking the event loop: %s', async (what, query) => {
    await attack(what, async () => expectForeseen(await post({ query, variables: {} }), what));
  });

  const small = '{__schema{types{fields{args{type{ofType{ofType{name}}}}}}}}';

  it('for the schema that arrive all at once over HTTP are answered one by one', async () => {
    const path = `/graphql?query=${encodeURIComponent(small)}`;
    await attack('pipelined requests', () => pipeline(path, 200));
  }, 60_000);

  it('for the schema that arrive all at once over WebSocket are answered one by one', async () => {
    await attack('messages', () => sendAll(small, 200));
  }, 60_000);
});

/** Sends requests without waiting for answers. Resolves when all are answered. */
function pipeline(path: string, count: number): Promise<void> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let answered = 0;
    const head = `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ROOT_KEY}\r\n\r\n`;
    const socket = connect(Number(port), hostname, () => socket.write(head.repeat(count)));
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      answered += String(chunk).split('HTTP/1.1 200').length - 1;
      if (answered >= count - 1) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
}

/** Sends operations without waiting for results. Resolves when all have ended. */
function sendAll(query: string, count: number): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  let ended = 0;
  return new Promise((resolve, reject) => {
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${ROOT_KEY}` } })),
    );
    socket.on('message', (data) => {
      const { type } = JSON.parse(String(data));
      if (type === 'connection_ack') {
        for (let id = 0; id < count; id += 1) {
          socket.send(JSON.stringify({ id: String(id), type: 'subscribe', payload: { query } }));
        }
      }
      if (type === 'complete' || type === 'error') ended += 1;
      if (ended === count) socket.terminate();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
}

it('generated requests leave no memory behind', async () => {
  const after = await server.measure();
  expect(after.heapBytes - heapBytes).toBeLessThan(64 * MIB);
  // Allocators keep some of what was used.
  expect(after.rssBytes).toBeLessThan(4 * rssBytes);
});
