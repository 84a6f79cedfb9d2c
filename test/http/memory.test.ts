import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { type MeasuredProcess, type Memory, startMeasured } from '../support/measured-process.ts';
import { type Tenant, until, useTestBed } from '../support/posthorn.ts';
import { openLetIn, openRawSocket, type RawSocket } from '../support/raw-socket.ts';

const MIB = 1_048_576;
/** What may stay after an attack: caches that fill, and noise. */
const LEVEL_BYTES_MAX = 24 * MIB;
/** What an attack may hold while it goes on. */
const HELD_BYTES_MAX = 96 * MIB;

const bed = useTestBed({ role: 'api' });
let posthorn: MeasuredProcess;
let tenant: Tenant;
let before: Memory;

const sockets: { destroy: () => void }[] = [];

beforeAll(async () => {
  tenant = await bed.createTenant('acme');
  posthorn = await startMeasured(bed.database.url);
  // What the first of everything loads stays.
  const socket = await openLetIn(posthorn.url, tenant.key);
  socket.send({ id: '1', type: 'subscribe', payload: { query: 'subscription { deliveryChanges { cursor } }' } });
  socket.send({ id: '2', type: 'subscribe', payload: { query: '{ viewer { kind } }' } });
  await socket.next(({ id }) => id === '2');
  socket.cut();
  before = await posthorn.measure();
}, 60_000);

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

afterAll(() => posthorn.stop());

/** Waits until the process has no more memory than before the attack, but for a rest. */
const expectLevel = () =>
  until(async () => (await posthorn.measure()).bytes - before.bytes < LEVEL_BYTES_MAX, 'memory to return to its level');

async function expectHeld() {
  const { bytes, rss } = await posthorn.measure();
  expect(bytes - before.bytes).toBeLessThan(HELD_BYTES_MAX);
  // Garbage that the system has not been given back counts here: a bound for what an attack costs at its height.
  expect(rss - before.rss).toBeLessThan(4 * HELD_BYTES_MAX);
}

/** Opens a WebSocket that reads nothing more once it has been let in. */
async function openDeaf(key: string | null): Promise<Socket> {
  const opened: RawSocket = key === null ? await openRawSocket(posthorn.url) : await openLetIn(posthorn.url, key);
  const raw = (opened.socket as WebSocket & { _socket: Socket })._socket;
  opened.socket.pause();
  sockets.push(raw);
  return raw;
}

/** A text frame, masked with zeros. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(payload.length < 126 ? 6 : payload.length < 65_536 ? 8 : 14);
  head[0] = 0x81;
  if (payload.length < 126) head[1] = 0x80 | payload.length;
  else if (payload.length < 65_536) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(payload.length, 2);
  } else {
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([head, payload]);
}

/**
 * Writes a chunk again and again, as fast as it is taken, until so much was taken, nothing more is taken, or the
 * connection was closed.
 */
async function flood(socket: Socket, chunk: Buffer, bytesMax: number): Promise<number> {
  let sent = 0;
  socket.on('error', () => {});
  while (sent < bytesMax && socket.writable) {
    const taken = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 1_000);
      const done = (isTaken: boolean) => {
        clearTimeout(timer);
        resolve(isTaken);
      };
      // A write that is destroyed calls back with an error.
      socket.write(chunk, (error) => done(!error));
    });
    if (!taken) break;
    sent += chunk.length;
  }
  return sent;
}

const repeat = (message: Buffer, bytes: number) =>
  Buffer.concat(Array.from({ length: Math.ceil(bytes / message.length) }, () => message));

describe('a WebSocket that reads nothing', () => {
  it('and sends pings without a key has little of them read, and is closed', async () => {
    const payload = { x: 'x'.repeat(900) };
    const chunk = repeat(frame(JSON.stringify({ type: 'ping', payload })), 65_536);
    const attackers = await Promise.all(Array.from({ length: 10 }, () => openDeaf(null)));
    await Promise.all(attackers.map((socket) => flood(socket, chunk, 64 * MIB)));
    await expectHeld();
    await until(() => attackers.every((socket) => !socket.writable), 'the attackers to be closed');
    await expectLevel();
  }, 60_000);

  it.each([
    ['pings', frame(JSON.stringify({ type: 'ping', payload: { x: 'x'.repeat(900) } }))],
    ['large pings', frame(JSON.stringify({ type: 'ping', payload: { x: 'x'.repeat(MIB - 100) } }))],
    ['pings of the protocol', Buffer.from([0x89, 0x80, 0, 0, 0, 0])],
    ['queries', frame(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: '{ viewer { kind } }' } }))],
    ['wrong queries', frame(JSON.stringify({ id: 'x'.repeat(128), type: 'subscribe', payload: { query: '{ no }' } }))],
    ['completes', frame(JSON.stringify({ id: 'x'.repeat(128), type: 'complete' }))],
  ])(
    'and sends %s with a key holds little memory, and gives it back',
    async (_, message) => {
      const attackers = await Promise.all(Array.from({ length: 5 }, () => openDeaf(tenant.key)));
      const chunk = message.length > 65_536 ? message : repeat(message, 65_536);
      await Promise.all(attackers.map((socket) => flood(socket, chunk, 16 * MIB)));
      await expectHeld();
      for (const socket of sockets.splice(0)) socket.destroy();
      await expectLevel();
    },
    60_000,
  );
});

describe('a client of HTTP that reads nothing', () => {
  it.each([
    ['health checks', 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['pages that do not exist', 'GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['queries without a key', 'GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: x\r\n\r\n'],
  ])(
    'and sends requests for %s without end holds little memory, and gives it back',
    async (_, request) => {
      const chunk = repeat(Buffer.from(request), 65_536);
      const { hostname, port } = new URL(posthorn.url);
      const attackers = Array.from({ length: 5 }, () => connect(Number(port), hostname).pause());
      sockets.push(...attackers);
      await Promise.all(attackers.map((socket) => flood(socket, chunk, 16 * MIB)));
      await expectHeld();
      for (const socket of sockets.splice(0)) socket.destroy();
      await expectLevel();
    },
    60_000,
  );
});

describe('what connections keep', () => {
  const FEED = 'subscription { deliveryChanges { cursor changes { status } } }';

  it('of subscriptions with operation IDs of 1 MB is nothing: they are refused', async () => {
    const socket = await openLetIn(posthorn.url, tenant.key);
    sockets.push({ destroy: socket.cut });
    for (let n = 0; n < 20; n += 1) {
      socket.send({ id: `${n}${'x'.repeat(1_000_000)}`, type: 'subscribe', payload: { query: FEED } });
    }
    expect(await socket.waitForClose()).toBe(4400);
    await expectLevel();
  });

  it('of documents, variables, extensions and connectionParams is bounded over WebSocket', async () => {
    const params = { authorization: `Bearer ${tenant.key}`, rest: 'x'.repeat(15_000) };
    const opened = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = await openRawSocket(posthorn.url);
        sockets.push({ destroy: socket.cut });
        socket.send({ type: 'connection_init', payload: params });
        for (let n = 0; n < 50; n += 1) {
          const payload = { query: `${FEED} # ${n} ${'x'.repeat(10_000)}`, extensions: { x: 'x'.repeat(100_000) } };
          socket.send({ id: `${n}`, type: 'subscribe', payload }, 'connection_ack');
        }
        return socket;
      }),
    );
    for (const socket of opened) {
      socket.send({ id: 'last', type: 'subscribe', payload: { query: '{ viewer { kind } }' } }, 'connection_ack');
      expect(await socket.next(({ id }) => id === 'last')).toMatchObject({ type: 'next' });
    }
    await expectHeld();
    for (const socket of sockets.splice(0)) socket.destroy();
    await expectLevel();
  }, 60_000);

  /** Opens streams with bodies of so many bytes. */
  async function openStreams(count: number, bytes: number) {
    const abort = new AbortController();
    sockets.push({ destroy: () => abort.abort() });
    const body = JSON.stringify({ query: FEED, extensions: { x: 'x'.repeat(bytes) } });
    const headers = {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: `Bearer ${tenant.key}`,
    };
    const open = () => fetch(`${posthorn.url}/graphql`, { method: 'POST', signal: abort.signal, headers, body });
    return Promise.all(Array.from({ length: count }, open));
  }

  it('of large requests that subscribe over SSE is nothing: they are refused', async () => {
    for (const response of await openStreams(20, MIB)) {
      expect(await response.text()).toContain('COST_LIMIT_EXCEEDED');
    }
    await expectLevel();
  }, 60_000);

  it('of requests that subscribe over SSE counts against their key, and is given back', async () => {
    const streams = await openStreams(200, 120_000);
    const opened = streams.filter(({ headers }) => headers.get('content-type')?.startsWith('text/event-stream'));
    const firsts = await Promise.all(opened.map(async ({ body }) => (await body?.getReader().read())?.value));
    const refused = firsts.filter((first) => new TextDecoder().decode(first).includes('RATE_LIMITED'));
    const bytes = 120_000 * (firsts.length - refused.length);
    expect(bytes).toBeLessThanOrEqual(16 * MIB);
    expect(bytes).toBeGreaterThan(15 * MIB);
    await expectHeld();
    for (const socket of sockets.splice(0)) socket.destroy();
    await expectLevel();
  }, 60_000);
});
