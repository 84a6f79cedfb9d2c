import { getNamedType, isLeafType } from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { issueCertificate } from './support/certificates.ts';
import { ALL_SCOPES, useTestBed } from './support/posthorn.ts';
import { fieldsOf, ROW_TYPES, selectAlone } from './support/selecting.ts';
import { columnsRead, useStatements } from './support/statements.ts';

// Generates an operation for every field of every object that is a row, on every way that leads to the object, and looks
// at the statements that are sent. A new object or field fails here by its name until the tables below know it.

/** Makes no attempts: nothing happens but what a test asks for. */
const bed = useTestBed({ role: 'api', complexityMax: 200_000 });
const statements = useStatements();

const ROWS = 20;

/** Columns behind a field, where that is not the one of the same name. Null: none of its own table. */
const COLUMNS: Record<string, string[]> = {
  'ApiKey.environment': [],
  'Delivery.attempts': [],
  'Delivery.deadLetteredAt': ['status', 'dead_lettered_at'],
  'Delivery.endpoint': [],
  'Delivery.environment': [],
  'Delivery.event': [],
  'Delivery.lastAttempt': [],
  'Delivery.notRetryableReason': ['status'],
  'Delivery.organization': [],
  'Delivery.route': [],
  'DeliveryAttempt.delivery': [],
  'DeliveryAttempt.endpoint': [],
  'DeliveryAttempt.environment': [],
  'DeliveryAttempt.error': ['error_code', 'error_message'],
  'DeliveryAttempt.event': [],
  'DeliveryAttempt.isDeadLetter': ['dead_lettered_at'],
  'DeliveryAttempt.organization': [],
  'DeliveryAttempt.route': [],
  'Endpoint.clientCertificate': [
    'client_certificate_subject',
    'client_certificate_fingerprint',
    'client_certificate_expires_at',
  ],
  'Endpoint.eventTypes': [],
  'Endpoint.headers': ['header_names'],
  'Endpoint.health': [],
  'Endpoint.retryPolicy': ['max_retries', 'delays_seconds', 'jitter'],
  'Endpoint.routes': [],
  'Endpoint.signingKeys': [],
  'Endpoint.stats': [],
  'Environment.apiKeys': [],
  'Environment.organization': [],
  'Event.deliveries': [],
  'Event.environment': [],
  'Event.organization': [],
  'Event.payload': ['body'],
  'Event.source': ['workflow_id', 'run_id', 'node_id'],
  'Event.status': [],
  'Event.updatedAt': ['created_at'],
  'Organization.environments': [],
};

/** Columns of other tables that a field is computed from. */
const FOREIGN_COLUMNS: Record<string, string[]> = {
  'Delivery.notRetryableReason': ['endpoints.status'],
  'Endpoint.eventTypes': ['routes.event_types'],
};

/** Columns that are read whatever is selected: they link rows, or tell whether there is one. */
const IS_LINK = /\.(id|organization_id|environment_id|event_id|endpoint_id|route_id|delivery_id|last_attempt_id)$/;
const ALWAYS = new Set(['endpoints.deleted_at']);

const TABLES: Record<string, string> = {
  ApiKey: 'api_keys',
  Delivery: 'deliveries',
  DeliveryAttempt: 'delivery_attempts',
  Endpoint: 'endpoints',
  Environment: 'environments',
  Event: 'events',
  Organization: 'organizations',
  Route: 'routes',
  SigningKey: 'endpoint_secrets',
};

/** How objects are reached: `SEL` is what is selected of them, `N` how many there are. */
const LISTS: Record<string, string[]> = {
  ApiKey: ['{ viewer { environment { apiKeys(first: N) { edges { node { SEL } } } } } }'],
  Delivery: [
    '{ deliveries(first: N) { edges { node { SEL } } } }',
    '{ deliveries(last: N) { edges { node { SEL } } } }',
    '{ deliveryAttempts(first: N) { edges { node { delivery { SEL } } } } }',
    '{ events(first: N) { edges { node { deliveries { edges { node { SEL } } } } } } }',
  ],
  DeliveryAttempt: [
    '{ deliveryAttempts(first: N) { edges { node { SEL } } } }',
    '{ deliveries(first: N) { edges { node { lastAttempt { SEL } } } } }',
    '{ deliveries(first: N) { edges { node { attempts(first: 3) { edges { node { SEL } } } } } } }',
  ],
  Endpoint: [
    '{ endpoints(first: N) { edges { node { SEL } } } }',
    '{ deliveries(first: N) { edges { node { endpoint { SEL } } } } }',
    '{ deliveryAttempts(first: N) { edges { node { endpoint { SEL } } } } }',
    '{ deliveryStats { endpoints(first: N) { endpoint { SEL } } } }',
  ],
  Environment: [
    '{ organizations(first: N) { edges { node { environments { SEL } } } } }',
    '{ deliveries(first: N) { edges { node { environment { SEL } } } } }',
  ],
  Event: [
    '{ events(first: N) { edges { node { SEL } } } }',
    '{ events(first: N, filter: { statuses: [DELIVERED] }) { edges { node { SEL } } } }',
    '{ deliveries(first: N) { edges { node { event { SEL } } } } }',
    '{ deliveryAttempts(first: N) { edges { node { event { SEL } } } } }',
  ],
  Organization: [
    '{ organizations(first: N) { edges { node { SEL } } } }',
    '{ deliveries(first: N) { edges { node { organization { SEL } } } } }',
  ],
  Route: [
    '{ endpoints(first: N) { edges { node { routes { SEL } } } } }',
    '{ deliveries(first: N) { edges { node { route { SEL } } } } }',
  ],
  SigningKey: ['{ endpoints(first: N) { edges { node { signingKeys { SEL } } } } }'],
};

/** Payloads of mutations; `also` are the columns that the mutation itself reads. `ID` is that of an object. */
const PAYLOADS: { type: string; field: string; input: string; payload?: string; also?: string[] }[] = [
  {
    type: 'Endpoint',
    field: 'createEndpoint',
    input: 'url: "https://new.example.com/", headers: { a: "b" }, eventTypes: ["none"]',
  },
  ...['updateEndpoint', 'pauseEndpoint', 'resumeEndpoint', 'disableEndpoint', 'enableEndpoint'].map((field) => ({
    ...{ type: 'Endpoint', field, input: 'endpointId: "EP"', also: ['endpoints.status'] },
  })),
  {
    ...{ type: 'Endpoint', field: 'rotateEndpointSecret', input: 'endpointId: "EP", overlapSeconds: 0' },
    also: ['endpoints.status', 'endpoint_secrets.kind', 'endpoint_secrets.expires_at'],
  },
  { type: 'ApiKey', field: 'createApiKey', input: 'environmentId: "ENV", name: "x", scopes: [EVENTS_PUBLISH]' },
  { type: 'ApiKey', field: 'revokeApiKey', input: 'apiKeyId: "KEY"', also: ['api_keys.revoked_at'] },
  { type: 'Event', field: 'publishEvent', input: 'type: "a.b", body: "x", idempotencyKey: "twice"' },
  { type: 'Event', field: 'retryEvent', input: 'eventId: "EVT", endpointId: "EP"' },
  { type: 'Delivery', field: 'retryDelivery', input: 'deliveryId: "DLV"' },
  { type: 'Delivery', field: 'cancelDelivery', input: 'deliveryId: "DLV"' },
];

let ids: Record<string, string>;
let cursor: string;

beforeAll(async () => {
  const issued = await issueCertificate();
  cursor = await bed.ask('{ liveCursor }');
  const endpoints: { id: string }[] = [];
  for (let index = 0; index < ROWS; index += 1) {
    const clientCertificate = { certificate: issued.certificate, privateKey: issued.privateKey };
    const input = { url: `https://e${index}.example.com/`, headers: { secret: 'x' }, eventTypes: [`t${index}.*`] };
    endpoints.push(await bed.createEndpoint({ ...input, ...(index === 0 && { clientCertificate }) }));
    await bed.ask('mutation ($name: String!) { createOrganization(input: { name: $name }) { __typename } }', {
      name: `organization ${index}`,
    });
  }
  const published = [];
  for (const index of endpoints.keys()) published.push(await bed.publish({ type: `t${index}.done` }));
  for (const { deliveryIds } of published) await record(deliveryIds[0] as string);
  const { environment, organization } = await bed.ask('{ viewer { environment { id } organization { id } } }');
  for (let index = 0; index < ROWS; index += 1) await bed.createKey(environment.id, ALL_SCOPES);
  await bed.database.query(
    `insert into delivery_stats (environment_id, endpoint_id, resolution_seconds, starts_at, published, delivered,
       failed, retried, attempts_succeeded, attempts_failed, durations)
     select environment_id, id, r.seconds, date_trunc(r.unit, now()), 1, 1, 0, 0, 1, 0, '{1}'
     from endpoints cross join (values (60, 'minute'), (3600, 'hour')) as r(seconds, unit)
     on conflict do nothing`,
  );
  const first = await bed.ask(
    `{ viewer { environment { apiKeys(last: 1) { edges { node { id } } } endpoint: name } }
       endpoints(last: 1) { edges { node { id routes { id } signingKeys { id } } } } }`,
  );
  const [endpoint] = (
    await bed.ask('{ endpoints(last: 1) { edges { node { id routes { id } signingKeys { id } } } } }')
  ).edges;
  const [attempt] = (await bed.ask('{ deliveryAttempts(last: 1) { edges { node { id } } } }')).edges;
  ids = {
    ...{ ENV: environment.id, ORG: organization.id, KEY: first.environment.apiKeys.edges[0].node.id },
    ...{ EP: endpoint.node.id, RT: endpoint.node.routes[0].id, SIG: endpoint.node.signingKeys[0].id },
    ...{ EVT: published[0]?.id as string, DLV: published[0]?.deliveryIds[0] as string, ATT: attempt.node.id },
  };
});

async function record(deliveryId: string) {
  const answer = await bed.ask(
    `mutation ($id: ID!) { recordDeliveryAttempt(input: { deliveryId: $id, status: DELIVERED, responseStatus: 200,
      responseBody: "ok" }) { __typename } }`,
    { id: deliveryId },
  );
  expect(answer.__typename).toBe('RecordDeliveryAttemptPayload');
}

const ID_OF: Record<string, string> = {
  ...{ ApiKey: 'KEY', Delivery: 'DLV', DeliveryAttempt: 'ATT', Endpoint: 'EP', Environment: 'ENV' },
  ...{ Event: 'EVT', Organization: 'ORG', Route: 'RT', SigningKey: 'SIG' },
};

const toColumn = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function allowedFor(type: string, field: string): Set<string> {
  const coordinate = `${type}.${field}`;
  const own = (COLUMNS[coordinate] ?? [toColumn(field)]).map((column) => `${TABLES[type]}.${column}`);
  return new Set([...ALWAYS, ...own, ...(FOREIGN_COLUMNS[coordinate] ?? [])]);
}

const unallowed = (read: Set<string>, allowed: Set<string>, also: string[] = []) =>
  [...read].filter((column) => !allowed.has(column) && !IS_LINK.test(column) && !also.includes(column));

const fill = (text: string) =>
  text.replace(/"([A-Z]+)"/g, (whole, name: string) => (ids[name] ? `"${ids[name]}"` : whole));

async function observe(query: string, variables: object = {}) {
  const { result, texts } = await statements.during(() => bed.graphql(query, variables));
  expect(result.errors, query).toBeUndefined();
  return { data: result.data, texts };
}

const types = Object.keys(TABLES);

it('every object that has an ID is known to this test', () => {
  expect(types.toSorted()).toEqual(ROW_TYPES);
});

describe.each(types)('of a page of %s objects,', (type) => {
  it.each(fieldsOf(type).map((field) => [field.name, field] as const))(
    'selecting %s alone reads its columns and no others, with as many statements for 20 rows as for 2',
    async (name, field) => {
      for (const way of LISTS[type] ?? []) {
        const query = (rows: number) => way.replace('N', String(rows)).replace('SEL', selectAlone(field));
        const few = await observe(query(2));
        const many = await observe(query(ROWS));
        expect(unallowed(columnsRead(many.texts), allowedFor(type, name)), query(ROWS)).toEqual([]);
        expect(JSON.stringify(many.data).length, query(ROWS)).toBeGreaterThan(JSON.stringify(few.data).length);
        expect(many.texts.length, `${query(ROWS)}\n${many.texts.join('\n')}`).toBe(few.texts.length);
      }
    },
  );

  it('node reads the columns of what is selected and no others', async () => {
    for (const field of fieldsOf(type)) {
      const query = fill(`{ node(id: "${ID_OF[type]}") { ... on ${type} { ${selectAlone(field)} } } }`);
      const { data, texts } = await observe(query);
      expect(data.node, query).not.toBeNull();
      expect(unallowed(columnsRead(texts), allowedFor(type, field.name)), query).toEqual([]);
    }
  });
});

/** Follows until all changes of the deliveries that there are were told. @returns how many batches, and all of them */
async function followAll(query: string, count: number): Promise<{ batches: number; text: string }> {
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
    const batches = [...text.matchAll(/^data: (.+)\n\n/gm)].map(([, data]) => JSON.parse(data as string));
    const told = batches.reduce(
      (sum, { data, errors }) => sum + (errors ? count : data.deliveryChanges.changes.length),
      0,
    );
    if (told >= count) return { batches: batches.length, text };
  }
  throw new Error(`A subscription ended without a result: ${text}`);
}

it.each([
  ['Delivery', 'delivery'],
  ['DeliveryAttempt', 'attempt'],
])('changes read of a %s what is selected, with one statement for all that are told together', async (type, member) => {
  const [changes] = await bed.database.query<{ count: number }>('select count(*)::int from delivery_changes');
  for (const field of fieldsOf(type)) {
    const query = `subscription { deliveryChanges(after: "${cursor}") { changes { ${member} { ${selectAlone(field)} } } } }`;
    const { result, texts } = await statements.during(() => followAll(query, changes?.count as number));
    expect(result.text, query).not.toContain('"errors"');
    const read = columnsRead(texts);
    expect(unallowed(read, allowedFor(type, field.name)), query).toEqual([]);
    const table = `FROM "public"."${TABLES[type]}" WHERE "public"."${TABLES[type]}"."id" `;
    const below = texts.filter((text) => text.includes(table));
    expect(below.length, `${query}\n${below.join('\n')}`).toBeLessThanOrEqual(2 * result.batches);
  }
});

it.each(PAYLOADS.map((payload) => [payload.field, payload] as const))(
  'the payload of %s reads the columns of what is selected and no others',
  async (name, { type, input, also }) => {
    const payload = `${name[0]?.toUpperCase()}${name.slice(1)}Payload`;
    const member = `${type[0]?.toLowerCase()}${type.slice(1)}`;
    for (const field of fieldsOf(type)) {
      const { data, texts } = await observe(
        fill(
          `mutation { ${name}(input: { ${input} }) { __typename ... on ${payload} { ${member} { ${selectAlone(field)} } } } }`,
        ),
      );
      if (!['retryDelivery', 'cancelDelivery', 'retryEvent'].includes(name))
        expect(data[name].__typename).toBe(payload);
      expect(unallowed(columnsRead(texts), allowedFor(type, field.name), also), field.name).toEqual([]);
    }
  },
);

it('events published together are answered with as many statements for 20 as for 2, whatever is selected', async () => {
  for (const field of fieldsOf('Event')) {
    const query = `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) {
      ... on PublishEventsPayload { results { event { ${selectAlone(field)} } } } } }`;
    const publish = (count: number) =>
      observe(query, { events: Array.from({ length: count }, () => ({ type: 'un.routed', body: 'x' })) });
    const [few, many] = [await publish(2), await publish(ROWS)];
    expect(many.texts.length, `${field.name}\n${many.texts.join('\n')}`).toBe(few.texts.length);
  }
});

it('publishing reads nothing of the event back, whatever of its own columns is selected', async () => {
  const columns = fieldsOf('Event').filter(
    ({ name, type }) => isLeafType(getNamedType(type)) && !['status', 'updatedAt'].includes(name),
  );
  const query = `mutation { publishEvent(input: { type: "a.b", body: "x" }) {
    ... on PublishEventPayload { event { ${columns.map(({ name }) => name).join(' ')} source { runId } } } } }`;
  const { texts } = await observe(query);
  expect(texts.filter((text) => /^select/i.test(text.trim()) && /from "?(public"\.")?events/i.test(text))).toEqual([]);
});

it('a page of events does not read bodies of 250 KB that are not selected', async () => {
  const { texts } = await observe('{ events(first: 20) { edges { node { id type status } } } }');
  expect([...columnsRead(texts)].toSorted()).toEqual(['events.id', 'events.type']);
  expect(decodeId('Event', ids.EVT as string)).not.toBeNull();
});
