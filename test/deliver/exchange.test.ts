import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createSecureServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createNetServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates } from 'node:tls';
import { Agent, buildConnector } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DeadlineError, exchange, type Request } from '../../src/deliver/exchange.ts';
import { RESPONSE_BODY_BYTES_KEPT } from '../../src/deliver/response-body.ts';
import { Sender } from '../../src/deliver/sender.ts';
import { StallClock } from '../../src/deliver/stall-clock.ts';
import { newId } from '../../src/domain/ids.ts';
import { Keyring } from '../../src/domain/sealing.ts';
import { makeTargetPolicy } from '../../src/domain/target-policy.ts';
import type { OutgoingDelivery } from '../../src/storage/load-outgoing.ts';
import { ENCRYPTION_KEY, until } from '../support/posthorn.ts';

/** Short, for exchanges that are to reach it. */
const SOON_MS = 400;
/** Long, for those that are not. */
const NEVER_MS = 15_000;

/** For localhost and 127.0.0.1, self-signed, until 2126. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUCbuvMJxvOeByN/j14MHYp9zq5hcwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA1NTcwNloYDzIxMjYxMDI5
MDU1NzA2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQT1wS/VAQu19eFRIETtQkeWXw7I44A3cDUVJtqN6dnMKqiX0vtzQF5
ossEvBNGeLCzV64/zoOQKO0VI8dg522Uo28wbTAdBgNVHQ4EFgQUiFuGrkC8t4gs
H/dT/THeAAOyRTswHwYDVR0jBBgwFoAUiFuGrkC8t4gsH/dT/THeAAOyRTswDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgO75PRmi8rTTWXNY3nR2gR7mnKn5UfUCdk33+Ny/DbR8CIDcF
jTUjevVgcb6LdPh4XLf0D2SBZgF2s8B8X2NovwzE
-----END CERTIFICATE-----`;
const PRIVATE_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+BNc/5DCAl+AkRhB
DtfdQq0hWMAJSxfDhmAvpfzvk76hRANCAAQT1wS/VAQu19eFRIETtQkeWXw7I44A
3cDUVJtqN6dnMKqiX0vtzQF5ossEvBNGeLCzV64/zoOQKO0VI8dg522U
-----END PRIVATE KEY-----`;
const TLS = { cert: CERTIFICATE, key: PRIVATE_KEY };

const cleanUps: (() => Promise<unknown>)[] = [];
const trusted = getCACertificates('default');

beforeAll(() => setDefaultCACertificates([...trusted, CERTIFICATE]));

afterAll(() => setDefaultCACertificates(trusted));

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A server that listens, with the connections that were made to it and are open. */
interface Listening {
  /** Host and port. */
  host: string;
  made: () => number;
  open: () => number;
}

async function listen(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  let made = 0;
  server.on('connection', (socket: Socket) => {
    made += 1;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, made: () => made, open: () => sockets.size };
}

const serve = (listener: RequestListener) => listen(createHttpServer(listener));

/** Answers each request, once its head is there, with bytes of the test's own. */
const serveRaw = (answer: (socket: Socket) => void) =>
  listen(createNetServer((socket) => socket.once('data', () => answer(socket)).on('error', () => {})));

function makeAgent(options: Agent.Options = {}): Agent {
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, ...options });
  cleanUps.push(() => agent.destroy());
  return agent;
}

const requestTo = ({ host }: Listening, overrides: Partial<Request> = {}): Request => ({
  origin: `http://${host}`,
  path: '/',
  method: 'POST',
  headers: { 'content-type': 'text/plain' },
  body: Buffer.from('hello'),
  timeoutMs: NEVER_MS,
  ...overrides,
});

const chunkOf = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

describe('the deadline', () => {
  it('is heeded before a connection is there: a TLS endpoint that accepts and never answers the handshake', async () => {
    const server = await listen(createNetServer((socket) => socket.resume()));
    const agent = makeAgent({ connect: { timeout: 60_000 } });
    const request = requestTo(server, { origin: `https://${server.host}`, timeoutMs: SOON_MS });
    await expect(exchange(agent, request)).rejects.toThrow(DeadlineError);
    expect(server.made()).toBe(1);
  });

  it('ends a request that is not answered, and its connection', async () => {
    const server = await serve(() => {});
    await expect(exchange(makeAgent(), requestTo(server, { timeoutMs: SOON_MS }))).rejects.toThrow(DeadlineError);
    await until(() => server.open() === 0, 'the connection to be closed');
  });

  it('ends a request to which only informational responses come', async () => {
    const server = await serveRaw((socket) => socket.write('HTTP/1.1 102 Processing\r\n\r\n'));
    await expect(exchange(makeAgent(), requestTo(server, { timeoutMs: SOON_MS }))).rejects.toThrow(DeadlineError);
    await until(() => server.open() === 0, 'the connection to be closed');
  });

  it('ends a request whose head comes byte by byte', async () => {
    const server = await serveRaw((socket) => {
      const head = 'HTTP/1.1 200 OK\r\nx-slow: ';
      let sent = 0;
      const timer = setInterval(() => socket.write(head[sent++] ?? 'x'), 10);
      socket.on('close', () => clearInterval(timer));
    });
    await expect(exchange(makeAgent(), requestTo(server, { timeoutMs: SOON_MS }))).rejects.toThrow(DeadlineError);
    await until(() => server.open() === 0, 'the connection to be closed');
  });

  it('keeps status and body so far where the body stalls', async () => {
    const server = await serve((_, response) => response.writeHead(503, { 'retry-after': '7' }).write('so far'));
    const answer = await exchange(makeAgent(), requestTo(server, { timeoutMs: SOON_MS }));
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '7' } });
    expect(answer.body.toString()).toBe('so far');
    await until(() => server.open() === 0, 'the connection to be closed');
  });

  it('keeps status and an empty body where nothing but the head came', async () => {
    const server = await serve((_, response) => response.writeHead(200, { 'content-length': 5 }).flushHeaders());
    const answer = await exchange(makeAgent(), requestTo(server, { timeoutMs: SOON_MS }));
    expect([answer.status, answer.body.length]).toEqual([200, 0]);
  });

  it('ends a body that drips, each byte of which comes in time', async () => {
    const server = await serve((_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('.'), 10);
      response.on('close', () => clearInterval(timer));
    });
    const started = performance.now();
    const answer = await exchange(makeAgent(), requestTo(server, { timeoutMs: SOON_MS }));
    // A timer may fire a millisecond early.
    expect(performance.now() - started).toBeGreaterThanOrEqual(SOON_MS - 2);
    expect(answer.status).toBe(200);
    expect(answer.body.toString()).toMatch(/^\.+$/);
    await until(() => server.open() === 0, 'the connection to be closed');
  });

  it('that passes while a request waits for its connection keeps it from being sent afterwards', async () => {
    const paths: (string | undefined)[] = [];
    const server = await serve((request, response) => {
      paths.push(request.url);
      response.end();
    });
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const { promise: connected, resolve: tellConnected } = Promise.withResolvers<void>();
    const connectNow = buildConnector({});
    const agent = makeAgent({
      connect: (options, callback) => {
        opened.then(() =>
          connectNow(options, (...result) => {
            callback(...result);
            tellConnected();
          }),
        );
      },
    });
    const late = requestTo(server, { path: '/late', timeoutMs: SOON_MS });
    await expect(exchange(agent, late)).rejects.toThrow(DeadlineError);
    open();
    await connected;
    expect((await exchange(agent, requestTo(server, { path: '/in-time' }))).status).toBe(200);
    expect(paths).toEqual(['/in-time']);
  });

  it('of one request does not touch others to the same origin', async () => {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const server = await serve(async ({ url }, response) => {
      if (url === '/stalls') return;
      if (url === '/takes-long') await opened;
      response.end('done');
    });
    const agent = makeAgent();
    const takesLong = exchange(agent, requestTo(server, { path: '/takes-long' }));
    const stalls = exchange(agent, requestTo(server, { path: '/stalls', timeoutMs: SOON_MS }));
    expect((await exchange(agent, requestTo(server, { path: '/quick' }))).status).toBe(200);
    await expect(stalls).rejects.toThrow(DeadlineError);
    open();
    expect((await takesLong).body.toString()).toBe('done');
  });
});

describe('a body', () => {
  it('that is longer than what is read is cut off, and the connection is closed', async () => {
    const block = Buffer.alloc(16_384, 'x');
    const server = await serve((_, response) => {
      response.writeHead(200);
      const writeOn = () => {
        while (!response.destroyed && response.write(block));
        if (!response.destroyed) response.once('drain', writeOn);
      };
      writeOn();
    });
    const agent = makeAgent();
    const { status, body } = await exchange(agent, requestTo(server));
    expect(status).toBe(200);
    expect(body.length).toBeGreaterThan(RESPONSE_BODY_BYTES_KEPT);
    expect(body.every((byte) => byte === 0x78)).toBe(true);
    // Not all that was read is kept.
    expect(body.length).toBeLessThanOrEqual(RESPONSE_BODY_BYTES_KEPT + 65_536);
    await until(() => server.open() === 0, 'the connection to be closed');
    expect((await exchange(agent, requestTo(server))).status).toBe(200);
  });

  it('that is announced longer than what is read counts all the same', async () => {
    const server = await serve((_, response) =>
      response.writeHead(201, { 'content-length': 1_000_000 }).end(Buffer.alloc(1_000_000, 'x')),
    );
    const { status, body } = await exchange(makeAgent(), requestTo(server));
    expect(status).toBe(201);
    expect(body.subarray(0, RESPONSE_BODY_BYTES_KEPT).every((byte) => byte === 0x78)).toBe(true);
  });

  it('of 64 KiB is read to its end, and the connection is used again', async () => {
    const server = await serve((_, response) => response.end(Buffer.alloc(65_536, 'x')));
    const agent = makeAgent();
    for (let count = 0; count < 3; count += 1) {
      await exchange(agent, requestTo(server));
      await turn();
    }
    expect(server.made()).toBe(1);
  });

  it('that goes on where the kept part ends shows by one byte more that it was cut', async () => {
    const server = await serve(async (_, response) => {
      await new Promise((resolve) => response.write('x'.repeat(RESPONSE_BODY_BYTES_KEPT), resolve));
      response.end('é');
    });
    const { body } = await exchange(makeAgent(), requestTo(server));
    expect(body.length).toBeGreaterThan(RESPONSE_BODY_BYTES_KEPT);
  });

  it.each([
    ['of a length', 'content-length: 100\r\n\r\nten bytes.'],
    ['in chunks', `transfer-encoding: chunked\r\n\r\n${chunkOf('ten bytes.')}`],
  ])('%s that breaks off takes the status not back', async (_, rest) => {
    const server = await serveRaw((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${rest}`, () => socket.resetAndDestroy());
    });
    const answer = await exchange(makeAgent(), requestTo(server)).catch((error: Error) => error);
    // The reset may overtake what was sent before it.
    if (answer instanceof Error) expect(answer).not.toBeInstanceOf(DeadlineError);
    else expect([answer.status, 'ten bytes.'.startsWith(answer.body.toString())]).toEqual([200, true]);
  });

  it.each([
    ['of a length', 'content-length: 100\r\n\r\nten bytes.'],
    ['in chunks', `transfer-encoding: chunked\r\n\r\n${chunkOf('ten bytes.')}`],
    ['with a faulty chunk', `transfer-encoding: chunked\r\n\r\n${chunkOf('ten bytes.')}no length\r\n`],
  ])('%s that ends too early counts with what came', async (_, rest) => {
    const server = await serveRaw((socket) => socket.end(`HTTP/1.1 200 OK\r\n${rest}`));
    const { status, body } = await exchange(makeAgent(), requestTo(server));
    expect([status, body.toString()]).toEqual([200, 'ten bytes.']);
  });

  it('that ends with the connection is whole', async () => {
    const server = await serveRaw((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nall of it'));
    const { status, body } = await exchange(makeAgent(), requestTo(server));
    expect([status, body.toString()]).toEqual([200, 'all of it']);
  });
});

describe('an exchange', () => {
  it('sends method, path with query, headers and body to the letter', async () => {
    const received: unknown[] = [];
    const server = await serve(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { 'x-own': own, 'accept-encoding': encoding } = request.headers;
      received.push(request.method, request.url, own, encoding, Buffer.concat(chunks).toString());
      response.writeHead(204).end();
    });
    const overrides = {
      method: 'PATCH',
      path: '/in?a=%20b&c',
      headers: { 'x-own': 'ü' },
      body: Buffer.from('{"é":1}'),
    };
    const { status, body } = await exchange(makeAgent(), requestTo(server, overrides as Partial<Request>));
    expect([status, body.length]).toEqual([204, 0]);
    expect(received).toEqual(['PATCH', '/in?a=%20b&c', 'ü', 'identity', '{"é":1}']);
  });

  it('gives a header that comes twice as an array, and any name as it came', async () => {
    const server = await serveRaw((socket) => {
      const headers = ['set-cookie: a=1', 'Set-Cookie: b=2', 'X-One: 1', '__proto__: odd', 'constructor: odd too'];
      socket.end(`HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\ncontent-length: 0\r\n\r\n`);
    });
    const { headers } = await exchange(makeAgent(), requestTo(server));
    expect(Object.entries(headers)).toEqual([
      ['set-cookie', ['a=1', 'b=2']],
      ['x-one', '1'],
      ['__proto__', 'odd'],
      ['constructor', 'odd too'],
      ['content-length', '0'],
    ]);
  });

  it('skips informational responses before the final one', async () => {
    const server = await serveRaw((socket) => {
      socket.write('HTTP/1.1 102 Processing\r\n\r\n');
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n');
      socket.end('HTTP/1.1 202 Accepted\r\nx-final: yes\r\ncontent-length: 4\r\n\r\ndone');
    });
    const { status, headers, body } = await exchange(makeAgent(), requestTo(server));
    expect([status, body.toString()]).toEqual([202, 'done']);
    expect(headers).toEqual({ 'x-final': 'yes', 'content-length': '4' });
  });

  it('follows no redirection', async () => {
    let count = 0;
    const server = await serve((_, response) => {
      count += 1;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect(await exchange(makeAgent(), requestTo(server))).toMatchObject({
      status: 307,
      headers: { location: '/elsewhere' },
    });
    expect(count).toBe(1);
  });

  it('uses a connection again that is kept alive', async () => {
    let count = 0;
    const server = await serve((request, response) => {
      request.resume();
      count += 1;
      response.end(`answer ${count}`);
    });
    const agent = makeAgent();
    for (let number = 1; number <= 5; number += 1) {
      expect((await exchange(agent, requestTo(server))).body.toString()).toBe(`answer ${number}`);
      // undici takes a connection again a turn of the event loop after it was used.
      await turn();
    }
    expect(server.made()).toBe(1);
  });

  it('makes a connection for each of those in flight at once', async () => {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    let inFlight = 0;
    const server = await serve(async (_, response) => {
      inFlight += 1;
      if (inFlight === 5) open();
      await opened;
      response.end();
    });
    const agent = makeAgent();
    const answers = await Promise.all(Array.from({ length: 5 }, () => exchange(agent, requestTo(server))));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(server.made()).toBe(5);
  });

  it('counts an answer that comes before the request is read', async () => {
    const server = await serveRaw((socket) => {
      socket.write('HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno');
      socket.resume();
    });
    const answer = await exchange(makeAgent(), requestTo(server, { body: Buffer.alloc(262_144, 'x') }));
    expect([answer.status, answer.body.toString()]).toEqual([413, 'no']);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['a hang-up before the status', (socket) => socket.end()],
    ['a reset before the status', (socket) => socket.resetAndDestroy()],
    ['a head that breaks off', (socket) => socket.end('HTTP/1.1 200 OK\r\nx-half: ')],
    ['what is not HTTP', (socket) => socket.end('220 mail.example.com ESMTP\r\n')],
    [
      'a change of protocol that nobody asked for',
      (socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n');
      },
    ],
    ['a head of a megabyte', (socket) => socket.write(`HTTP/1.1 200 OK\r\nx-long: ${'x'.repeat(1_048_576)}`)],
  ])('fails at %s, before the deadline', async (_, answer) => {
    const server = await serveRaw(answer);
    const error = await exchange(makeAgent(), requestTo(server)).catch((reason: Error) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(DeadlineError);
    await until(() => server.open() === 0, 'the connection to be closed');
  });

  it('fails where nobody listens', async () => {
    const server = await serve(() => {});
    const { host } = server;
    for (const cleanUp of cleanUps.splice(0)) await cleanUp();
    const error = await exchange(makeAgent(), requestTo({ ...server, host })).catch((reason: Error) => reason);
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('fails at a header that can not be sent, and leaves nothing behind', async () => {
    const server = await serve((_, response) => response.end());
    const faulty = requestTo(server, { headers: { 'x-own': 'two\r\nlines: 1' } });
    await expect(exchange(makeAgent(), faulty)).rejects.toThrow('header');
  });

  it('fails where the agent is closed meanwhile', async () => {
    const server = await serve(() => {});
    const agent = new Agent();
    const result = exchange(agent, requestTo(server)).catch((reason: Error) => reason);
    await until(() => server.made() === 1, 'the request to be in flight');
    await agent.destroy();
    expect(await result).toBeInstanceOf(Error);
    await expect(exchange(agent, requestTo(server))).rejects.toThrow();
  });
});

describe('a process that does nothing for a while', () => {
  /** Blocks the event loop, with everything in this process. */
  const block = (ms: number) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };

  it('gives the endpoint that time in addition: its answer counts', async () => {
    const stalls = new StallClock();
    const server = await serve((request, response) => {
      request.resume();
      block(4 * SOON_MS);
      response.end('in time');
    });
    const { body } = await exchange(makeAgent(), requestTo(server, { timeoutMs: SOON_MS }), stalls);
    expect(body.toString()).toBe('in time');
    stalls.stop();
  });

  it('gives no more than that: an endpoint that never answers fails at the deadline', async () => {
    const stalls = new StallClock();
    const server = await serve((request) => {
      request.resume();
      block(2 * SOON_MS);
    });
    const error = await exchange(makeAgent(), requestTo(server, { timeoutMs: SOON_MS }), stalls).catch(
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(DeadlineError);
    stalls.stop();
  });

  it('starts the time of an attempt when the attempt starts, not when the event loop last looked at the clock', async () => {
    const server = await serve((request, response) => {
      request.resume();
      response.end('in time');
    });
    block(2 * SOON_MS);
    const { body } = await exchange(makeAgent(), requestTo(server, { timeoutMs: SOON_MS }));
    expect(body.toString()).toBe('in time');
  });
});

describe('over TLS', () => {
  const sender = () => {
    const made = new Sender({
      keyring: new Keyring(ENCRYPTION_KEY),
      targetPolicy: makeTargetPolicy({ allowedNetworks: ['127.0.0.0/8'], allowedHosts: [], deniedPorts: null }),
      proxyUrl: null,
      userAgent: 'test',
    });
    cleanUps.push(() => made.close());
    return made;
  };

  const deliveryTo = ({ host }: Listening, timeoutMs: number) =>
    ({
      eventId: newId(),
      url: `https://${host}/in`,
      method: 'POST',
      contentType: 'text/plain',
      body: Buffer.from('hello'),
      headersSealed: null,
      secretsSealed: [],
      timeoutMs,
    }) as unknown as OutgoingDelivery;

  /** Stands before a TLS server: connections that come first are never answered, the others reach it. */
  async function listenStalling(server: Server, stalled: number): Promise<Listening> {
    const { host } = await listen(server);
    let count = 0;
    return listen(
      createNetServer((socket) => {
        count += 1;
        if (count <= stalled) return void socket.resume();
        const through = connect(Number(host.split(':')[1]), '127.0.0.1').on('error', () => socket.destroy());
        socket.pipe(through).pipe(socket);
        socket.on('close', () => through.destroy());
      }),
    );
  }

  it('an answer arrives', async () => {
    const server = await listen(createHttpsServer(TLS, (_, response) => response.writeHead(202).end('safe')));
    const result = await sender().send(deliveryTo(server, NEVER_MS));
    expect(result).toMatchObject({ error: null, responseStatus: 202, responseBody: 'safe' });
  });

  it('a server that also speaks HTTP/2 gets the request as any other', async () => {
    const received: unknown[] = [];
    const server = await listen(
      createHttp2Server({ ...TLS, allowHTTP1: true }, (request, response) => {
        received.push(request.method, request.url, request.headers['content-type'], request.headers['user-agent']);
        response.writeHead(202, { 'x-own': 'yes' }).end('safe');
      }),
    );
    const result = await sender().send(deliveryTo(server, NEVER_MS));
    expect(result).toMatchObject({ error: null, responseStatus: 202, responseBody: 'safe' });
    expect(result.responseHeaders).toMatchObject({ 'x-own': 'yes' });
    expect(Object.keys(result.responseHeaders ?? {}).filter((name) => name.startsWith(':'))).toEqual([]);
    expect(received).toEqual(['POST', '/in', 'text/plain', 'test']);
  });

  it('each answer is bounded by itself: a connection may bring as many as it likes', async () => {
    const server = await listen(createHttpsServer(TLS, (_, response) => response.end(Buffer.alloc(60_000, 'x'))));
    const used = sender();
    for (let time = 0; time < 20; time += 1) {
      expect(await used.send(deliveryTo(server, NEVER_MS))).toMatchObject({ error: null, responseStatus: 200 });
      await turn();
    }
    expect(server.made()).toBe(1);
  });

  it('an answer that goes on where no limit of HTTP is looked at is cut off', async () => {
    const server = await listen(
      createTlsServer(TLS, (socket) => {
        const goOn = () => {
          while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 'x')));
        };
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 ');
          goOn();
        });
        socket.on('drain', goOn).on('error', () => {});
      }),
    );
    const result = await sender().send(deliveryTo(server, NEVER_MS));
    expect(result.error).toMatchObject({ code: 'INVALID_RESPONSE', message: expect.stringContaining('512 KiB') });
    await until(() => server.open() === 0, 'the connection to be closed');
  });

  it('a certificate that nobody vouches for is a fault of TLS, not of time', async () => {
    setDefaultCACertificates(trusted);
    const server = await listen(createHttpsServer(TLS, (_, response) => response.end()));
    try {
      expect((await sender().send(deliveryTo(server, NEVER_MS))).error).toMatchObject({ code: 'TLS' });
    } finally {
      setDefaultCACertificates([...trusted, CERTIFICATE]);
    }
  });

  it('a server that speaks plain HTTP is a fault of TLS, not of time', async () => {
    const server = await serve((_, response) => response.end());
    expect((await sender().send(deliveryTo(server, NEVER_MS))).error).toMatchObject({ code: 'TLS' });
  });

  it('a handshake that stalls does not hold up the next request: all of an origin waited behind one connection', async () => {
    const server = await listenStalling(
      createHttpsServer(TLS, (_, response) => response.end('ok')),
      1,
    );
    const used = sender();
    expect((await used.send(deliveryTo(server, SOON_MS))).error).toMatchObject({ code: 'TIMEOUT' });
    expect(await used.send(deliveryTo(server, 5_000))).toMatchObject({ error: null, responseStatus: 200 });
  });

  it('a handshake that stalls does not hold up those that are sent beside it', async () => {
    const server = await listenStalling(
      createHttpsServer(TLS, (_, response) => response.end('ok')),
      1,
    );
    const used = sender();
    const results = await Promise.all(Array.from({ length: 4 }, () => used.send(deliveryTo(server, 5_000))));
    const statuses = results.map((result) => result.error?.code ?? result.responseStatus).sort();
    expect(statuses).toEqual([200, 200, 200, 'TIMEOUT']);
  });
});
