import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findFreePort } from '../src/storage/embedded-postgres.ts';
import { MIGRATION_LOCK } from '../src/storage/migrations/lock-waiting.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { until } from './support/posthorn.ts';
import { findLogLine, type Process, useProcesses, waitUntilStarted } from './support/processes.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
const { spawnOn, spawnMigrate } = useProcesses();

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
  cleanUps.push(() => database.drop());
});

async function empty() {
  await database.query('drop schema pgboss cascade');
  await database.query('drop schema public cascade');
  await database.query('create schema public');
}

/** A port where nobody listens yet. */
async function reserveDatabasePort() {
  const port = await findFreePort();
  const url = Object.assign(new URL(database.url), { port: String(port) }).href;
  /** Lets connections to the port through to the database. */
  const open = async () => {
    const server = createServer((client) => {
      const upstream = connect(Number(new URL(database.url).port), '127.0.0.1');
      client.on('error', () => upstream.destroy()).once('close', () => upstream.destroy());
      upstream.on('error', () => client.destroy()).once('close', () => client.destroy());
      client.pipe(upstream).pipe(client);
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    cleanUps.push(() => new Promise((resolve) => server.close(resolve)));
  };
  return { url, open };
}

const waitForLine = (process: Process, event: string) =>
  until(() => findLogLine(process.stdout(), event), `a line ${event}: ${process.stderr()}`);

async function expectStarting(url: string) {
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  const response = await fetch(`${url}/graphql`, { method: 'POST', body: '{"query":"{ viewer { scopes } }"}' });
  expect(response.status).toBe(503);
  expect(response.headers.get('retry-after')).toBe('1');
  const { errors } = (await response.json()) as { errors: { extensions: { code: string; retryAfterMs: number } }[] };
  expect(errors[0]?.extensions).toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1_000 });
}

describe('a start while Postgres is away', () => {
  it('waits for it with lines in the log, answers health checks meanwhile, and works when it comes up', async () => {
    const { url, open } = await reserveDatabasePort();
    const port = await findFreePort();
    const started = spawnOn(url, { PORT: String(port) });
    expect(await waitForLine(started, 'database.waiting')).toMatchObject({ databaseWaitMs: 60_000 });
    await expectStarting(`http://127.0.0.1:${port}`);
    await open();
    const origin = await waitUntilStarted(started);
    expect((await fetch(`${origin}/readyz`)).status).toBe(200);
  });

  it('ends with one line when the time of the setting is over', async () => {
    const { url } = await reserveDatabasePort();
    const started = spawnOn(url, { POSTHORN_DATABASE_WAIT_MS: '1500' });
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.stderr().trim().split('\n')).toHaveLength(1);
    expect(started.stderr()).toContain('POSTHORN_DATABASE_WAIT_MS');
    expect(findLogLine(started.stdout(), 'database.waiting')).toBeDefined();
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends at once with code 0 at %s', async (signal) => {
    const { url } = await reserveDatabasePort();
    const started = spawnOn(url);
    await waitForLine(started, 'database.waiting');
    started.child.kill(signal);
    expect(await started.exited).toEqual({ code: 0, signal: null });
  });
});

describe('a start while another session holds the lock of migrations', () => {
  /** As a pooler did with a session lock of version 0.1.0. */
  async function holdLock() {
    const client = new pg.Client({ connectionString: database.url, application_name: 'stuck' });
    await client.connect();
    cleanUps.push(() => client.end());
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    return client;
  }

  it('says who holds it, answers health checks, and continues when it is released', async () => {
    await empty();
    const holder = await holdLock();
    const port = await findFreePort();
    const started = spawnOn(database.url, { PORT: String(port) });
    const line = await waitForLine(started, 'migrations.waiting_for_lock');
    expect(line.holder).toContain('(stuck)');
    await expectStarting(`http://127.0.0.1:${port}`);
    await holder.query('select pg_advisory_unlock_all()');
    await waitUntilStarted(started);
  });

  it('does not need the lock if no migration is missing', async () => {
    await holdLock();
    await waitUntilStarted(spawnOn(database.url));
  });

  it('ends at once with code 0 at SIGTERM', async () => {
    await empty();
    await holdLock();
    const started = spawnOn(database.url);
    await waitForLine(started, 'migrations.waiting_for_lock');
    started.child.kill('SIGTERM');
    expect(await started.exited).toEqual({ code: 0, signal: null });
  });
});

describe('with POSTHORN_MIGRATE=off', () => {
  it('a process waits until npm run migrate has migrated the database', async () => {
    await empty();
    const started = spawnOn(database.url, { POSTHORN_MIGRATE: 'off' });
    const { missing } = await waitForLine(started, 'migrations.waiting');
    expect((missing as string[]).length).toBeGreaterThan(0);
    const tables = await database.query("select from pg_class where relnamespace = 'public'::regnamespace");
    expect(tables).toEqual([]);
    const migrating = spawnMigrate(database.url, { POSTHORN_MIGRATE: 'off' });
    expect(await migrating.exited).toEqual({ code: 0, signal: null });
    expect(migrating.stderr()).toContain('up to date');
    expect(findLogLine(migrating.stdout(), 'migrations.applied')).toBeDefined();
    expect(findLogLine(migrating.stdout(), 'migrations.index_built')).toBeDefined();
    await waitUntilStarted(started);
  });

  it('a process ends with one line that names the command if nobody migrates in time', async () => {
    await empty();
    const started = spawnOn(database.url, { POSTHORN_MIGRATE: 'off', POSTHORN_DATABASE_WAIT_MS: '0' });
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.stderr().trim().split('\n')).toHaveLength(1);
    expect(started.stderr()).toContain('npm run migrate');
  });
});

it('npm run migrate on a database that is up to date does nothing and ends with code 0', async () => {
  const migrating = spawnMigrate(database.url);
  expect(await migrating.exited).toEqual({ code: 0, signal: null });
  expect(findLogLine(migrating.stdout(), 'migrations.applied')).toBeUndefined();
});
