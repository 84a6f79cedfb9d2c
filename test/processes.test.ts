import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { VERSION } from '../src/version.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { ENCRYPTION_KEY, ROOT_KEY, until, useTestBed } from './support/posthorn.ts';
import { findLogLine, type Process, useProcesses, waitUntilStarted } from './support/processes.ts';
import { type ReceiverAnswer, useReceiver } from './support/receiver.ts';

/** A heartbeat of 12 s, the supervision's 3 s, a lease of 10 s, and time to spare on a busy machine. */
const TAKEOVER = { timeout: 45_000, interval: 50 };

/** Answers GraphQL for the tests, and makes no attempts: those are the processes' own. */
const bed = useTestBed({ role: 'api' });
const receiver = useReceiver();

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const { spawnPosthorn, spawnOn } = useProcesses();

/** A promise that is kept from outside. */
function makeGate<T>() {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

async function createEmptyDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  await database.query('drop schema pgboss cascade');
  await database.query('drop schema public cascade');
  await database.query('create schema public');
  cleanUps.push(() => database.drop());
  return database;
}

async function createDataDir(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'posthorn-data-'));
  cleanUps.push(async () => {
    await stopPostgresOf(path);
    await rm(path, { recursive: true, force: true });
  });
  return path;
}

/** Ends the Postgres that a killed Posthorn left in a folder of these tests. */
async function stopPostgresOf(path: string) {
  const text = await readFile(join(path, 'cluster/postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  if (!(pid > 0)) return;
  process.kill(pid, 'SIGINT');
  await until(
    () =>
      stat(join(path, 'cluster/postmaster.pid'))
        .then(() => false)
        .catch(() => true),
    'Postgres to end',
  );
}

/** Publishes so many events of a type. @returns IDs of their deliveries */
async function publishMany(type: string, count: number): Promise<string[]> {
  const published = await Promise.all(Array.from({ length: count }, () => bed.publish({ type })));
  return published.flatMap(({ deliveryIds }) => deliveryIds);
}

describe('roles', () => {
  it('an api process and a worker process on one database deliver together', async () => {
    const api = spawnOn(bed.database.url, { POSTHORN_ROLE: 'api' });
    const worker = spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker', POSTHORN_ROOT_KEY: '' });
    const url = await waitUntilStarted(api);
    await waitUntilStarted(worker);
    await bed.createEndpoint({ url: receiver.url('/roles'), eventTypes: ['roles.*'] }, { url });
    const { deliveryIds } = await bed.publish({ type: 'roles.used' }, { url });
    const delivery = await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
    expect(delivery.attempts).toMatchObject([{ number: 1, status: 'SUCCEEDED' }]);
    expect(receiver.to('/roles')).toHaveLength(1);
    const line = await until(() => findLogLine(worker.stdout(), 'delivery.attempted'), 'the log line of the attempt');
    expect(line).toMatchObject({ deliveryId: deliveryIds[0] });
    expect(findLogLine(api.stdout(), 'delivery.attempted')).toBeUndefined();
  });

  it('an api process alone makes no attempt, and a worker that comes later makes it', async () => {
    await bed.createEndpoint({ url: receiver.url('/later'), eventTypes: ['later.*'] });
    const { deliveryIds } = await bed.publish({ type: 'later.used' });
    expect(await bed.readDelivery(deliveryIds[0] as string)).toMatchObject({ status: 'PENDING', attemptCount: 0 });
    await waitUntilStarted(spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker' }));
    await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
    expect(receiver.to('/later')).toHaveLength(1);
  });

  it('a worker process serves health checks and no GraphQL', async () => {
    const url = await waitUntilStarted(spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker' }));
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect((await fetch(`${url}/graphql?query={viewer{scopes}}`)).status).toBe(404);
  });
});

describe('a database that a newer version migrated', () => {
  it('is used by an older process, which names the migrations that it does not know', async () => {
    const database = await createTestDatabase();
    cleanUps.push(() => database.drop());
    await database.query(
      `insert into _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       values ('newer', 'x', '29990101000000_newer', now(), now(), 1)`,
    );
    const process = spawnOn(database.url);
    await waitUntilStarted(process);
    const line = findLogLine(process.stdout(), 'migrations.newer_database');
    expect(line).toMatchObject({ migrations: ['29990101000000_newer'] });
    process.child.kill('SIGTERM');
    await process.exited;
  });
});

describe('starting at once', () => {
  it('three processes that start together on an empty database migrate it once and all work', async () => {
    const database = await createEmptyDatabase();
    const started = [1, 2, 3].map(() => spawnOn(database.url));
    const urls = await Promise.all(started.map(waitUntilStarted));
    const migrations = await database.query('select migration_name as name from _prisma_migrations order by name');
    expect(migrations.length).toBeGreaterThan(0);
    expect(new Set(migrations.map(({ name }) => name)).size).toBe(migrations.length);
    await bed.createEndpoint({ url: receiver.url('/together') }, { url: urls[0] });
    for (const url of urls) await bed.publish({}, { url });
    const requests = await receiver.waitFor(3, '/together');
    expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
    for (const { child } of started) child.kill('SIGTERM');
    expect(await Promise.all(started.map(({ exited }) => exited))).toEqual(
      started.map(() => ({ code: 0, signal: null })),
    );
    expect(receiver.to('/together')).toHaveLength(3);
  }, 60_000);
});

describe('SIGTERM', () => {
  it('lets attempts in flight finish and be recorded, from the shared lane and from own lanes, then ends with 0', async () => {
    const gate = makeGate<ReceiverAnswer>();
    receiver.answer = () => gate.opened;
    await bed.createEndpoint({ url: receiver.url('/shared'), eventTypes: ['term.*'] });
    await bed.createEndpoint({ url: receiver.url('/own'), eventTypes: ['term.*'], rateLimitPerSecond: 1_000 });
    const worker = spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker' });
    await waitUntilStarted(worker);
    const deliveryIds = await publishMany('term.sent', 3);
    await receiver.waitFor(6);
    worker.child.kill('SIGTERM');
    await until(() => findLogLine(worker.stdout(), 'posthorn.stopping'), 'the process to begin to stop');
    gate.open({});
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(findLogLine(worker.stdout(), 'posthorn.stopped')).toMatchObject({ hasFinished: true });
    for (const id of deliveryIds) {
      expect(await bed.readDelivery(id)).toMatchObject({ status: 'DELIVERED', attempts: [{ status: 'SUCCEEDED' }] });
    }
    expect(receiver.requests).toHaveLength(6);
  });

  it('leaves what it did not begin to the next process', async () => {
    const gate = makeGate<ReceiverAnswer>();
    receiver.answer = () => gate.opened;
    await bed.createEndpoint({ url: receiver.url('/unbegun'), eventTypes: ['unbegun.*'] });
    const worker = spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker' });
    await waitUntilStarted(worker);
    const deliveryIds = await publishMany('unbegun.sent', 100);
    await receiver.waitFor(1);
    worker.child.kill('SIGTERM');
    await until(() => findLogLine(worker.stdout(), 'posthorn.stopping'), 'the process to begin to stop');
    gate.open({});
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    await waitUntilStarted(spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker' }));
    for (const id of deliveryIds) expect((await bed.waitForStatus(id, 'DELIVERED')).attempts).toHaveLength(1);
    expect(receiver.requests).toHaveLength(100);
  });

  it('an attempt that is cut off by the end of the shutdown time does not count as failed: it is made again', async () => {
    receiver.answer = () => 'never';
    const policy = { retryPolicy: { maxRetries: 0 }, timeoutMs: 60_000 };
    await bed.createEndpoint({ url: receiver.url('/cut'), eventTypes: ['cut.*'], ...policy });
    const settings = { POSTHORN_ROLE: 'worker', POSTHORN_SHUTDOWN_TIMEOUT_MS: '200' };
    const worker = spawnOn(bed.database.url, settings);
    await waitUntilStarted(worker);
    const { deliveryIds } = await bed.publish({ type: 'cut.off' });
    await receiver.waitFor(1);
    worker.child.kill('SIGTERM');
    expect((await worker.exited).code).toBe(0);
    expect(await bed.readDelivery(deliveryIds[0] as string)).toMatchObject({ status: 'PENDING', attempts: [] });
    receiver.answer = () => ({});
    await waitUntilStarted(spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker' }));
    const delivery = await vi.waitFor(async () => {
      const found = await bed.readDelivery(deliveryIds[0] as string);
      expect(found.status).toBe('DELIVERED');
      return found;
    }, TAKEOVER);
    expect(delivery.attempts).toMatchObject([{ number: 1, status: 'SUCCEEDED' }]);
  }, 60_000);
});

describe('SIGKILL', () => {
  it('attempts in flight of a killed worker are made again by another one, and nothing is lost', async () => {
    receiver.answer = () => 'never';
    await bed.createEndpoint({ url: receiver.url('/killed'), eventTypes: ['kill.*'], timeoutMs: 60_000 });
    const ownLane = { rateLimitPerSecond: 1_000, timeoutMs: 60_000 };
    await bed.createEndpoint({ url: receiver.url('/killed-lane'), eventTypes: ['kill.*'], ...ownLane });
    const killed = spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker' });
    await waitUntilStarted(killed);
    const deliveryIds = await publishMany('kill.sent', 5);
    await receiver.waitFor(10);
    await waitUntilStarted(spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker' }));
    receiver.answer = () => ({});
    killed.child.kill('SIGKILL');
    expect((await killed.exited).signal).toBe('SIGKILL');
    await vi.waitFor(async () => {
      for (const id of deliveryIds) {
        expect(await bed.readDelivery(id)).toMatchObject({ status: 'DELIVERED', attemptCount: 1, retryCount: 0 });
      }
    }, TAKEOVER);
    for (const path of ['/killed', '/killed-lane']) {
      const ids = receiver.to(path).map(({ headers }) => headers['webhook-id']);
      expect(new Set(ids).size).toBe(5);
      expect(ids).toHaveLength(10);
    }
  }, 60_000);
});

describe('the log', () => {
  it('says at the start what runs, without secrets, and names no /graphql of a worker', async () => {
    const password = `:${new URL(bed.database.url).password}@`;
    for (const role of ['api', 'worker']) {
      const started = spawnOn(bed.database.url, { POSTHORN_ROLE: role });
      await waitUntilStarted(started);
      const line = findLogLine(started.stdout(), 'posthorn.started');
      expect(line).toMatchObject({
        level: 'info',
        msg: 'Posthorn started',
        version: VERSION,
        node: process.version,
        postgres: expect.stringMatching(/^\d+/),
        role,
        config: { role, rootKey: '[set]', encryptionKey: '[set]', retentionDays: 30 },
      });
      expect(String(line?.url).endsWith('/graphql')).toBe(role === 'api');
      const text = started.stdout();
      for (const secret of [password, ROOT_KEY, ENCRYPTION_KEY.toString('base64')]) expect(text).not.toContain(secret);
      for (const one of text.trim().split('\n')) {
        expect(JSON.parse(one)).toMatchObject({
          level: expect.stringMatching(/^(info|warn)$/),
          msg: expect.stringMatching(/^[A-Z]/),
          event: expect.stringMatching(/^[a-z_]+\.[a-z_]+$/),
          version: VERSION,
        });
      }
      started.child.kill('SIGTERM');
      expect((await started.exited).code).toBe(0);
    }
  }, 60_000);
});

describe('a command line that is wrong', () => {
  it.each([
    ['--port 4418', 'Unknown flag --port.'],
    ['--hepl', 'Unknown flag --hepl. Did you mean --help?'],
    ['start', 'Unknown argument start.'],
  ])(
    '%s starts nothing, and ends with code 2 and one line',
    async (args, line) => {
      const child = spawn(process.execPath, ['src/main.ts', ...args.split(' ')], { env: { PATH: process.env.PATH } });
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text) => {
        stderr += text;
      });
      expect(await once(child, 'close')).toEqual([2, null]);
      expect(stderr).toMatch(/^[^\n]+\n$/);
      expect(stderr).toContain(line);
    },
    60_000,
  );
});

describe('a start that can not work', () => {
  /** @returns the one line on standard error */
  async function expectRefusal(started: Process): Promise<string> {
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.stderr()).toMatch(/^[^\n]+\n$/);
    return started.stderr().trim();
  }

  it('names a database that can not be reached, without its password', async () => {
    const port = new URL(bed.database.url).port;
    const nobodyThere = spawnOn('postgresql://posthorn:secret-word@127.0.0.1:1/posthorn', {
      POSTHORN_DATABASE_WAIT_MS: '0',
    });
    const wrongPassword = spawnOn(`postgresql://posthorn:secret-word@127.0.0.1:${port}/posthorn`);
    const noSuchDatabase = spawnOn(bed.database.url.replace(/\/[^/]+$/, '/nothing_here'));
    for (const started of [nobodyThere, wrongPassword, noSuchDatabase]) {
      const line = await expectRefusal(started);
      expect(line).toContain('DATABASE_URL');
      expect(line).not.toContain('secret-word');
    }
    expect(nobodyThere.stderr()).toContain('ECONNREFUSED');
    expect(wrongPassword.stderr()).toContain('password authentication failed');
    expect(noSuchDatabase.stderr()).toContain('nothing_here');
  });

  it('names a port that is taken', async () => {
    const { port } = new URL(receiver.url());
    const line = await expectRefusal(spawnOn(bed.database.url, { PORT: port }));
    expect(line).toContain(`port ${port}`);
    expect(line).toContain('taken');
  });

  it('names an encryption key that is not the one of the database', async () => {
    await bed.createEndpoint({ url: 'http://127.0.0.1:2/' });
    const other = { POSTHORN_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') };
    const line = await expectRefusal(spawnOn(bed.database.url, other));
    expect(line).toMatch(/POSTHORN_ENCRYPTION_KEY is not the key/);
  });

  it('names every key that production needs', async () => {
    const line = await expectRefusal(spawnPosthorn({ NODE_ENV: 'production', DATABASE_URL: bed.database.url }));
    expect(line).toContain('POSTHORN_ROOT_KEY');
    expect(line).toContain('POSTHORN_ENCRYPTION_KEY');
  });

  it('names every setting that is wrong', async () => {
    const wrong = {
      PORT: '70000',
      POSTHORN_ROLE: 'both',
      POSTHORN_ALLOWED_NETWORKS: 'home',
      POSTHORN_ROOT_KEY: 'short',
    };
    const line = await expectRefusal(spawnOn('mysql://127.0.0.1/posthorn', wrong));
    for (const name of ['DATABASE_URL', ...Object.keys(wrong)]) expect(line).toContain(name);
  });
});

describe('the embedded default', () => {
  const spawnIn = (path: string, env: Record<string, string> = {}) =>
    spawnPosthorn({ POSTHORN_DATA_DIR: path, ...env });

  /** The operator's key, from the place that the welcome names. */
  async function readKey(started: Process): Promise<string> {
    const welcome = /Operator key: {2}"rootKey" in (\/\S+)/;
    const file = await until(() => welcome.exec(started.stderr())?.[1], 'the place of the key to be named');
    return JSON.parse(await readFile(file, 'utf8')).rootKey;
  }

  async function stop({ child, exited }: Process) {
    child.kill('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
  }

  /** Starts Posthorn on a terminal, and stops it when it is ready. @returns everything that it wrote there */
  async function startOnTerminal(path: string): Promise<string> {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', POSTHORN_DATA_DIR: path };
    const command = `exec ${process.execPath} src/main.ts`;
    const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { env });
    cleanUps.push(async () => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    const closed = once(child, 'close');
    await vi.waitFor(() => expect(output).toContain('"posthorn.started"'), TAKEOVER);
    process.kill(Number(await readFile(join(path, 'owner.pid'), 'utf8')), 'SIGTERM');
    await closed;
    return output;
  }

  it('names the place of the key, delivers to loopback, and keeps key and data over a restart', async () => {
    const path = await createDataDir();
    const first = spawnIn(path);
    const firstUrl = await waitUntilStarted(first);
    const key = await readKey(first);
    await bed.createEndpoint({ url: receiver.url('/embedded') }, { url: firstUrl, key });
    const { id } = await bed.publish({}, { url: firstUrl, key });
    await receiver.waitFor(1, '/embedded');
    await stop(first);
    const second = spawnIn(path);
    const url = await waitUntilStarted(second);
    const event = 'query ($id: ID!) { event(id: $id) { id status endpointCount } }';
    expect(await bed.ask(event, { id }, { url, key })).toEqual({ id, status: 'DELIVERED', endpointCount: 1 });
    expect(await readKey(second)).toBe(key);
    for (const { stdout, stderr } of [first, second]) {
      expect(stdout() + stderr()).not.toContain(key);
      expect(stderr()).not.toContain('/sign-in#');
    }
    await stop(second);
    expect(receiver.to('/embedded')).toHaveLength(1);
  }, 60_000);

  it.skipIf(!existsSync('/usr/bin/script'))(
    'shows its key on a terminal once, even if the first start failed',
    async () => {
      const path = await createDataDir();
      const taken = createServer().listen(0, '127.0.0.1');
      cleanUps.push(async () => taken.close());
      await once(taken, 'listening');
      const { port } = taken.address() as AddressInfo;
      const failed = spawnIn(path, { PORT: String(port) });
      expect((await failed.exited).code).toBe(1);
      const first = await startOnTerminal(path);
      const { rootKey } = JSON.parse(await readFile(join(path, 'keys.json'), 'utf8'));
      expect(first).toContain(`Operator key:  ${rootKey}`);
      expect(first).toContain(`"rootKey" in ${join(path, 'keys.json')}`);
      expect(first).toMatch(/Dashboard: {5}http:\/\/127\.0\.0\.1:\d+\/sign-in#/);
      const second = await startOnTerminal(path);
      expect(second).toContain(`Operator key:  "rootKey" in ${join(path, 'keys.json')}`);
      expect(second).not.toContain(rootKey);
    },
    120_000,
  );

  it('only its owner can read the keys', async () => {
    const path = join(await createDataDir(), 'made');
    const started = spawnIn(path);
    await waitUntilStarted(started);
    expect((await stat(join(path, 'keys.json'))).mode & 0o077).toBe(0);
    await stop(started);
  }, 60_000);

  it('a second process on the folder in use is refused and does not disturb the first', async () => {
    const path = await createDataDir();
    const first = spawnIn(path);
    const url = await waitUntilStarted(first);
    const key = await readKey(first);
    const second = spawnIn(path);
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stderr()).toMatch(/^[^\n]*Another Posthorn[^\n]*POSTHORN_DATA_DIR[^\n]*\n$/);
    expect((await bed.graphql('{ viewer { scopes } }', {}, { url, key })).errors).toBeUndefined();
    await stop(first);
  }, 60_000);

  it('of two processes that start in one new folder at once, one comes up and the other is refused', async () => {
    const path = await createDataDir();
    const both = [spawnIn(path), spawnIn(path)];
    const refused = await Promise.race(both.map((started) => started.exited.then(() => started)));
    const winner = both.find((started) => started !== refused) as Process;
    const url = await waitUntilStarted(winner);
    const key = JSON.parse(await readFile(join(path, 'keys.json'), 'utf8')).rootKey;
    expect(refused.stderr()).toContain('Another Posthorn');
    expect((await bed.graphql('{ viewer { scopes } }', {}, { url, key })).errors).toBeUndefined();
    await stop(winner);
  }, 60_000);

  it('a start after a kill takes over the Postgres that was left running, with all data', async () => {
    const path = await createDataDir();
    const first = spawnIn(path);
    const firstUrl = await waitUntilStarted(first);
    const key = await readKey(first);
    const { id } = await bed.publish({ type: 'before.kill' }, { url: firstUrl, key });
    first.child.kill('SIGKILL');
    await first.exited;
    const second = spawnIn(path);
    const url = await waitUntilStarted(second);
    expect(await bed.ask('query ($id: ID!) { event(id: $id) { id } }', { id }, { url, key })).toEqual({ id });
    await stop(second);
  }, 60_000);
});
