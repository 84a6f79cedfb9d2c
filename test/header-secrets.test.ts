import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { RESPONSE_BODY_BYTES_KEPT } from '../src/deliver/response-body.ts';
import { decodeId } from '../src/domain/ids.ts';
import { type BehaviourName, useHostileServers } from './support/hostile-server.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { useProcesses, waitUntilStarted } from './support/processes.ts';
import { useReceiver } from './support/receiver.ts';

const bed = useTestBed({ role: 'api' });
const receiver = useReceiver();
const hostile = useHostileServers();
const { spawnOn } = useProcesses();

const SECRET = 'tr4p-d00r-0f-th3-3ndp01nt';
const NEXT_SECRET = 'tr4p-d00r-aft3r-th3-ch4ng3';
const SIGNING_SECRET = `whsec_${Buffer.from('th1s-s1gns-4nd-1s-n3v3r-s33n-4ga1n').toString('base64')}`;

/** One of each kind of failure, and what it is recorded as. */
const FAILURES: [BehaviourName, 'http' | 'https', string][] = [
  ['answers with status 999', 'http', 'HTTP_STATUS'],
  ['never answers', 'http', 'TIMEOUT'],
  ['resets after the request', 'http', 'CONNECTION'],
  ['hangs up after the request', 'http', 'CONNECTION'],
  ['speaks plain HTTP', 'https', 'TLS'],
  ['has an expired certificate', 'https', 'TLS'],
  ['greets as a mail server', 'http', 'INVALID_RESPONSE'],
  ['sends 17 KiB of headers', 'http', 'INVALID_RESPONSE'],
  ['sends odd headers', 'http', 'none'],
  ['sends a body that is no UTF-8', 'http', 'none'],
];

/** Every way in which a value could stand somewhere. */
const spell = (secret: string): string[] => {
  const bytes = Buffer.from(secret);
  return [secret, encodeURIComponent(secret), bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, '')];
};

/** All rows of all tables of the database, of Posthorn and of its queue, as text. */
async function dumpDatabase(): Promise<string> {
  const tables = await bed.database.query<{ name: string }>(
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`,
  );
  expect(tables.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'public.delivery_attempts',
      'public.delivery_changes',
      'public.delivery_stats',
      'pgboss.job',
    ]),
  );
  const dumps = await Promise.all(
    tables.map(async ({ name }) => {
      const rows = await bed.database.query<{ row: string }>(`select row_to_json(t)::text as row from ${name} t`);
      return [name, ...rows.map(({ row }) => row)].join('\n');
    }),
  );
  return dumps.join('\n');
}

async function sendTo(url: string, api: string, update = false) {
  const type = `to.${new URL(url).port}${update ? '.again' : ''}`;
  const headers = { authorization: `Bearer ${SECRET}`, 'x-api-key': SECRET };
  const input = {
    url,
    headers,
    eventTypes: [type],
    secret: SIGNING_SECRET,
    timeoutMs: 2_000,
    retryPolicy: { maxRetries: 0 },
  };
  const { id } = await bed.createEndpoint(input, { url: api });
  if (update) {
    const change = `mutation ($id: ID!, $headers: JSON) { updateEndpoint(input: { endpointId: $id, headers: $headers }) {
      __typename ... on UpdateEndpointPayload { endpoint { headers } } } }`;
    expect(await bed.ask(change, { id, headers: { 'x-api-key': NEXT_SECRET } }, { url: api })).toMatchObject({
      endpoint: { headers: { 'x-api-key': null } },
    });
  }
  const { deliveryIds } = await bed.publish({ type }, { url: api });
  return bed.waitForStatus(deliveryIds[0] as string, 'FAILED', 'DELIVERED');
}

describe('the values of an endpoint’s own headers', () => {
  it('are sent, and stand nowhere in the database, the log or the API, after failures of every kind either', async () => {
    const posthorn = spawnOn(bed.database.url, { POSTHORN_LOG_LEVEL: 'trace' });
    const api = await waitUntilStarted(posthorn);
    const delivered = await sendTo(receiver.url('/in'), api);
    expect(delivered).toMatchObject({
      status: 'DELIVERED',
      attempts: [{ requestHeaders: { authorization: null, 'x-api-key': null, 'content-type': 'application/json' } }],
    });
    expect(receiver.to('/in')).toMatchObject([{ headers: { authorization: `Bearer ${SECRET}`, 'x-api-key': SECRET } }]);
    await sendTo(receiver.url('/changed'), api, true);
    expect(receiver.to('/changed')).toMatchObject([{ headers: { 'x-api-key': NEXT_SECRET } }]);

    receiver.answer = ({ headers }) => ({
      headers: { 'x-echo': `Bearer ${headers['x-api-key']}` },
      body: JSON.stringify({ got: headers }),
    });
    const echoed = await sendTo(receiver.url('/echo'), api);
    const { responseBody, responseHeaders } = (
      await bed.ask(`query ($id: ID!) { delivery(id: $id) { lastAttempt { responseBody responseHeaders } } }`, echoed, {
        url: api,
      })
    ).lastAttempt;
    expect(JSON.parse(responseBody).got).toMatchObject({
      authorization: '[hidden]',
      'x-api-key': '[hidden]',
    });
    expect(responseHeaders).toMatchObject({ 'x-echo': '[hidden]' });
    receiver.answer = () => ({});

    const deliveries = [delivered, echoed];
    for (const [name, scheme, code] of FAILURES) {
      const { url } = await hostile.listen(name, scheme);
      const delivery = await sendTo(url, api);
      expect([name, delivery.attempts[0]?.error?.code ?? 'none']).toEqual([name, code]);
      deliveries.push(delivery);
    }
    const refused = await bed.graphql(
      `mutation ($input: CreateEndpointInput!) { createEndpoint(input: $input) { ... on InvalidInputError { message issues { path message } } } }`,
      { input: { url: receiver.url(), headers: { host: SECRET, 'x-api-key': `${SECRET}\r\nx: y` } } },
      { url: api },
    );
    expect(refused.data.createEndpoint.issues).toHaveLength(2);
    // Statistics of all of it are counted.
    await until(async () => {
      const [row] = await bed.database.query<{ attempts: number }>(
        `select coalesce(sum(attempts_succeeded + attempts_failed), 0)::int as attempts from delivery_stats
         where resolution_seconds = 60 and endpoint_id <> '00000000-0000-0000-0000-000000000000'`,
      );
      return row && row.attempts >= deliveries.length;
    }, 'statistics of all attempts');

    const dump = await dumpDatabase();
    expect(dump).toContain(decodeId('Delivery', delivered.id));
    expect(dump).toContain('x-api-key');
    const log = posthorn.stdout() + posthorn.stderr();
    expect(log).toContain('delivery.attempted');
    const answers = JSON.stringify([deliveries, refused.data]);
    for (const text of [SECRET, NEXT_SECRET, SIGNING_SECRET.replace('whsec_', '')].flatMap(spell)) {
      expect([text, dump.includes(text), log.includes(text), answers.includes(text)]).toEqual([
        text,
        false,
        false,
        false,
      ]);
    }
  }, 60_000);

  it('would be found by this search: it is not blind', async () => {
    await bed.createEndpoint({
      url: receiver.url('/seen'),
      eventTypes: ['never.sent'],
      description: `not so secret: ${SECRET}`,
    });
    const dump = await dumpDatabase();
    expect(spell(SECRET).some((text) => dump.includes(text))).toBe(true);
  });
});

describe('an answer in pieces', () => {
  it('hides a value that goes over the end of what is kept', async () => {
    const server = createServer((request, response) => {
      response.write('x'.repeat(RESPONSE_BODY_BYTES_KEPT - 10));
      response.write(SECRET.slice(0, 4));
      setTimeout(() => response.end(`${SECRET.slice(4)}${request.headers['x-api-key']}`), 50);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    await bed.startProcess({ role: 'worker' });
    const { port } = server.address() as AddressInfo;
    const { id } = await sendTo(`http://127.0.0.1:${port}/`, bed.url);
    const query = 'query ($id: ID!) { delivery(id: $id) { lastAttempt { responseBody } } }';
    const { responseBody } = (await bed.ask(query, { id })).lastAttempt;
    expect(responseBody).toBe(`${'x'.repeat(RESPONSE_BODY_BYTES_KEPT - 10)}[hidden]`);
    server.close();
  });
});

describe('what a hostile endpoint answers', () => {
  it('is stored and read back whole where it is odd, and as replacement characters where it is no text', async () => {
    const worker = await bed.startProcess({ role: 'worker' });
    try {
      const query = `query ($id: ID!) { delivery(id: $id) { lastAttempt { responseStatus responseHeaders responseBody } } }`;
      const odd = await sendTo((await hostile.listen('sends odd headers')).url, bed.url);
      expect((await bed.ask(query, { id: odd.id })).lastAttempt).toEqual({
        responseStatus: 200,
        responseBody: 'ok',
        responseHeaders: JSON.parse(
          '{"x-latin":"caf\\u00e9 \\u0080\\u00ff","x-twice":["1","2"],"__proto__":["odd","again"],"constructor":"odd","x-empty":"","x-tab":"a\\tb","content-length":"2"}',
        ),
      });
      const many = await sendTo((await hostile.listen('sends 2,000 headers')).url, bed.url);
      expect((await bed.ask(query, { id: many.id })).lastAttempt.responseHeaders.x).toHaveLength(2_000);
      const noText = await sendTo((await hostile.listen('sends a body that is no UTF-8')).url, bed.url);
      expect((await bed.ask(query, { id: noText.id })).lastAttempt.responseBody).toBe('a\ufffd\ufffd\ufffd\ufffd(b');
      const notHttp = await sendTo((await hostile.listen('sends random bytes')).url, bed.url);
      expect(notHttp.attempts).toMatchObject([{ responseStatus: null, error: { code: 'INVALID_RESPONSE' } }]);
    } finally {
      await worker.stop();
    }
  });
});
