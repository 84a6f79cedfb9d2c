import { connect } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { HEADER_BYTES_MAX, HEADERS_MAX } from '../src/http/server.ts';
import type { Posthorn } from '../src/main.ts';
import { ROOT_KEY, type TestBed, until, useTestBed } from './support/posthorn.ts';

const bed = useTestBed({ role: 'api', corsOrigins: ['https://app.example.com', 'http://localhost:3000'] });

const authorization = `Bearer ${ROOT_KEY}`;
const QUERY = JSON.stringify({ query: '{ viewer { scopes } }' });
const JSON_TYPE = { 'content-type': 'application/json' };

const ask = (init: RequestInit = {}, url = bed.url) =>
  fetch(`${url}/graphql`, {
    method: 'POST',
    body: QUERY,
    ...init,
    headers: { ...JSON_TYPE, authorization, ...(init.headers as Record<string, string>) },
  });

describe('every answer', () => {
  const ANSWERS: [what: string, get: () => Promise<Response>][] = [
    ['a query', () => ask()],
    ['a refused key', () => ask({ headers: { authorization: 'Bearer x' } })],
    ['a syntax error', () => ask({ body: '{"query":"{"}' })],
    ['a body that is no JSON', () => ask({ body: '{' })],
    ['another content type', () => ask({ headers: { 'content-type': 'text/plain' } })],
    ['a preflight', () => ask({ method: 'OPTIONS', body: null, headers: { origin: 'https://app.example.com' } })],
    ['another method', () => ask({ method: 'DELETE', body: null })],
    ['GraphiQL', () => ask({ method: 'GET', body: null, headers: { accept: 'text/html' } })],
    [
      'a stream',
      () =>
        ask({
          body: '{"query":"subscription { deliveryChanges { cursor } }"}',
          headers: { accept: 'text/event-stream' },
        }),
    ],
    ['health', () => fetch(`${bed.url}/healthz`)],
    ['readiness', () => fetch(`${bed.url}/readyz`)],
    ['a path that is none', () => fetch(`${bed.url}/nothing`)],
  ];

  it.each(ANSWERS)('has the security headers, and is kept by no cache: %s', async (_, get) => {
    const { headers, body } = await get();
    await body?.cancel();
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'content-security-policy': expect.stringMatching(/^default-src 'none';.*frame-ancestors 'none'/),
      'cache-control': 'no-store',
      'x-request-id': expect.any(String),
      vary: expect.stringContaining('Origin'),
    });
    expect(headers.has('x-powered-by')).toBe(false);
    expect(headers.has('server')).toBe(false);
    expect(headers.has('strict-transport-security')).toBe(false);
  });

  it('tells browsers to stay with TLS only where that is set', async () => {
    const { url } = await bed.startProcess({ behindTls: true });
    const { headers } = await ask({}, url);
    expect(headers.get('strict-transport-security')).toBe('max-age=15552000');
  });
});

describe('pages of other origins', () => {
  const preflight = (origin: string, url?: string) =>
    ask(
      {
        method: 'OPTIONS',
        body: null,
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type',
        },
      },
      url,
    );

  it.each(['https://app.example.com', 'http://localhost:3000'])(
    '%s, which is allowed, may ask with a key of its own, and read what is answered',
    async (origin) => {
      const { ok, headers } = await preflight(origin);
      expect(ok).toBe(true);
      expect(headers.get('access-control-allow-origin')).toBe(origin);
      expect(headers.get('access-control-allow-methods')).toContain('POST');
      expect(headers.get('access-control-allow-headers')).toContain('authorization');
      expect(headers.get('access-control-allow-headers')).toContain('content-type');
      const answer = await ask({ headers: { origin } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
      expect(answer.headers.get('access-control-expose-headers')).toContain('ratelimit');
    },
  );

  it.each([
    'https://evil.example',
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://app.example.com.evil.example',
    'null',
  ])('%s, which is not allowed, gets no leave', async (origin) => {
    for (const { headers } of [await preflight(origin), await ask({ headers: { origin } })]) {
      expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
    }
  });

  it('may all ask where * is set, without cookies, and none where nothing is', async () => {
    const open = await bed.startProcess({ corsOrigins: ['*'] });
    const closed = await bed.startProcess({ corsOrigins: [] });
    const { headers } = await preflight('https://any.example', open.url);
    expect(headers.get('access-control-allow-origin')).toBe('https://any.example');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
    expect((await preflight('https://any.example', closed.url)).headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('a request that a form of another page could send', () => {
  const create = '{"query":"mutation { createOrganization(input: { name: \\"by form\\" }) { __typename } }"}';
  const query = new URLSearchParams({ query: JSON.parse(create).query }).toString();

  it.each<[string | undefined, string]>([
    ['text/plain', create],
    ['text/plain;charset=UTF-8', create],
    ['application/x-www-form-urlencoded', query],
    [
      'multipart/form-data; boundary=x',
      `--x\r\ncontent-disposition: form-data; name="operations"\r\n\r\n${create}\r\n--x--\r\n`,
    ],
    ['application/graphql', JSON.parse(create).query],
    ['application/jsonp', create],
    ['text/plain, application/json', create],
    ['', create],
  ])('is refused with 415 and changes nothing: content-type %j', async (type, body) => {
    const response = await ask({
      body: new TextEncoder().encode(body as string),
      headers: { 'content-type': type as string },
    });
    expect(response.status).toBe(415);
    expect(await response.json()).toMatchObject({
      errors: [{ message: 'Send JSON, with content-type: application/json.', extensions: { code: 'BAD_USER_INPUT' } }],
    });
    expect(await bed.database.query(`select 1 from organizations where name = 'by form'`)).toEqual([]);
  });

  it.each(['application/json', 'application/json; charset=utf-8', 'application/json;charset=UTF-8'])(
    'is none with content-type %s',
    async (type) => {
      expect((await ask({ headers: { 'content-type': type } })).status).toBe(200);
    },
  );
});

describe('a request that is too slow', () => {
  let hasty: Posthorn;
  beforeAll(async () => {
    hasty = await bed.startProcess({ requestTimeoutMs: 500 });
  });

  const HEAD = `POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\ncontent-type: application/json\r\n`;

  it.each([
    ['headers', HEAD, 'x-slow: 1\r\n'],
    ['body', `${HEAD}content-length: 100000\r\n\r\n`, ' '],
    ['nothing at all', '', ''],
  ])('is cut off with 408 however it drips: %s', async (_, start, drop) => {
    const { answer } = await drip(hasty, start, drop);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('leaves the server as it was', async () => {
    expect((await ask({}, hasty.url)).status).toBe(200);
  });

  it('is none that follows a feed, over SSE or WebSocket', async () => {
    const stream = await ask(
      { body: '{"query":"subscription { deliveryChanges { cursor } }"}', headers: { accept: 'text/event-stream' } },
      hasty.url,
    );
    const socket = new WebSocket(`${hasty.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    let isClosed = false;
    socket.on('close', () => {
      isClosed = true;
    });
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } })));
    const { answer } = await drip(hasty, HEAD, 'x-slow: 1\r\n');
    expect(answer).toMatch(/ 408 /);
    expect(isClosed).toBe(false);
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    expect((await reader.read()).done).toBe(false);
    await reader.cancel();
    socket.close();
  });
});

describe('headers', () => {
  it(`of more than ${HEADER_BYTES_MAX} bytes are refused with 431`, async () => {
    const send = (bytes: number) => ask({ headers: { 'x-filler': 'x'.repeat(bytes) } });
    expect((await send(HEADER_BYTES_MAX)).status).toBe(431);
    expect((await send(HEADER_BYTES_MAX / 2)).status).toBe(200);
  });

  it(`are refused with 431 where there are more than ${HEADERS_MAX}`, async () => {
    const filler = Object.fromEntries(Array.from({ length: HEADERS_MAX }, (_, n) => [`a-filler-${n}`, 'x']));
    const { authorization: _, ...rest } = { ...JSON_TYPE, authorization };
    const response = await fetch(`${bed.url}/graphql`, {
      method: 'POST',
      body: QUERY,
      headers: { ...rest, ...filler, 'x-api-key': ROOT_KEY },
    });
    expect(response.status).toBe(431);
  });
});

/** Sends a beginning, and then a bit at a time, until the server closes. @returns what it said */
async function drip({ url }: Pick<TestBed, 'url'>, start: string, drop: string): Promise<{ answer: string }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  let isClosed = false;
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
  });
  socket.write(start);
  const timer = setInterval(() => socket.writable && socket.write(drop), 50);
  try {
    await until(() => isClosed, 'the server to close');
  } finally {
    clearInterval(timer);
    socket.destroy();
  }
  return { answer };
}
