import { serverAudits } from 'graphql-http';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { ROOT_KEY, until, useTestBed } from './support/posthorn.ts';

const bed = useTestBed();

const authorization = `Bearer ${ROOT_KEY}`;
const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

describe('GraphQL over HTTP', () => {
  const audits = serverAudits({
    url: () => `${bed.url}/graphql`,
    fetchFn: (url: string, init: RequestInit = {}) =>
      fetch(url, { ...init, headers: { ...(init.headers as Record<string, string>), authorization } }),
  });

  it.each(audits.map((audit) => [audit.id, audit.name, audit] as const))('%s: %s', async (_, __, audit) => {
    const result = await audit.fn();
    expect(result).toMatchObject({ status: 'ok' });
  });

  it('there are audits to pass', () => {
    expect(audits.length).toBeGreaterThan(50);
  });

  it('a query may come by GET', async () => {
    const response = await fetch(
      `${bed.url}/graphql?query=${encodeURIComponent('{ viewer { organization { name } } }')}`,
      {
        headers: { authorization, accept: 'application/json' },
      },
    );
    expect(await response.json()).toEqual({ data: { viewer: { organization: { name: 'default' } } } });
  });

  it('a mutation may not come by GET, and changes nothing', async () => {
    const query = 'mutation { createOrganization(input: { name: "by GET" }) { __typename } }';
    const response = await fetch(`${bed.url}/graphql?query=${encodeURIComponent(query)}`, {
      headers: { authorization },
    });
    expect(response.status).toBe(405);
    const rows = await bed.database.query(`select 1 from organizations where name = 'by GET'`);
    expect(rows).toEqual([]);
  });
});

describe('health', () => {
  it.each([
    ['/healthz', 'ok\n'],
    ['/readyz', 'ready\n'],
    ['/healthz?probe=1', 'ok\n'],
  ])('%s answers 200 without a key', async (path, text) => {
    const response = await fetch(bed.url + path);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(text);
    expect(response.headers.get('x-request-id')).toMatch(/./);
  });

  it('a worker answers health checks, and no GraphQL', async () => {
    const worker = await bed.startProcess({ role: 'worker' });
    expect((await fetch(`${worker.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${worker.url}/readyz`)).status).toBe(200);
    const response = await fetch(`${worker.url}/graphql?query={__typename}`, { headers: { authorization } });
    expect(response.status).toBe(404);
    await response.body?.cancel();
  });

  it.each(['/graphql/', '/graphqlx', '/GraphQL', '/healthz/x', '/../etc/passwd', '/favicon.ico'])(
    '%s answers 404 and says where GraphQL is',
    async (path) => {
      const response = await fetch(bed.url + path, { headers: { authorization } });
      expect(response.status).toBe(404);
      expect(await response.text()).toContain('/graphql');
      expect(response.headers.get('x-request-id')).toMatch(/./);
    },
  );
});

describe('readiness', () => {
  const bed = useTestBed();

  it('/readyz answers 503 while the database does not answer, and 200 when it does again', async () => {
    const url = new URL(bed.database.url);
    const name = url.pathname.slice(1);
    url.pathname = '/postgres';
    const admin = new pg.Client({ connectionString: url.href });
    await admin.connect();
    const readStatus = async () => (await fetch(`${bed.url}/readyz`)).status;
    expect(await readStatus()).toBe(200);
    await admin.query(`alter database ${name} allow_connections false`);
    try {
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name <> 'test'`,
        [name],
      );
      await until(async () => (await readStatus()) === 503, '/readyz to notice');
      expect((await fetch(`${bed.url}/healthz`)).status).toBe(200);
    } finally {
      await admin.query(`alter database ${name} allow_connections true`);
      await admin.end();
    }
    await until(async () => (await readStatus()) === 200, '/readyz to recover');
  });
});

describe('GraphiQL', () => {
  it('is served to a browser in development', async () => {
    const response = await fetch(`${bed.url}/graphql`, { headers: BROWSER });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/html');
    expect(await response.text()).toMatch(/graphiql/i);
  });

  it('is not served to a program', async () => {
    const response = await fetch(`${bed.url}/graphql`, { headers: { accept: 'application/json', authorization } });
    expect(response.headers.get('content-type')).not.toContain('text/html');
    expect(await response.text()).not.toMatch(/graphiql/i);
  });

  it('is not served in production', async () => {
    const production = await bed.startProcess({ production: true, introspection: false });
    const response = await fetch(`${production.url}/graphql`, { headers: BROWSER });
    expect(response.status).not.toBe(200);
    expect(await response.text()).not.toMatch(/graphiql|<script/i);
    const asked = await bed.graphql('{ viewer { organization { name } } }', {}, { url: production.url });
    expect(asked.data).toEqual({ viewer: { organization: { name: 'default' } } });
  });
});
