import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { ROOT_KEY, until, useTestBed } from '../support/posthorn.ts';
import { findLogLine, type Process, useProcesses, waitUntilStarted } from '../support/processes.ts';
import { parseAnswer } from '../support/raw-request.ts';
import { openLetIn } from '../support/raw-socket.ts';

const bed = useTestBed({ role: 'api' });
const { spawnOn } = useProcesses();
const FEED = { query: 'subscription { deliveryChanges { cursor } }' };

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A connection that is kept alive, and whose answers are read as they come. */
async function openKeptAlive(url: string) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  sockets.push(socket);
  let text = '';
  let isClosed = false;
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
  });
  await once(socket, 'connect');
  return {
    socket,
    write: (part: string) => socket.write(part),
    answered: async () => {
      await until(() => text.includes('\r\n\r\n') || isClosed, 'an answer');
      return parseAnswer(text);
    },
    closed: () => until(() => isClosed, 'the connection to be closed'),
    get text() {
      return text;
    },
  };
}

const HEAD = (length: number) =>
  `POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ROOT_KEY}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
const PUBLISH = JSON.stringify({
  query: 'mutation { publishEvent(input: { type: "shutdown.one", payload: {} }) { __typename } }',
});
const HANDSHAKE =
  'GET /graphql HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n';

async function start(env: Record<string, string> = {}) {
  const process = spawnOn(bed.database.url, { POSTHORN_ROLE: 'api', ...env });
  return { process, url: await waitUntilStarted(process) };
}

const stop = async (process: Process) => {
  process.child.kill('SIGTERM');
  await until(() => findLogLine(process.stdout(), 'posthorn.stopping'), 'the process to begin to stop');
};

/** A request of which the body is not whole yet: it holds up the shutdown until it is. */
async function beginRequest(url: string) {
  const pending = await openKeptAlive(url);
  pending.write(HEAD(PUBLISH.length) + PUBLISH.slice(0, 10));
  // It has been read once a later connection was answered.
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  return { ...pending, finish: () => pending.write(PUBLISH.slice(10)) };
}

describe('once shutdown has begun', () => {
  it('a connection that was open before can neither open a WebSocket nor send requests, and the process ends', async () => {
    const { process, url } = await start();
    const pending = await beginRequest(url);
    // Each has sent the beginning of a request, so that it is not closed as idle.
    const early = await Promise.all(
      [HANDSHAKE, HEAD(PUBLISH.length) + PUBLISH, 'GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n'].map(async (request) => {
        const connection = await openKeptAlive(url);
        connection.write(request.slice(0, 5));
        return { ...connection, finish: () => connection.write(request.slice(5)), answered: connection.answered };
      }),
    );
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    await stop(process);
    for (const { finish } of early) finish();
    const answers = await Promise.all(early.map(({ answered }) => answered()));
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
    for (const { headers } of answers) {
      expect(headers).toMatchObject({ 'retry-after': '1', connection: expect.stringContaining('close') });
    }
    expect(JSON.parse(answers[1]?.body ?? '')).toMatchObject({
      errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1_000 } }],
    });
    await Promise.all(early.map(({ closed }) => closed()));
    pending.finish();
    const answer = await pending.answered();
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      200,
      { data: { publishEvent: { __typename: 'PublishEventPayload' } } },
    ]);
    expect(await process.exited).toEqual({ code: 0, signal: null });
  }, 60_000);

  it('a client that answers the close of its WebSocket with an invalid frame disturbs nobody', async () => {
    const { process, url } = await start();
    const pending = await beginRequest(url);
    const [bad, good] = await Promise.all([openLetIn(url, ROOT_KEY), openLetIn(url, ROOT_KEY)]);
    for (const { send } of [bad, good]) send({ id: '1', type: 'subscribe', payload: FEED });
    const raw = (bad.socket as WebSocket & { _socket: Socket })._socket;
    raw.removeAllListeners('data');
    raw.once('data', () => raw.write(Buffer.from([0xff, 0xff, 0xff, 0xff])));
    await stop(process);
    expect(await good.waitForClose()).toBe(1001);
    pending.finish();
    expect((await pending.answered()).status).toBe(200);
    expect(await process.exited).toEqual({ code: 0, signal: null });
    expect(findLogLine(process.stdout(), 'posthorn.stop_failed')).toBeUndefined();
  }, 60_000);

  it('requests, streams and WebSockets that do not end are cut when the shutdown time is over', async () => {
    const { process, url } = await start({ POSTHORN_SHUTDOWN_TIMEOUT_MS: '300' });
    const pending = await beginRequest(url);
    const deaf = await openLetIn(url, ROOT_KEY);
    deaf.send({ id: '1', type: 'subscribe', payload: FEED });
    deaf.socket.pause();
    const stream = await openKeptAlive(url);
    const body = JSON.stringify(FEED);
    stream.write(HEAD(body.length).replace('\r\n', '\r\naccept: text/event-stream\r\n') + body);
    await stream.answered();
    await stop(process);
    expect(await process.exited).toEqual({ code: 0, signal: null });
    await Promise.all([pending.closed(), stream.closed()]);
    expect(pending.text).toBe('');
    expect(findLogLine(process.stdout(), 'posthorn.stop_failed')).toBeUndefined();
  }, 60_000);
});
