import { connect } from 'node:net';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ROOT_KEY, until, useTestBed } from './support/posthorn.ts';
import { OperationMaker, type RandomOperation } from './support/random-operations.ts';

/** `FUZZ_SECONDS` makes it longer, `FUZZ_SEED` repeats a run. */
const SECONDS = Number(process.env.FUZZ_SECONDS ?? 10);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2_147_483_647);

/** It answers and sends nothing: endpoints that are made up get no request. */
const bed = useTestBed({ role: 'api' });

const PROPERTIES = 5;
const options = {
  seed: SEED,
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: (SECONDS * 1_000) / PROPERTIES,
  markInterruptAsFailure: false,
  // A failure ends within the time that a test has.
  maxSkipsPerRun: 10,
};
const TIME = SECONDS * 1_000 + 60_000;

let knownIds: string[];
beforeAll(async () => {
  const { id: endpointId } = await bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: ['*'] });
  const { id: eventId, deliveryIds } = await bed.publish();
  const { organization, environment } = await bed.ask('{ viewer { organization { id } environment { id } } }');
  const none = '01h455vb4pex5vsknk084sn02q';
  knownIds = [
    endpointId,
    eventId,
    ...deliveryIds,
    organization.id,
    environment.id,
    `att_${none}`,
    `rt_${none}`,
    `key_${none}`,
  ];
});

const operations = fc.gen().map((pick) => new OperationMaker(pick, knownIds).make());

/** Whatever comes, the caller is at fault, or nobody. */
function expectNoFault(status: number, body: string) {
  expect(status, body).toBeLessThan(500);
  expect(body).not.toContain('INTERNAL_SERVER_ERROR');
}

async function expectGoodAnswer() {
  const { data } = await bed.graphql('{ viewer { organization { name } } }');
  expect(data.viewer.organization.name).toBeTypeOf('string');
}

/** Takes no stream: a feed that is opened would not end. */
const HEADERS = { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${ROOT_KEY}` };

/** Of what was sent, how much was carried out. */
const counts = { sent: 0, carriedOut: 0 };

async function post(body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) {
  const response = await fetch(`${bed.url}/graphql`, { method: 'POST', headers: { ...HEADERS, ...headers }, body });
  const text = await response.text();
  expectNoFault(response.status, text);
  counts.sent += 1;
  if (text.startsWith('{"data":{') && !text.includes('"errors"')) counts.carriedOut += 1;
}

describe(`whatever is sent, Posthorn is not at fault: FUZZ_SEED=${SEED}`, () => {
  it('operations over HTTP', { timeout: TIME }, async () => {
    await fc.assert(
      fc.asyncProperty(operations, async (operation) => post(JSON.stringify(operation))),
      options,
    );
    expect(counts.carriedOut).toBeGreaterThan(counts.sent / 10);
    await expectGoodAnswer();
  });

  it('operations by GET', { timeout: TIME }, async () => {
    const texts = fc.oneof(fc.json(), fc.string(), fc.constant(''));
    const queries = fc.oneof(
      operations,
      fc.record(
        { query: fc.string(), variables: texts, extensions: texts, operationName: texts },
        { requiredKeys: [] },
      ),
    );
    await fc.assert(
      fc.asyncProperty(queries, async (query) => {
        const parts = Object.entries(query).map(([name, value]) => [
          name,
          typeof value === 'string' ? value : JSON.stringify(value),
        ]);
        const response = await fetch(`${bed.url}/graphql?${new URLSearchParams(parts)}`, { headers: HEADERS });
        expectNoFault(response.status, await response.text());
      }),
      options,
    );
    await expectGoodAnswer();
  });

  it('bodies of any JSON and of any bytes', { timeout: TIME }, async () => {
    const texts = fc.oneof(fc.constant('{ viewer { scopes } }'), fc.string({ unit: 'binary' }), fc.jsonValue());
    const keys = {
      query: texts,
      variables: fc.jsonValue(),
      operationName: fc.jsonValue(),
      extensions: fc.jsonValue(),
      x: fc.jsonValue(),
    };
    const bodies = fc.oneof(
      fc.json(),
      fc.record(keys, { requiredKeys: [] }).map((body) => JSON.stringify(body)),
      fc.uint8Array({ maxLength: 200 }),
      fc.string({ unit: 'binary' }),
    );
    const accepts = fc.constantFrom(
      'application/json',
      'application/graphql-response+json',
      'text/event-stream',
      'text/html',
      '*/*',
      'x',
    );
    await fc.assert(
      fc.asyncProperty(bodies, accepts, async (body, accept) => post(body as string, { accept })),
      options,
    );
    await expectGoodAnswer();
  });

  it('requests of any bytes, methods, paths and headers', { timeout: TIME }, async () => {
    const token = fc.string({ minLength: 1, maxLength: 12 });
    const methods = fc.oneof(
      fc.constantFrom('GET', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'TRACE', 'CONNECT', 'PRI', 'get'),
      token,
    );
    const paths = fc.oneof(
      fc.constantFrom(
        '/graphql',
        '/graphql?query={__typename}',
        '/graphql?variables={',
        '//',
        'http://[/graphql',
        '*',
        '/graphql?%',
      ),
      fc.string({ unit: 'binary-ascii' }).map((text) => `/graphql?${text}`),
      fc.string({ unit: 'binary' }),
    );
    const names = fc.constantFrom(
      'accept',
      'content-type',
      'content-length',
      'transfer-encoding',
      'cookie',
      'origin',
      'host',
      'upgrade',
      'connection',
      'last-event-id',
      'x-request-id',
      'x-environment-id',
      'x-forwarded-for',
      'sec-websocket-key',
      'sec-websocket-version',
      'expect',
    );
    const values = fc.oneof(
      fc.constantFrom(
        '5',
        '-1',
        'chunked',
        'application/json',
        'text/event-stream',
        'text/html',
        'websocket',
        'upgrade',
        'null',
        '13',
        '100-continue',
      ),
      fc.string(),
    );
    const headers = fc.array(fc.tuple(fc.oneof(names, token), values), { maxLength: 8 });
    const requests = fc
      .tuple(methods, paths, headers, fc.string())
      .map(([method, path, lines, body]) =>
        Buffer.from(
          `${method} ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${HEADERS.authorization}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
        ),
      );
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof({ weight: 5, arbitrary: requests }, { weight: 1, arbitrary: bytes }),
        async (request) => {
          const answer = await sendBytes(request);
          const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1];
          expectNoFault(Number(status ?? 0), answer);
        },
      ),
      options,
    );
    await expectGoodAnswer();
  });

  it('messages over WebSocket', { timeout: TIME }, async () => {
    const messages = fc.oneof(
      { weight: 6, arbitrary: operations.map((payload: RandomOperation) => ({ type: 'subscribe', payload })) },
      {
        weight: 1,
        arbitrary: fc.record(
          { type: fc.constantFrom('subscribe', 'ping', 'complete', 'pong', 'x'), payload: fc.jsonValue() },
          { requiredKeys: [] },
        ),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          type: fc.constant('subscribe'),
          payload: fc.record(
            {
              query: fc.string(),
              variables: fc.jsonValue(),
              operationName: fc.jsonValue(),
              extensions: fc.jsonValue(),
            },
            { requiredKeys: ['query'] },
          ),
        }),
      },
      { weight: 1, arbitrary: fc.jsonValue() },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }) },
    );
    const inits = fc.oneof(
      { weight: 9, arbitrary: fc.constant({ authorization: HEADERS.authorization }) },
      { weight: 1, arbitrary: fc.jsonValue() },
    );
    await fc.assert(
      fc.asyncProperty(inits, fc.array(messages, { minLength: 1, maxLength: 10 }), async (init, all) => {
        const { text, code } = await talk(init, all);
        expect(text).not.toContain('INTERNAL_SERVER_ERROR');
        expect([1_011, 4_500], text).not.toContain(code);
      }),
      options,
    );
    await expectGoodAnswer();
  });
});

/** How long a server may think about a request that may be incomplete. */
const PATIENCE_MS = 100;

/** Sends bytes. @returns what came back, until the answer was there or nothing more came */
function sendBytes(bytes: Buffer): Promise<string> {
  const { hostname, port } = new URL(bed.url);
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on('data', (chunk) => {
      answer += chunk;
      if (answer.includes('\r\n\r\n')) socket.setTimeout(10);
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

/** Opens a WebSocket, says these things, and waits until all is answered that will be. */
async function talk(init: unknown, messages: unknown[]): Promise<{ text: string; code: number | null }> {
  const socket = new WebSocket(`${bed.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  let text = '';
  let code: number | null = null;
  socket.on('error', () => {});
  socket.on('close', (closedWith) => {
    code = closedWith;
  });
  socket.on('message', (data) => {
    text += data;
  });
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(JSON.stringify({ type: 'connection_init', payload: init }));
  await until(() => text !== '' || code !== null, 'the socket to be let in or closed');
  for (const [index, message] of messages.entries()) {
    const isObject =
      typeof message === 'object' && message !== null && !(message instanceof Uint8Array) && !Array.isArray(message);
    const id = `id${index}`;
    socket.send(message instanceof Uint8Array ? message : JSON.stringify(isObject ? { id, ...message } : message));
    if (isObject && 'payload' in message && (message as { type?: string }).type === 'subscribe') {
      await until(() => code !== null || text.includes(`"${id}"`) || isFeed(message), 'the operation to be answered');
    }
  }
  socket.send(JSON.stringify({ type: 'ping' }));
  await until(() => code !== null || text.includes('"pong"'), 'the socket to answer or to be closed');
  socket.terminate();
  return { text, code };
}

/** Nothing need come of a subscription that is right. */
const isFeed = (message: object) => JSON.stringify(message).includes('subscription');
