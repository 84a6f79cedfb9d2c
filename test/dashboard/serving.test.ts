import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { makeDashboard } from '../../src/http/dashboard-files.ts';
import { ENCRYPTION_KEY, ROOT_KEY, useTestBed } from '../support/posthorn.ts';

const HTML = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

describe('the pages of the dashboard', () => {
  const bed = useTestBed();
  const get = (path: string, headers: Record<string, string> = HTML) => fetch(`${bed.url}${path}`, { headers });

  it.each(['/', '/deliveries', '/deliveries/dlv_1', '/env_01h455vb4pex5vsknk084sn02q/events', '/sign-in'])(
    '%s is the page, for browsers',
    async (path) => {
      const response = await get(path);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(await response.text()).toContain('<div id="root">');
      expect(response.headers.get('cache-control')).toBe('no-cache');
    },
  );

  it('take scripts from this host alone, and no inline ones', async () => {
    const policy = (await get('/')).headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'; script-src 'self';");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).toContain("form-action 'none'");
  });

  it('have files that are kept for ever, packed for who takes that', async () => {
    const html = await (await get('/')).text();
    const [path = ''] = /\/assets\/index-[^"]+\.js/.exec(html) ?? [];
    const response = await get(path, { 'accept-encoding': 'br' });
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(response.headers.get('content-encoding')).toBe('br');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await response.text()).toContain('Posthorn');
  });

  it('that are not there are not found, and what stands beside them is never given', async () => {
    expect((await get('/assets/index-gone.js')).status).toBe(404);
    // As a browser would not send it: to the letter.
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request(`${bed.url}`, { path: '/assets/../../../package.json', headers: HTML }, resolve)
        .on('error', reject)
        .end();
    });
    expect(response.statusCode).toBe(404);
    expect(await text(response)).not.toContain('"name"');
  });

  it('are not given to what is no reading request of a page', async () => {
    const post = await fetch(`${bed.url}/deliveries`, { method: 'POST', headers: HTML });
    expect(post.status).toBe(404);
    expect((await get('/deliveries', { accept: 'application/json' })).status).toBe(404);
    expect((await get('/healthz')).headers.get('content-type')).toContain('text/plain');
  });

  it('are not served by a worker', async () => {
    const worker = await bed.startProcess({ role: 'worker' });
    const response = await fetch(`${worker.url}/deliveries`, { headers: HTML });
    expect(response.status).toBe(404);
    expect(await (await fetch(worker.url, { headers: HTML })).text()).not.toContain('<script');
    expect(worker.signInUrl).toBeNull();
  });

  it.each(['bytes=10-2', 'bytes=-5', 'bytes=x-y', 'bytes=9999999-'])(
    'are sent whole, whatever range is asked for: %s',
    async (range) => {
      const response = await get('/', { ...HTML, range });
      expect(response.status).toBe(200);
      expect(await response.text()).toContain('</html>');
    },
  );

  it('are not sent again to who has them', async () => {
    const etag = (await get('/')).headers.get('etag') as string;
    expect((await get('/', { ...HTML, 'if-none-match': etag })).status).toBe(304);
  });

  /** Serves a folder as the dashboard. */
  async function serveFolder(dir: string) {
    const serve = makeDashboard({ embedOrigins: [], dir });
    const server = createServer((request, response) => void serve(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { headers: HTML });
    return { ask, close: () => server.close() };
  }

  it('that were not built say what to do', async () => {
    const { ask, close } = await serveFolder(join(tmpdir(), 'posthorn-that-is-not-there'));
    const response = await ask('/');
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('npm run dashboard:build');
    close();
  });

  it('stay as they were when the process started, also when they are built anew meanwhile', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'posthorn-'));
    await writeFile(join(dir, 'index.html'), 'the first');
    const { ask, close } = await serveFolder(dir);
    await rm(dir, { recursive: true });
    expect(await (await ask('/deliveries')).text()).toBe('the first');
    close();
  });
});

describe('the link that signs in', () => {
  const bed = useTestBed();
  const signIn = (token: string) =>
    fetch(`${bed.url}/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: bed.url },
      body: JSON.stringify({ token }),
    });

  it('has a token that is good once, for a session of the operator', async () => {
    const token = new URL(bed.posthorn.signInUrl as string).hash.slice(1);
    const first = await signIn(token);
    expect(first.status).toBe(200);
    const cookie = first.headers.getSetCookie()[0]?.split(';', 1)[0] as string;
    const { data } = await bed.graphql('{ viewer { kind } }', {}, { key: null, headers: { origin: bed.url, cookie } });
    expect(data.viewer.kind).toBe('OPERATOR');
    const second = await signIn(token);
    expect(second.status).toBe(401);
    expect((await second.json()).message).toContain('used before');
  });

  it('is none of a key: neither stands for the other', async () => {
    expect((await signIn(ROOT_KEY)).status).toBe(401);
    const token = new URL((await bed.startProcess()).signInUrl as string).hash.slice(1);
    expect((await bed.graphql('{ viewer { kind } }', {}, { key: token })).status).toBe(401);
    expect((await signIn(token)).status).toBe(401);
  });

  it('is not made in production', async () => {
    const production = await bed.startProcess({ production: true, encryptionKey: ENCRYPTION_KEY });
    expect(production.signInUrl).toBeNull();
  });
});
