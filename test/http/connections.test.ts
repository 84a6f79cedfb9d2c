import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connections, PROCESS_OUTPUT_BYTES_MAX, STALLED_MS_MAX } from '../../src/http/connections.ts';
import { createLog } from '../../src/log.ts';
import { ROOT_KEY, until, useTestBed } from '../support/posthorn.ts';
import { exchange, parseAnswer, sendRaw } from '../support/raw-request.ts';

const MIB = 1_048_576;
const BODY = Buffer.alloc(64 * MIB);

describe('a connection whose output is not read', () => {
  let server: Server;
  let connections: Connections;
  let clients: Socket[];

  beforeEach(async () => {
    server = createServer((_, response) => response.end(BODY)).listen(0, '127.0.0.1');
    connections = new Connections(server, createLog('silent'));
    clients = [];
    await once(server, 'listening');
  });

  afterEach(async () => {
    connections.destroyAll();
    for (const client of clients) client.destroy();
    server.close();
    await once(server, 'close');
  });

  /** Asks for the body, and reads nothing of it. @returns the client, when output waits for it */
  async function ask(): Promise<{ client: Socket; served: Socket }> {
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, 'connection');
    const client = connect(port, '127.0.0.1').pause();
    clients.push(client);
    const [served] = (await accepted) as [Socket];
    client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await until(() => served.writableLength > 0, 'output to wait');
    return { client, served };
  }

  /** Lets a client read so many bytes, and little more. */
  const readFrom = (client: Socket, bytes: number) =>
    new Promise<void>((resolve) => {
      const end = client.bytesRead + bytes;
      const pauseAtEnd = () => {
        if (client.bytesRead < end) return;
        client.off('data', pauseAtEnd).pause();
        resolve();
      };
      client.on('data', pauseAtEnd).resume();
    });

  it('is cut when its output has made no progress for a minute, and not before', async () => {
    const { served } = await ask();
    connections.check(0);
    connections.check(STALLED_MS_MAX);
    expect(served.destroyed).toBe(false);
    connections.check(STALLED_MS_MAX + 1);
    expect(served.destroyed).toBe(true);
  });

  it('is not cut while it is read slowly, even if all of the output is one piece', async () => {
    const { client, served } = await ask();
    connections.check(0);
    for (let minute = 1; minute <= 5; minute += 1) {
      await readFrom(client, 8 * MIB);
      connections.check(minute * STALLED_MS_MAX + minute);
      expect(served.destroyed).toBe(false);
    }
    connections.check(7 * STALLED_MS_MAX);
    connections.check(9 * STALLED_MS_MAX);
    expect(served.destroyed).toBe(true);
  });

  it('is cut if too much waits in the process: those with the most first, until the rest fits', async () => {
    const served: Socket[] = [];
    for (let n = 0; n * BODY.length <= PROCESS_OUTPUT_BYTES_MAX + BODY.length; n += 1)
      served.push((await ask()).served);
    connections.check(0);
    const left = served.filter(({ destroyed }) => !destroyed);
    expect(left.length).toBeGreaterThanOrEqual(3);
    expect(left.reduce((sum, { writableLength }) => sum + writableLength, 0)).toBeLessThanOrEqual(
      PROCESS_OUTPUT_BYTES_MAX,
    );
  });
});

describe('a request that two parties could read differently', () => {
  const bed = useTestBed({ role: 'api' });
  const SMUGGLED = 'GET /healthz HTTP/1.1\r\nhost: x\r\nx-request-id: smuggled\r\n\r\n';
  const head = (lines: string) =>
    `POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ROOT_KEY}\r\ncontent-type: application/json\r\n${lines}\r\n`;

  it.each([
    ['a length and chunks', `content-length: 4\r\ntransfer-encoding: chunked\r\n`, `0\r\n\r\n${SMUGGLED}`],
    ['two lengths', `content-length: 0\r\ncontent-length: ${SMUGGLED.length}\r\n`, SMUGGLED],
    ['chunks without a length', 'transfer-encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`],
    ['an unknown transfer encoding', 'transfer-encoding: xchunked\r\n', SMUGGLED],
    ['a space before the colon', `content-length : ${SMUGGLED.length}\r\n`, SMUGGLED],
    ['a length with a sign', `content-length: +${SMUGGLED.length}\r\n`, SMUGGLED],
    ['a folded header', `content-length:\r\n ${SMUGGLED.length}\r\n`, SMUGGLED],
    ['a header that ends with a bare line feed', `x-a: 1\ncontent-length: ${SMUGGLED.length}\r\n`, SMUGGLED],
    ['two hosts', `host: y\r\ncontent-length: ${SMUGGLED.length}\r\n`, SMUGGLED],
    ['two content types', `content-type: text/plain\r\ncontent-length: ${SMUGGLED.length}\r\n`, SMUGGLED],
  ])('is refused, and nothing in its body is carried out: %s', async (_, lines, rest) => {
    const answer = await exchange(bed.url, head(lines) + rest);
    expect(parseAnswer(answer).status).toBeGreaterThanOrEqual(400);
    expect(parseAnswer(answer).status).toBeLessThan(500);
    expect(answer).not.toContain('smuggled');
  });
});

describe('every path', () => {
  const bed = useTestBed({ role: 'api' });
  const PATHS = ['/', '/healthz', '/readyz', '/graphql', '/session', '/deliveries', '/assets/none.js', '/nothing'];

  it.each(PATHS)('answers HEAD as GET, without a body: %s', async (path) => {
    const headers = { authorization: `Bearer ${ROOT_KEY}`, accept: '*/*', connection: 'close' };
    const [head, get] = [await sendRaw(bed.url, 'HEAD', path, headers), await sendRaw(bed.url, 'GET', path, headers)];
    expect(head.body).toBe('');
    if (path !== '/graphql') expect(head.status).toBe(get.status);
    expect(head.status).toBeLessThan(500);
  });

  it.each(PATHS)('answers OPTIONS, and methods that it does not have, without a fault of its own: %s', async (path) => {
    for (const method of ['OPTIONS', 'DELETE', 'PUT', 'PATCH', 'TRACE', 'PROPFIND']) {
      const { status } = await sendRaw(bed.url, method, path, { connection: 'close' });
      expect([method, status < 500 && status >= 200]).toEqual([method, true]);
    }
  });

  it('that is unknown answers 404 and names the path of GraphQL', async () => {
    const { status, body } = await sendRaw(bed.url, 'POST', '/api/graphql', {}, '{}');
    expect([status, body]).toEqual([404, 'Nothing is at this path. GraphQL is at /graphql.\n']);
  });
});
