import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { RepeatedLines } from '../../src/http/repeated-lines.ts';
import { BYTES_BEFORE_ACK_MAX } from '../../src/http/socket-flow.ts';
import {
  CONTROL_MESSAGE_BYTES_MAX,
  MESSAGES_BEFORE_ACK_MAX,
  OPERATION_ID_CHARS_MAX,
} from '../../src/http/socket-messages.ts';
import { OPERATIONS_PER_SOCKET_MAX } from '../../src/http/websocket.ts';
import { createLog } from '../../src/log.ts';
import { ROOT_KEY, until, useTestBed } from '../support/posthorn.ts';
import { findLogLine, useProcesses, waitUntilStarted } from '../support/processes.ts';
import { openLetIn, openRawSocket } from '../support/raw-socket.ts';

const bed = useTestBed({ role: 'api' });
const { spawnOn } = useProcesses();

const INIT = { type: 'connection_init', payload: { authorization: `Bearer ${ROOT_KEY}` } };
const QUERY = { query: '{ viewer { kind } }' };
const FEED = { query: 'subscription { deliveryChanges { cursor } }' };

const expectGoodAnswer = async () => {
  const socket = await openLetIn(bed.url, ROOT_KEY);
  socket.send({ id: 'good', type: 'subscribe', payload: QUERY });
  expect(await socket.next(({ type }) => type === 'next')).toMatchObject({ payload: { data: { viewer: {} } } });
  socket.cut();
};

/** What no client may send, at any time. */
const NOT_ALLOWED: [what: string, message: object | string][] = [
  ['connection_ack', { type: 'connection_ack' }],
  ['next', { id: '1', type: 'next', payload: {} }],
  ['error', { id: '1', type: 'error', payload: [{ message: 'x' }] }],
  ['an unknown type', { type: 'nonsense' }],
  ['a type of the prototype', { type: 'constructor' }],
  ['__proto__ as type', '{"type":"__proto__"}'],
  ['a type that is no text', { type: ['ping'] }],
  ['no type', {}],
  ['a list', []],
  ['null', 'null'],
  ['no JSON', '{'],
  ['nothing', ''],
  ['deep brackets', '['.repeat(20_000)],
  ['a ping with a list', { type: 'ping', payload: [] }],
  ['a ping with a text', { type: 'ping', payload: 'x' }],
  ['a pong with a number', { type: 'pong', payload: 1 }],
  ['a subscribe without an ID', { type: 'subscribe', payload: QUERY }],
  ['a subscribe with an empty ID', { id: '', type: 'subscribe', payload: QUERY }],
  ['a subscribe without a query', { id: '1', type: 'subscribe', payload: {} }],
  ['variables that are a list', { id: '1', type: 'subscribe', payload: { ...QUERY, variables: [] } }],
  ['extensions that are a text', { id: '1', type: 'subscribe', payload: { ...QUERY, extensions: 'x' } }],
  ['a complete without an ID', { type: 'complete' }],
  ['a long ID', { id: 'x'.repeat(OPERATION_ID_CHARS_MAX + 1), type: 'subscribe', payload: QUERY }],
  ['a large ping', { type: 'ping', payload: { x: 'x'.repeat(CONTROL_MESSAGE_BYTES_MAX) } }],
  ['a large pong', { type: 'pong', payload: { x: 'x'.repeat(CONTROL_MESSAGE_BYTES_MAX) } }],
];

describe('a message that the protocol does not allow closes a WebSocket with 4400', () => {
  it.each(NOT_ALLOWED)('as the first message, without a key: %s', async (_, message) => {
    const socket = await openRawSocket(bed.url);
    socket.send(message);
    expect(await socket.waitForClose()).toBe(4400);
    expect(socket.messages).toEqual([]);
  });

  it.each(NOT_ALLOWED)('after the client has been let in: %s', async (_, message) => {
    const socket = await openLetIn(bed.url, ROOT_KEY);
    socket.send(message);
    expect(await socket.waitForClose()).toBe(4400);
  });

  it('and writes no line at the level error, however often it comes', async () => {
    const process = spawnOn(bed.database.url, { POSTHORN_ROLE: 'api', POSTHORN_LOG_LEVEL: 'info' });
    const url = await waitUntilStarted(process);
    for (const [, message] of NOT_ALLOWED) {
      const socket = await openRawSocket(url);
      socket.send(message);
      await socket.waitForClose();
    }
    // A frame that is not of the protocol at all, again and again, is one line at once.
    for (let round = 0; round < 20; round += 1) {
      const socket = await openRawSocket(url);
      (socket.socket as WebSocket & { _socket: NodeJS.WritableStream })._socket.write(Buffer.from([0xff, 0xff]));
      await socket.waitForClose();
    }
    process.child.kill('SIGTERM');
    expect((await process.exited).code).toBe(0);
    const lines = process
      .stdout()
      .split('\n')
      .filter((line) => line.includes('websocket.'));
    expect(lines.filter((line) => line.includes('stack') || /"level":(50|"error")/.test(line))).toEqual([]);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{}, { repeated: 19 }]);
    expect(findLogLine(process.stdout(), 'websocket.failed')).toBeDefined();
  }, 60_000);
});

describe('before it has been let in, a WebSocket', () => {
  it('is closed with 4401 if it subscribes', async () => {
    const socket = await openRawSocket(bed.url);
    socket.send({ id: '1', type: 'subscribe', payload: QUERY });
    expect(await socket.waitForClose()).toBe(4401);
  });

  it(`may send ${MESSAGES_BEFORE_ACK_MAX} messages, and is closed with 4400 by one more`, async () => {
    const socket = await openRawSocket(bed.url);
    for (let n = 0; n < MESSAGES_BEFORE_ACK_MAX; n += 1) socket.send({ type: 'ping' });
    await until(() => socket.messages.length === MESSAGES_BEFORE_ACK_MAX, 'the pongs');
    expect(socket.closed).toBeNull();
    socket.send({ type: 'ping' });
    expect(await socket.waitForClose()).toBe(4400);
  });

  it.each([
    ['in one message', (socket: WebSocket) => socket.send('x'.repeat(BYTES_BEFORE_ACK_MAX + 1))],
    [
      'in fragments of a message that does not end',
      (socket: WebSocket) => {
        for (let n = 0; n < 40; n += 1) socket.send('x'.repeat(1_000), { fin: false });
      },
    ],
    [
      'in pings of the protocol',
      (socket: WebSocket) => {
        for (let n = 0; n < 40; n += 1) socket.pong(Buffer.alloc(125));
        for (let n = 0; n < 400; n += 1) socket.pong(Buffer.alloc(125));
      },
    ],
  ])(`is closed with 1009 beyond ${BYTES_BEFORE_ACK_MAX} bytes: %s`, async (_, send) => {
    const { socket, waitForClose } = await openRawSocket(bed.url);
    send(socket);
    expect(await waitForClose()).toBe(1009);
  });

  it('is closed with 4408 if it says nothing', async () => {
    const socket = await openRawSocket(bed.url);
    expect(await socket.waitForClose()).toBe(4408);
  });

  it('is closed with 4429 if it sends connection_init twice', async () => {
    const socket = await openRawSocket(bed.url);
    socket.send(INIT);
    socket.send(INIT);
    expect(await socket.waitForClose()).toBe(4429);
  });
});

describe('a WebSocket that has been let in', () => {
  it('gets the payload of a small ping back', async () => {
    const socket = await openLetIn(bed.url, ROOT_KEY);
    const payload = { at: 1, text: 'x'.repeat(500) };
    socket.send({ type: 'ping', payload });
    expect(await socket.next(({ type }) => type === 'pong')).toEqual({ type: 'pong', payload });
    socket.cut();
  });

  it.each(['1', '"', '\\', '日本', 'a","type":"next","payload":', '\u2028', '__proto__'])(
    'gets the results of a subscription and of a query under their ID, whatever is in it: %j',
    async (id) => {
      const socket = await openLetIn(bed.url, ROOT_KEY);
      socket.send({ id: `${id}q`, type: 'subscribe', payload: QUERY });
      socket.send({
        ...{ id, type: 'subscribe' },
        payload: { query: 'subscription { deliveryStats(intervalSeconds: 1) { waiting } }' },
      });
      const fits = (wanted: string) => (message: { id?: string; type: string }) => message.id === wanted;
      expect(await socket.next(fits(`${id}q`))).toEqual({
        ...{ id: `${id}q`, type: 'next' },
        payload: { data: { viewer: { kind: 'OPERATOR' } } },
      });
      expect(await socket.next(fits(id))).toEqual({
        ...{ id, type: 'next' },
        payload: { data: { deliveryStats: { waiting: expect.any(Number) } } },
      });
      socket.cut();
    },
  );

  it('is closed with 4409 and a short reason if it uses an ID twice, of any length and language', async () => {
    for (const id of ['1', 'x'.repeat(OPERATION_ID_CHARS_MAX), '日'.repeat(OPERATION_ID_CHARS_MAX)]) {
      const socket = await openLetIn(bed.url, ROOT_KEY);
      socket.send({ id, type: 'subscribe', payload: FEED });
      socket.send({ id, type: 'subscribe', payload: FEED });
      expect(await socket.waitForClose()).toBe(4409);
    }
  });

  it(`may have ${OPERATIONS_PER_SOCKET_MAX} operations in progress: one more gets RATE_LIMITED, until one has ended`, async () => {
    const socket = await openLetIn(bed.url, ROOT_KEY);
    for (let n = 0; n < OPERATIONS_PER_SOCKET_MAX; n += 1)
      socket.send({ id: `s${n}`, type: 'subscribe', payload: FEED });
    socket.send({ id: 'more', type: 'subscribe', payload: FEED });
    expect(await socket.next(({ id }) => id === 'more')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 } }],
    });
    expect(socket.messages.filter(({ type }) => type === 'error')).toHaveLength(1);
    socket.send({ id: 's0', type: 'complete' });
    await until(async () => {
      const id = randomUUID();
      socket.send({ id, type: 'subscribe', payload: QUERY });
      return (await socket.next((message) => message.id === id))?.type === 'next';
    }, 'an operation to be carried out');
    socket.cut();
  }, 60_000);

  it('may keep 8 MiB of messages in operations: more get RATE_LIMITED', async () => {
    const socket = await openLetIn(bed.url, ROOT_KEY);
    const publish = 'mutation ($b: String!) { publishEvent(input: { type: "large.one", body: $b }) { __typename } }';
    const variables = { b: 'x'.repeat(250_000) };
    const extensions = { x: 'x'.repeat(700_000) };
    for (let n = 0; n < 40; n += 1) {
      socket.send({ id: `m${n}`, type: 'subscribe', payload: { query: publish, variables, extensions } });
    }
    for (let n = 0; n < 40; n += 1) await socket.next(({ id }) => id === `m${n}`);
    const refused = socket.messages.filter(({ type }) => type === 'error');
    for (const { payload } of refused) expect(payload).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
    expect(socket.messages.filter(({ type }) => type === 'next').length).toBeGreaterThanOrEqual(7);
    socket.cut();
    await expectGoodAnswer();
  }, 60_000);
});

describe('any sequence of messages', () => {
  const ids = fc.constantFrom('1', '2', '', '__proto__', 'constructor', 'x'.repeat(128), 'x'.repeat(129));
  const payloads = fc.oneof(
    fc.constantFrom<unknown>(QUERY, FEED, { query: '{' }, { query: 'query A { a } query B { b }' }, null, [], 'x'),
    fc.jsonValue(),
  );
  const messages = fc.oneof(
    fc.record(
      {
        id: ids,
        type: fc.constantFrom(
          'subscribe',
          'complete',
          'ping',
          'pong',
          'connection_init',
          'connection_ack',
          'next',
          'error',
          'x',
        ),
        payload: payloads,
      },
      { requiredKeys: ['type'] },
    ),
    fc.jsonValue(),
    fc.string({ unit: 'binary' }),
  );

  it('ends in answers or a close code that puts the client at fault, and Posthorn goes on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(messages, { minLength: 1, maxLength: 8 }), async (isLetIn, all) => {
        const socket = isLetIn ? await openLetIn(bed.url, ROOT_KEY) : await openRawSocket(bed.url);
        for (const message of all) socket.send(typeof message === 'string' ? message : JSON.stringify(message));
        socket.send({ type: 'nonsense' });
        const code = await socket.waitForClose();
        expect([4400, 4401, 4403, 4409, 4429]).toContain(code);
        expect(JSON.stringify(socket.messages)).not.toContain('INTERNAL_SERVER_ERROR');
      }),
      { numRuns: 150 },
    );
    await expectGoodAnswer();
  }, 60_000);
});

describe('log lines that clients cause', () => {
  function collect() {
    const lines: Record<string, unknown>[] = [];
    const log = createLog('silent');
    const note = (fields: Record<string, unknown>, event: string) => lines.push({ ...fields, event });
    Object.assign(log, { info: note, warn: note, error: note });
    return { lines, repeated: new RepeatedLines(log) };
  }

  it('are written at once for a new cause, and counted for a known one until the period ends', () => {
    const { lines, repeated } = collect();
    for (let n = 0; n < 100; n += 1) repeated.write('error', 'cause', { n }, 'it.failed');
    repeated.write('warn', 'cause', {}, 'other.failed');
    expect(lines).toEqual([{ n: 0, event: 'it.failed' }, { event: 'other.failed' }]);
    repeated.flush();
    expect(lines.slice(2)).toEqual([{ n: 99, repeated: 99, event: 'it.failed' }]);
    repeated.flush();
    repeated.write('error', 'cause', { n: 100 }, 'it.failed');
    expect(lines.slice(3)).toEqual([{ n: 100, event: 'it.failed' }]);
  });

  it('are at most 1,001 in a period for one event, however many causes clients make up', () => {
    const { lines, repeated } = collect();
    for (let n = 0; n < 5_000; n += 1) repeated.write('info', `cause ${n}`, {}, 'it.failed');
    expect(lines).toHaveLength(1_001);
    repeated.flush();
    expect(lines[1_001]).toEqual({ repeated: 3_999, event: 'it.failed' });
  });
});
