import { type GraphQLObjectType, getNamedType, isLeafType, isObjectType } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../src/graphql/schema.ts';
import { issueCertificate } from './support/certificates.ts';
import { expectNotBlocked } from './support/event-loop.ts';
import { ROOT_KEY, useTestBed } from './support/posthorn.ts';
import { askOver } from './support/transports.ts';
import { WatchedProcess } from './support/watched-process.ts';

// The one test that looks at the clock: no request, however expensive, may block the event loop of a server. Requests are
// generated from the schema, and sent to a process of its own that measures itself.

const ROWS = 100;
const BODY_BYTES = 262_144;

const bed = useTestBed({ role: 'api', requestsPerSecondMax: null });
let server: WatchedProcess;
let url: string;

beforeAll(async () => {
  await seed();
  server = new WatchedProcess(bed.database.url, {
    POSTHORN_REQUESTS_PER_SECOND: 'off',
    POSTHORN_INTROSPECTION: 'off',
  });
  await server.started();
  ({ url } = await server.measure());
}, 120_000);
afterAll(() => server?.stop());

/** Events with the largest bodies, endpoints and attempts with the largest texts. */
async function seed() {
  const { certificate } = await issueCertificate();
  for (let index = 0; index < 20; index += 1) {
    await bed.createEndpoint({
      url: `https://example.com/${'u'.repeat(2_000)}`,
      name: 'n'.repeat(128),
      description: '"'.repeat(2_048),
      headers: Object.fromEntries(Array.from({ length: 32 }, (_, n) => [`h${n}`, 'v'.repeat(4_000)])),
      eventTypes: Array.from({ length: 100 }, (_, n) => `t${n}.${'e'.repeat(200)}`),
      caCertificate: Array.from({ length: 30 }, () => certificate).join(''),
    });
  }
  const endpoint = await bed.createEndpoint({ url: 'https://example.com/', eventTypes: ['large.*'] });
  await bed.ask('mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }', {
    id: endpoint.id,
  });
  const bodies = [`[${'[],'.repeat(87_380)}[]]`, '"'.repeat(BODY_BYTES), '\u0001'.repeat(BODY_BYTES)];
  const keys = `{${Array.from({ length: 18_000 }, (_, n) => `"k${n}":${n}`).join(',')}}`;
  for (const body of [...bodies, keys]) {
    await bed.publish({ type: 'large.a', body, contentType: 'text/plain' });
    await bed.database.query(
      `with source as (select * from events order by id desc limit 1),
       copies as (insert into events (id, organization_id, environment_id, type, content_type, endpoint_count, body)
         select gen_random_uuid(), organization_id, environment_id, type, content_type, endpoint_count, body
         from source, generate_series(1, $1) returning id)
       insert into deliveries select (jsonb_populate_record(null::deliveries, to_jsonb(d) || jsonb_build_object('id', gen_random_uuid(), 'event_id', copies.id))).*
       from copies, (select * from deliveries order by id desc limit 1) d`,
      [ROWS],
    );
  }
  await bed.database.query(
    `insert into delivery_attempts (id, organization_id, environment_id, endpoint_id, event_id, delivery_id, number, trigger, status,
       request_url, request_method, request_headers, request_body_size, response_status, response_headers, response_body,
       error_code, error_message, created_at)
     select gen_random_uuid(), organization_id, environment_id, endpoint_id, event_id, d.id, n, 'RETRY', 'FAILED', 'https://example.com/', 'POST',
       (select jsonb_object_agg('h' || i, repeat('v', 400)) from generate_series(1, 32) i), 1, 500,
       (select jsonb_object_agg('h' || i, repeat('v', 400)) from generate_series(1, 40) i), repeat('"', 4096),
       'EXTERNAL', repeat(chr(1), 4096), now() from deliveries d, generate_series(1, 20) n`,
  );
}

const attack = (name: string, send: () => Promise<unknown>) => expectNotBlocked({ server, url }, name, send);

/** Lists of objects with large fields, directly and below other lists; `SEL` is what is selected of each. */
const LISTS: [type: string, list: string, aliases: number][] = [
  ['Event', 'events(first: 100) { edges { node { SEL } } }', 90],
  ['Event', 'events(first: 100) { edges { node { deliveries(first: 1) { edges { node { event { SEL } } } } } } }', 40],
  ['Endpoint', 'endpoints(first: 100) { edges { node { SEL } } }', 90],
  ['DeliveryAttempt', 'deliveryAttempts(first: 100) { edges { node { SEL } } }', 90],
  [
    'DeliveryAttempt',
    'deliveries(first: 100) { edges { node { attempts(first: 20) { edges { node { SEL } } } } } }',
    8,
  ],
];
const LARGE = [
  'body',
  'payload',
  'caCertificate',
  'description',
  'eventTypes',
  'headers',
  'url',
  'error',
  'request',
  'response',
];
const COUNTED = new Set(['String', 'JSON', 'URL']);

/** Selections of a type's large fields, each under so many aliases. */
function selectLarge(typeName: string, aliases: number): string[] {
  const fields = Object.values((schema.getType(typeName) as GraphQLObjectType).getFields());
  return fields.flatMap(({ name, type }) => {
    const named = getNamedType(type);
    if (!LARGE.some((large) => name.startsWith(large))) return [];
    if (isLeafType(named) && !COUNTED.has(named.name)) return [];
    const text = isObjectType(named) ? `${name} { message }` : name;
    return [Array.from({ length: aliases }, (_, n) => `a${n}: ${text}`).join(' ')];
  });
}

describe('a request for large fields of many rows under many aliases', () => {
  it.each(LISTS)(
    'does not block the event loop: %s in %s',
    async (type, list, aliases) => {
      const selected = selectLarge(type, aliases);
      expect(selected.length).toBeGreaterThan(1);
      for (const selection of selected) {
        const query = `{ ${list.replace('SEL', '...Large')} } fragment Large on ${type} { ${selection} }`;
        await attack(selection.slice(0, 40), async () => {
          const { errors } = await askOver(bed, { transport: 'HTTP', url, query });
          for (const { extensions } of errors ?? []) expect(extensions.code).toBe('COST_LIMIT_EXCEEDED');
        });
      }
    },
    60_000,
  );

  it.each(['SSE', 'WebSocket'] as const)('ends with COST_LIMIT_EXCEEDED over %s too', async (transport) => {
    const query = `{ events(first: 100) { edges { node { ${selectLarge('Event', 90)[0]} } } } }`;
    await attack(transport, async () => {
      const { errors } = await askOver(bed, { transport, url, query });
      expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['COST_LIMIT_EXCEEDED']);
    });
  });
});

const post = (body: string) =>
  fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ROOT_KEY}` },
    body,
  }).then((response) => response.json() as Promise<{ data?: unknown; errors?: { extensions: { code: string } }[] }>);

const STATUSES = 'query ($v: [DeliveryStatus!]) { deliveries(filter: { statuses: $v }) { edges { cursor } } }';
const PUBLISH = 'mutation ($v: PublishEventInput!) { publishEvent(input: $v) { __typename } }';
const request = (query: string, v: string) => `{"query":${JSON.stringify(query)},"variables":{"v":${v}}}`;
const INPUTS: [what: string, make: () => string][] = [
  ['1.4 million enum values', () => request(STATUSES, `[${'"PENDING",'.repeat(1_399_999)}"PENDING"]`)],
  ['100,000 enum values', () => request(STATUSES, `[${'"PENDING",'.repeat(99_999)}"PENDING"]`)],
  ['an enum value full of suggestions', () => request(STATUSES, JSON.stringify(' Did you mean '.repeat(20_000)))],
  ['a payload of a million arrays', () => request(PUBLISH, `{"type":"a","payload":[${'[],'.repeat(1_000_000)}1]}`)],
  ['a payload of a text of 15 MiB', () => request(PUBLISH, `{"type":"a","payload":"${'a\\"'.repeat(5_000_000)}"}`)],
  [
    '60,000 long numbers',
    () => request(PUBLISH, `{"type":"a","payload":[${'0.12345678901234567890,'.repeat(60_000)}1]}`),
  ],
  [
    'an input of a million unknown fields',
    () => request(PUBLISH, `{${Array.from({ length: 300_000 }, (_, n) => `"k${n}":1`).join(',')}}`),
  ],
  ['a document of a megabyte of names', () => JSON.stringify({ query: `{ ${'a'.repeat(1_000_000)} }` })],
  [
    '5,000 lines before 100 errors',
    () => JSON.stringify({ query: `{${'\n'.repeat(4_900)} ${'wrong '.repeat(400)} }` }),
  ],
];

describe('a request with large inputs', () => {
  it.each(INPUTS)('is answered without blocking the event loop: %s', async (what, make) => {
    const body = make();
    await attack(what, async () => {
      for (const { extensions } of (await post(body)).errors ?? []) {
        expect(extensions.code).toMatch(/^(BAD_USER_INPUT|COST_LIMIT_EXCEEDED|GRAPHQL_VALIDATION_FAILED)$/);
      }
    });
  });

  it('leaves no memory behind', async () => {
    const before = await server.measure();
    for (const [, make] of INPUTS) await post(make());
    expect((await server.measure()).heapBytes - before.heapBytes).toBeLessThan(64 * 1_048_576);
  }, 60_000);
});
