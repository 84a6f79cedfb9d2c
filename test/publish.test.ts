import { beforeAll, describe, expect, it } from 'vitest';
import { type GraphqlOptions, until, useTestBed } from './support/posthorn.ts';
import { type ReceivedRequest, useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const EVENT = `id type body payload contentType idempotencyKey sourceKey status endpointCount createdAt updatedAt
  source { workflowId runId nodeId }
  deliveries(first: 100) { edges { node { id endpoint { id name } route { eventTypes } } } }`;
const FAULTS = `... on InvalidInputError { issues { path message } }
  ... on IdempotencyConflictError { message event { id type body } }`;
const PUBLISH = `mutation ($input: PublishEventInput!) { publishEvent(input: $input) { __typename
  ... on PublishEventPayload { duplicate event { ${EVENT} } } ${FAULTS} } }`;
const PUBLISH_ALL = `mutation ($input: PublishEventsInput!) { publishEvents(input: $input) { __typename
  ... on PublishEventsPayload { results { duplicate event { ${EVENT} } } } ${FAULTS} } }`;

const publish = (input: object, options?: GraphqlOptions) => bed.ask(PUBLISH, { input }, options);
const publishAll = (events: object[], options?: GraphqlOptions) => bed.ask(PUBLISH_ALL, { input: { events } }, options);

async function countRows(table: 'events' | 'deliveries' | 'delivery_changes'): Promise<number> {
  const rows = await bed.database.query<{ count: number }>(`select count(*)::int as count from ${table}`);
  return rows[0]?.count as number;
}

const countAll = async () => [
  await countRows('events'),
  await countRows('deliveries'),
  await countRows('delivery_changes'),
];

/** Waits for the request that an event's one endpoint gets. */
const receive = (event: { id: string }): Promise<ReceivedRequest> =>
  until(() => receiver.requests.find(({ headers }) => headers['webhook-id'] === event.id), `event ${event.id}`);

/** Publishes one more event of a type and waits for it: whatever was queued for the endpoint before has arrived then. */
async function flush(type: string, path: string, expected: number) {
  const { id } = await bed.publish({ type, body: 'the last one' });
  await receiver.waitFor(expected + 1, path);
  expect(receiver.to(path).at(-1)?.headers['webhook-id']).toBe(id);
}

describe('the main job', () => {
  it('publishing an event sends it to the endpoint that wants it', async () => {
    await bed.createEndpoint({ url: receiver.url('/main'), eventTypes: ['main.*'] });
    const { deliveryIds } = await bed.publish({ type: 'main.job' });
    const delivery = await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
    expect(delivery.attempts).toMatchObject([
      { number: 1, trigger: 'INITIAL', status: 'SUCCEEDED', responseStatus: 200 },
    ]);
    expect(receiver.to('/main').map((request) => request.body.toString())).toEqual(['{"hello":"world"}']);
  });

  it('what was given with an event is read back with it', async () => {
    const source = { workflowId: 'wf-1', runId: 'run-2', nodeId: 'node-3' };
    const given = { type: 'read.back', payload: { a: 1 }, sourceKey: 'order/17', idempotencyKey: 'read-back', source };
    const { event, duplicate } = await publish(given);
    expect(duplicate).toBe(false);
    expect(event).toMatchObject({ ...given, contentType: 'application/json', body: '{"a":1}' });
    expect(await bed.ask(`query ($id: ID!) { event(id: $id) { ${EVENT} } }`, { id: event.id })).toEqual(event);
  });

  it('an event without key and source reads back with null for them', async () => {
    const { event } = await publish({ type: 'bare', payload: {} });
    expect(event).toMatchObject({ idempotencyKey: null, sourceKey: null, source: null });
  });

  it('an event that no endpoint wants is stored as SKIPPED', async () => {
    const { event } = await publish({ type: 'nobody.cares', payload: {} });
    expect(event).toMatchObject({ status: 'SKIPPED', endpointCount: 0, deliveries: { edges: [] } });
    expect(event.updatedAt).toBe(event.createdAt);
  });

  it('every endpoint that wants an event gets it once, under the same webhook-id', async () => {
    const paths = ['/fan/1', '/fan/2', '/fan/3'];
    const made = [];
    for (const path of paths) made.push(await bed.createEndpoint({ url: receiver.url(path), eventTypes: ['fan.out'] }));
    const { event } = await publish({ type: 'fan.out', payload: { to: 'all' } });
    expect(event).toMatchObject({ endpointCount: 3, status: 'PENDING' });
    const endpointIds = event.deliveries.edges.map(
      (edge: { node: { endpoint: { id: string } } }) => edge.node.endpoint.id,
    );
    expect(endpointIds.toSorted()).toEqual(made.map(({ id }) => id).toSorted());
    for (const { node } of event.deliveries.edges) await bed.waitForStatus(node.id, 'DELIVERED');
    for (const path of paths) {
      expect(receiver.to(path).map(({ headers }) => headers['webhook-id'])).toEqual([event.id]);
    }
    const after = await bed.ask('query ($id: ID!) { event(id: $id) { status } }', { id: event.id });
    expect(after.status).toBe('DELIVERED');
  });

  it('an endpoint with two patterns that match gets the event once', async () => {
    await bed.createEndpoint({ url: receiver.url('/once'), eventTypes: ['overlap.*', 'overlap.here', 'overlap.*'] });
    const { event } = await publish({ type: 'overlap.here', payload: {} });
    expect(event.endpointCount).toBe(1);
    await flush('overlap.end', '/once', 1);
  });
});

describe('bodies', () => {
  beforeAll(() => bed.createEndpoint({ url: receiver.url('/bodies'), eventTypes: ['body.sent'] }));

  const BODIES: [what: string, body: string, payload: unknown][] = [
    ['numbers beyond doubles', '{"n":12345678901234567890,"f":1.10}', { n: 12345678901234567e3, f: 1.1 }],
    ['key order and repeated keys', '{"b":1,"a":2,"2":0,"1":0,"b":3}', { b: 3, a: 2, 1: 0, 2: 0 }],
    ['whitespace', ' {\r\n\t"a" : [ 1 , 2 ]\n}\n', { a: [1, 2] }],
    ['escapes', '{"a":"\\u0041\\/\\ud83e\\udd86"}', { a: 'A/🦆' }],
    ['Unicode', '{"ü":"日本 🦆 \u2028 \u200f e\u0301"}', { ü: '日本 🦆 \u2028 \u200f e\u0301' }],
    ['a byte order mark', '\ufeff{"a":1}', '\ufeff{"a":1}'],
    ['a NUL character', 'a\u0000b', 'a\u0000b'],
    ['an escaped NUL character', '{"a":"\\u0000"}', { a: '\u0000' }],
    ['what is no JSON', '<order id="1"/>', '<order id="1"/>'],
    ['nothing at all', '', ''],
    ['the JSON value null', 'null', 'null'],
    ['the JSON value false', 'false', false],
    ['a JSON string', '"text"', 'text'],
  ];

  it.each(BODIES)('a body with %s arrives to the letter', async (_, body, payload) => {
    const { event } = await publish({ type: 'body.sent', body });
    expect(event).toMatchObject({ body, payload });
    const request = await receive(event);
    expect(request.body.toString('hex')).toBe(Buffer.from(body).toString('hex'));
    expect(request.headers['content-type']).toBe('application/json');
    expect(request.headers['content-length']).toBe(String(Buffer.byteLength(body)));
    expect((await bed.ask('query ($id: ID!) { event(id: $id) { body } }', { id: event.id })).body).toBe(body);
  });

  it('a body that is a number beyond all doubles has a payload, and arrives to the letter', async () => {
    const { event } = await publish({ type: 'body.sent', body: '1e999' });
    expect(event.body).toBe('1e999');
    expect(event.payload).not.toBeNull();
    const request = await receive(event);
    expect(request.body.toString()).toBe('1e999');
  });

  const PAYLOADS: [what: string, json: string][] = [
    ['an object in its key order', '{"b":{"d":[],"c":{}},"a":[1,-2.5,"x",null,true,1e-7]}'],
    ['Unicode', '{"ü":"日本 🦆"}'],
    ['a NUL character', '{"a":"\\u0000"}'],
    ['a key named __proto__', '{"__proto__":{"admin":true}}'],
    ['a list', '[1,2]'],
    ['a text', '"x"'],
    ['an empty text', '""'],
    ['zero', '0'],
    ['false', 'false'],
  ];

  it.each(PAYLOADS)('a payload with %s arrives as compact JSON', async (_, json) => {
    const { event } = await publish({ type: 'body.sent', payload: JSON.parse(json) });
    expect(event.body).toBe(json);
    expect(JSON.stringify(event.payload)).toBe(json);
    const request = await receive(event);
    expect(request.body.toString()).toBe(json);
  });

  it('a payload may stand in the document itself, with variables in it', async () => {
    const answer = await bed.ask(
      `mutation ($v: JSON) { publishEvent(input: { type: "body.sent", payload: { b: [1, 2.5, "x", null, true], a: $v } }) {
        ... on PublishEventPayload { event { id body } } } }`,
      { v: { z: 1, y: [] } },
    );
    expect(answer.event.body).toBe('{"b":[1,2.5,"x",null,true],"a":{"z":1,"y":[]}}');
    expect((await receive(answer.event)).body.toString()).toBe(answer.event.body);
  });

  it.each(['text/plain; charset=utf-8', 'application/xml', 'application/vnd.api+json;v="1, 2"'])(
    'the content type %s is the one that arrives',
    async (contentType) => {
      const { event } = await publish({ type: 'body.sent', body: 'x', contentType });
      expect(event.contentType).toBe(contentType);
      const request = await receive(event);
      expect(request.headers['content-type']).toBe(contentType);
    },
  );

  it('a body deeper than a stack is kept, and can be read', async () => {
    const body = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const { event } = await bed.ask(
      `mutation ($input: PublishEventInput!) { publishEvent(input: $input) {
        ... on PublishEventPayload { event { id } } } }`,
      { input: { type: 'deep', body } },
    );
    const answer = await bed.graphql('query ($id: ID!) { event(id: $id) { body payload } }', { id: event.id });
    expect(answer.errors).toBeUndefined();
    expect(answer.data.event.body).toBe(body);
  });
});

describe('event types', () => {
  const PATTERNS: Record<string, string[]> = {
    all: ['*'],
    invoice: ['invoice'],
    'invoice.*': ['invoice.*'],
    'invoice.paid': ['invoice.paid'],
    'invoice.paid.*': ['invoice.paid.*'],
    'Invoice.*': ['Invoice.*'],
    several: ['user.created', 'order.*'],
  };
  const MATCHES: [type: string, endpoints: string[]][] = [
    ['invoice', ['invoice']],
    ['invoice.paid', ['invoice.*', 'invoice.paid']],
    ['invoice.paid.eu', ['invoice.*', 'invoice.paid.*']],
    ['invoice.paid.eu.de', ['invoice.*', 'invoice.paid.*']],
    ['invoice.sent', ['invoice.*']],
    ['invoices.paid', []],
    ['my.invoice.paid', []],
    ['Invoice.paid', ['Invoice.*']],
    ['INVOICE.PAID', []],
    ['invoice-paid', []],
    ['invoice_paid', []],
    ['user.created', ['several']],
    ['user.deleted', []],
    ['order.placed', ['several']],
    ['order', []],
    ['a'.repeat(256), []],
  ];
  let key: string;

  beforeAll(async () => {
    key = (await bed.createTenant('event types')).key;
    for (const [name, eventTypes] of Object.entries(PATTERNS)) {
      const { id } = await bed.createEndpoint({ url: receiver.url('/types'), name, eventTypes }, { key });
      await bed.ask(
        'mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }',
        { id },
        { key },
      );
    }
  });

  it.each(MATCHES)('%s goes to "*" and to %j', async (type, endpoints) => {
    const { event } = await publish({ type, payload: {} }, { key });
    const names = event.deliveries.edges.map(
      (edge: { node: { endpoint: { name: string } } }) => edge.node.endpoint.name,
    );
    expect(names.toSorted()).toEqual(['all', ...endpoints].toSorted());
    expect(event.endpointCount).toBe(endpoints.length + 1);
  });

  it('an endpoint made without event types gets every type', async () => {
    const tenant = await bed.createTenant('every type');
    await bed.createEndpoint({ url: receiver.url('/every') }, tenant);
    const { event } = await publish({ type: 'what.ever', payload: {} }, tenant);
    expect(event.deliveries.edges).toMatchObject([{ node: { route: { eventTypes: ['*'] } } }]);
    await receiver.waitFor(1, '/every');
  });

  it('changed event types hold for what is published after', async () => {
    const tenant = await bed.createTenant('changed types');
    const { id } = await bed.createEndpoint({ url: receiver.url('/changed'), eventTypes: ['old'] }, tenant);
    const before = await publish({ type: 'new', payload: {} }, tenant);
    await bed.ask(
      'mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }',
      { input: { endpointId: id, eventTypes: ['new'] } },
      tenant,
    );
    const after = await publish({ type: 'new', payload: {} }, tenant);
    const old = await publish({ type: 'old', payload: {} }, tenant);
    expect([before, after, old].map(({ event }) => event.endpointCount)).toEqual([0, 1, 0]);
    await receiver.waitFor(1, '/changed');
  });
});

describe('idempotency keys', () => {
  const CONTENT = {
    type: 'idem.once',
    payload: { a: 1 },
    contentType: 'application/json',
    sourceKey: 's',
    source: { workflowId: 'w', runId: 'r', nodeId: 'n' },
  };

  beforeAll(() => bed.createEndpoint({ url: receiver.url('/idem'), eventTypes: ['idem.*'] }));

  it('publishing twice with one key gives the earlier event and sends once', async () => {
    const first = await publish({ ...CONTENT, idempotencyKey: 'twice' });
    const before = await countAll();
    const second = await publish({ ...CONTENT, idempotencyKey: 'twice' });
    expect([first.duplicate, second.duplicate]).toEqual([false, true]);
    expect(second.event.id).toBe(first.event.id);
    expect(second.event.deliveries).toEqual(first.event.deliveries);
    await receiver.waitFor(1, '/idem');
    expect((await countAll()).slice(0, 2)).toEqual(before.slice(0, 2));
    await flush('idem.end', '/idem', 1);
  });

  it('the same bytes as payload and as body are the same content', async () => {
    const first = await publish({ type: 'idem.none', payload: { a: 1 }, idempotencyKey: 'bytes' });
    const second = await publish({ type: 'idem.none', body: '{"a":1}', idempotencyKey: 'bytes' });
    expect(second).toMatchObject({ duplicate: true, event: { id: first.event.id } });
  });

  it('events without a key are never duplicates', async () => {
    const { results } = await publishAll([
      { type: 'no.key', body: 'x' },
      { type: 'no.key', body: 'x' },
    ]);
    expect(results.map((result: { duplicate: boolean }) => result.duplicate)).toEqual([false, false]);
    expect(new Set(results.map((result: { event: { id: string } }) => result.event.id)).size).toBe(2);
  });

  it('keys are told apart to the letter', async () => {
    const keys = ['letter', 'Letter', 'letter ', ' letter', 'lètter', 'le\u0300tter'];
    const { results } = await publishAll(
      keys.map((idempotencyKey) => ({ type: 'letters', body: 'x', idempotencyKey })),
    );
    expect(results.map((result: { duplicate: boolean }) => result.duplicate)).toEqual(keys.map(() => false));
  });

  const CHANGES: [what: string, change: object][] = [
    ['type', { type: 'idem.other' }],
    ['payload', { payload: { a: 2 } }],
    ['content type', { contentType: 'text/plain' }],
    ['source key', { sourceKey: 't' }],
    ['missing source key', { sourceKey: null }],
    ['workflow', { source: { ...CONTENT.source, workflowId: 'x' } }],
    ['run', { source: { ...CONTENT.source, runId: 'x' } }],
    ['node', { source: { ...CONTENT.source, nodeId: 'x' } }],
  ];

  it.each(CHANGES)('a key with another %s is a conflict that names the earlier event', async (what, change) => {
    const idempotencyKey = `conflict of ${what}`;
    const { event } = await publish({ ...CONTENT, type: 'conflict.none', idempotencyKey });
    const before = await countAll();
    const refused = await publish({ ...CONTENT, type: 'conflict.none', idempotencyKey, ...change });
    expect(refused).toEqual({
      __typename: 'IdempotencyConflictError',
      message: expect.stringContaining('idempotency key'),
      event: { id: event.id, type: 'conflict.none', body: '{"a":1}' },
    });
    expect(await countAll()).toEqual(before);
  });

  it('a key with an equal JSON value as payload is a duplicate, whatever the order of keys and the form of numbers', async () => {
    const first = { type: 'idem.equal', payload: { a: 1, b: [{ c: 'ä', d: null }] }, idempotencyKey: 'equal values' };
    const { event } = await publish(first);
    const again = { ...first, payload: { b: [{ d: null, c: 'ä' }], a: 1.0 } };
    expect(await publish(again)).toMatchObject({ duplicate: true, event: { id: event.id, body: event.body } });
    const changes = [
      { payload: { a: 1, b: [] } },
      { type: 'idem.other' },
      { payload: undefined, body: '{"b":[{"d":null,"c":"ä"}],"a":1}' },
    ];
    for (const change of changes) {
      expect(await publish({ ...again, ...change })).toMatchObject({ __typename: 'IdempotencyConflictError' });
    }
  });

  it('50 publishes of one key at once, through two processes, store and send exactly one', async () => {
    const other = await bed.startProcess();
    const urls = [bed.url, other.url];
    const input = { type: 'idem.race', payload: { a: 1 }, idempotencyKey: 'race' };
    const before = await countRows('events');
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => publish(input, { url: urls[index % 2] as string })),
    );
    expect(await countRows('events')).toBe(before + 1);
    expect(new Set(answers.map(({ event }) => event.id)).size).toBe(1);
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    await receiver.waitFor(1, '/idem');
    await flush('idem.end', '/idem', 1);
  });

  it('50 publishes of one key at once with other content each store one, and all others name it', async () => {
    const other = await bed.startProcess();
    const urls = [bed.url, other.url];
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        publish(
          { type: 'contest', body: String(index), idempotencyKey: 'contest' },
          { url: urls[index % 2] as string },
        ),
      ),
    );
    const winner = answers.filter(({ __typename }) => __typename === 'PublishEventPayload');
    expect(winner).toHaveLength(1);
    const losers = answers.filter(({ __typename }) => __typename === 'IdempotencyConflictError');
    expect(losers).toHaveLength(49);
    const { id, type, body } = winner[0].event;
    for (const loser of losers) expect(loser.event).toEqual({ id, type, body });
  });
});

describe('publishEvents', () => {
  it('answers one result for each event, in their order', async () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `n${(index * 7) % 1_000}`);
    const answer = await bed.ask(
      `mutation ($input: PublishEventsInput!) { publishEvents(input: $input) {
        ... on PublishEventsPayload { results { duplicate event { id body idempotencyKey } } } } }`,
      { input: { events: names.map((name) => ({ type: 'many', body: name, idempotencyKey: `order ${name}` })) } },
    );
    expect(answer.results).toEqual(
      names.map((name) => ({
        duplicate: false,
        event: { id: expect.stringMatching(/^evt_/), body: name, idempotencyKey: `order ${name}` },
      })),
    );
    expect(new Set(answer.results.map((result: { event: { id: string } }) => result.event.id)).size).toBe(1_000);
  });

  it('sends every event', async () => {
    await bed.createEndpoint({ url: receiver.url('/many'), eventTypes: ['each.one'] });
    const { results } = await publishAll(['a', 'b', 'c'].map((body) => ({ type: 'each.one', body })));
    expect(results.map((result: { event: { endpointCount: number } }) => result.event.endpointCount)).toEqual([
      1, 1, 1,
    ]);
    const requests = await receiver.waitFor(3, '/many');
    expect(requests.map(({ body }) => body.toString()).toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('one key twice in a call gives one event, the second time as a duplicate', async () => {
    const before = await countRows('events');
    const one = { type: 'double', body: 'x', idempotencyKey: 'double' };
    const { results } = await publishAll([one, { type: 'double', body: 'y' }, one]);
    expect(results.map((result: { duplicate: boolean }) => result.duplicate)).toEqual([false, false, true]);
    expect(results[2].event.id).toBe(results[0].event.id);
    expect(results[1].event.id).not.toBe(results[0].event.id);
    expect(await countRows('events')).toBe(before + 2);
  });

  it('an event that was published before is a duplicate among new ones', async () => {
    const known = { type: 'known', body: 'x', idempotencyKey: 'known' };
    const { event } = await publish(known);
    const { results } = await publishAll([{ type: 'known', body: 'y' }, known]);
    expect(results).toMatchObject([{ duplicate: false }, { duplicate: true, event: { id: event.id } }]);
  });

  it('with one event that is not valid nothing is stored', async () => {
    const before = await countAll();
    const refused = await publishAll([
      { type: 'fine', body: 'x' },
      { type: 'not fine', body: 'x' },
    ]);
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['events', '1', 'type'] }] });
    expect(await countAll()).toEqual(before);
  });

  it('with one conflict nothing is stored', async () => {
    const { event } = await publish({ type: 'taken', body: 'x', idempotencyKey: 'taken' });
    const before = await countAll();
    const refused = await publishAll([
      { type: 'taken', body: 'free', idempotencyKey: 'free' },
      { type: 'taken', body: 'y', idempotencyKey: 'taken' },
    ]);
    expect(refused).toMatchObject({ __typename: 'IdempotencyConflictError', event: { id: event.id } });
    expect(await countAll()).toEqual(before);
    expect(await publish({ type: 'taken', body: 'other', idempotencyKey: 'free' })).toMatchObject({ duplicate: false });
  });

  it('one key twice in a call with other content is refused, and nothing is stored', async () => {
    const before = await countAll();
    const { data, errors } = await bed.graphql(PUBLISH_ALL, {
      input: {
        events: [
          { type: 'split', body: 'x', idempotencyKey: 'split' },
          { type: 'split', body: 'y', idempotencyKey: 'split' },
        ],
      },
    });
    expect(errors).toBeUndefined();
    expect(data.publishEvents.__typename).toBe('InvalidInputError');
    expect(data.publishEvents.issues).toEqual([
      { path: ['events', '1', 'idempotencyKey'], message: expect.stringMatching(/./) },
    ]);
    expect(await countAll()).toEqual(before);
  });
});
