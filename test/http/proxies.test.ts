import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../src/storage/embedded-postgres.ts';
import { ROOT_KEY, until, useTestBed } from '../support/posthorn.ts';
import { sendRaw } from '../support/raw-request.ts';
import { openLetIn } from '../support/raw-socket.ts';

const bed = useTestBed({ role: 'api', trustedProxies: 1 });
const PAGE_HOST = 'posthorn.example';

/** Debian puts nginx where only root's shells look. */
const ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
const HAS_NGINX = await promisify(execFile)('nginx', ['-v'], { env: ENV }).then(
  () => true,
  () => false,
);
if (!HAS_NGINX) console.warn('nginx is not installed (apt-get install nginx): its tests are skipped.');

const HANDSHAKE = {
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
  'sec-websocket-protocol': 'graphql-transport-ws',
};

describe('a proxy that changes Host', () => {
  const signIn = (headers: Record<string, string>) =>
    sendRaw(bed.url, 'POST', '/session', { 'content-type': 'application/json', ...headers }, '{"key":"wrong"}');

  it('makes signing in fail with a message that names Host and what to set', async () => {
    const { status, body } = await signIn({ host: '127.0.0.1:4000', origin: `https://${PAGE_HOST}` });
    expect(status).toBe(403);
    const { message } = JSON.parse(body);
    for (const part of [
      `https://${PAGE_HOST}`,
      '127.0.0.1:4000',
      'proxy_set_header Host',
      'X-Forwarded-Host',
      'POSTHORN_TRUST_PROXY',
    ]) {
      expect(message).toContain(part);
    }
  });

  it('and removes Origin makes signing in fail with a message that names Origin', async () => {
    const { status, body } = await signIn({ host: '127.0.0.1:4000' });
    expect(status).toBe(403);
    expect(JSON.parse(body).message).toContain('no Origin header');
  });

  it('does no harm if it is trusted and sends X-Forwarded-Host', async () => {
    const headers = { host: '127.0.0.1:4000', origin: `https://${PAGE_HOST}` };
    expect((await signIn({ ...headers, 'x-forwarded-host': PAGE_HOST })).status).toBe(401);
    // Each proxy adds what it was asked for at the end; what stands before could come from anybody.
    expect((await signIn({ ...headers, 'x-forwarded-host': `${PAGE_HOST}, evil.example` })).status).toBe(403);
    const wary = await bed.startProcess({ trustedProxies: 0 });
    const all = { 'content-type': 'application/json', ...headers, 'x-forwarded-host': PAGE_HOST };
    expect((await sendRaw(wary.url, 'POST', '/session', all, '{"key":"wrong"}')).status).toBe(403);
  });
});

describe('a WebSocket handshake', () => {
  it.each<[string, Record<string, string>]>([
    ['both headers', {}],
    ['Connection alone', { upgrade: 'websocket' }],
    ['Upgrade alone', { connection: 'upgrade' }],
  ])('whose proxy removed %s is answered 426 and told what to set', async (_, headers) => {
    const { status, body, headers: answered } = await sendRaw(bed.url, 'GET', '/graphql', { ...HANDSHAKE, ...headers });
    expect(status).toBe(426);
    expect(answered.upgrade).toBe('websocket');
    expect(JSON.parse(body).errors[0].message).toContain('proxy_set_header Upgrade $http_upgrade');
  });

  it('at another path is answered 404 and told the right one', async () => {
    const headers = { ...HANDSHAKE, connection: 'upgrade', upgrade: 'websocket' };
    const { status, body } = await sendRaw(bed.url, 'GET', '/subscriptions', headers);
    expect([status, body]).toEqual([404, 'WebSockets are served at /graphql.\n']);
  });
});

it('a request that offers HTTP/2 in Upgrade, as curl --http2 does, is answered over HTTP/1.1', async () => {
  const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' };
  expect(await sendRaw(bed.url, 'GET', '/healthz', headers)).toMatchObject({ status: 200, body: 'ok\n' });
});

describe('the path /', () => {
  it.each(['GET', 'HEAD'])('answers %s with 200, whatever the client accepts', async (method) => {
    for (const accept of ['*/*', 'text/html', 'application/json', '']) {
      const response = await fetch(bed.url, { method, headers: { accept } });
      expect([accept, response.status]).toEqual([accept, 200]);
      const body = await response.text();
      if (method === 'HEAD') expect(body).toBe('');
    }
  });

  it('tells programs where GraphQL and the health checks are', async () => {
    const text = await (await fetch(bed.url)).text();
    for (const path of ['/graphql', '/healthz', '/readyz']) expect(text).toContain(path);
  });

  it('of a worker answers 200, and other paths 404, and both name its health checks', async () => {
    const { url } = await bed.startProcess({ role: 'worker' });
    for (const [path, status] of [
      ['/', 200],
      ['/graphql', 404],
      ['/x', 404],
    ] as const) {
      const response = await fetch(url + path);
      expect([path, response.status]).toEqual([path, status]);
      expect(await response.text()).toContain('/healthz');
    }
  });
});

describe('a Host header', () => {
  it.each(['x, y', '[', '1.2.3.4.5', 'x:99999', 'a b'])('%j is refused with 400, not with 500', async (host) => {
    const headers = { host, authorization: `Bearer ${ROOT_KEY}` };
    const { status, body } = await sendRaw(bed.url, 'GET', '/graphql?query=%7B__typename%7D', headers);
    expect(status).toBe(400);
    expect(body).not.toContain('at ');
  });
});

describe.skipIf(!HAS_NGINX)('behind nginx', () => {
  const cleanUps: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'posthorn-nginx-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Starts nginx with these directives beside `proxy_pass`. @returns where it answers */
  async function startNginx(directives: string): Promise<string> {
    const port = await findFreePort();
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    );
    const settings = `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
      events {} http { access_log off; ${temporary.join(' ')}
      server { listen 127.0.0.1:${port}; location / { proxy_pass ${bed.url}; ${directives} } } }`;
    await writeFile(join(folder, 'nginx.conf'), settings);
    const child = spawn('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'error.log'], { env: ENV, stdio: 'ignore' });
    const exited = once(child, 'exit');
    cleanUps.push(async () => {
      child.kill('SIGTERM');
      await exited;
    });
    const url = `http://127.0.0.1:${port}`;
    await until(
      () =>
        fetch(`${url}/healthz`).then(
          ({ ok }) => ok,
          () => false,
        ),
      'nginx to answer',
    );
    return url;
  }

  const handshake = (url: string) =>
    sendRaw(url, 'GET', '/graphql', { ...HANDSHAKE, connection: 'Upgrade', upgrade: 'websocket' });
  const signIn = (url: string) =>
    fetch(`${url}/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: url },
      body: JSON.stringify({ key: ROOT_KEY }),
    });

  it('with a bare proxy_pass, signing in and WebSockets fail with messages that say what to set, and / answers', async () => {
    const url = await startNginx('');
    const refused = await signIn(url);
    expect(refused.status).toBe(403);
    expect((await refused.json()).message).toContain('proxy_set_header Host $http_host');
    const { status, body } = await handshake(url);
    expect(status).toBe(426);
    expect(body).toContain('proxy_set_header Upgrade $http_upgrade');
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
  });

  it('with the directives that the messages name, signing in and WebSockets work', async () => {
    const url = await startNginx(
      'proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";',
    );
    expect((await signIn(url)).status).toBe(200);
    const socket = await openLetIn(url, ROOT_KEY);
    socket.send({ id: '1', type: 'subscribe', payload: { query: '{ viewer { kind } }' } });
    expect(await socket.next(({ type }) => type === 'next')).toMatchObject({
      payload: { data: { viewer: { kind: 'OPERATOR' } } },
    });
    socket.cut();
  });
});
