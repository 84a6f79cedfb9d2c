import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { decodeId, encodeId } from '../src/domain/ids.ts';
import { ChangeFeed } from '../src/live/change-feed.ts';
import type { DeliveryChange } from '../src/live/change-log.ts';
import { decodeCursor, encodeCursor } from '../src/live/cursor.ts';
import { QUEUED_CHANGES_MAX, Subscriber } from '../src/live/subscriber.ts';
import { type ChangeBatch, makeBatch, TopicIndex } from '../src/live/topic.ts';
import { createLog } from '../src/log.ts';
import { findFreePort, startEmbeddedPostgres } from '../src/storage/embedded-postgres.ts';
import { cutConnections, type TestDatabase } from './support/database.ts';
import {
  type Change,
  type Connection,
  CuttingProxy,
  type FeedEnd,
  type Follower,
  openFeed,
  useFollowers,
} from './support/feed-clients.ts';
import type { Transport } from './support/following.ts';
import { ROOT_KEY, until, useTestBed } from './support/posthorn.ts';
import { useProcesses, waitUntilStarted } from './support/processes.ts';
import { useReceiver } from './support/receiver.ts';

const GRAPHQL_WS = 'graphql-transport-ws';

const bed = useTestBed();
const receiver = useReceiver();

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** One that answers pings, and one that does not. They are there from the start, because a client has up to 24 s to answer. */
const pinged: WebSocket[] = [];

beforeAll(() => {
  for (const autoPong of [true, false]) {
    const socket = new WebSocket(`${bed.url.replace('http', 'ws')}/graphql`, GRAPHQL_WS, { autoPong });
    const payload = { authorization: `Bearer ${ROOT_KEY}` };
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload })));
    socket.on('error', () => {});
    pinged.push(socket);
  }
});

afterAll(() => {
  for (const socket of pinged) socket.terminate();
});

const { spawnOn } = useProcesses();
const follow = useFollowers();

const spawnApi = async () => waitUntilStarted(spawnOn(bed.database.url, { POSTHORN_ROLE: 'api' }));

type Query = Pick<TestDatabase, 'query'>['query'];

/** Gives each of these in turn. */
function takeTurns<T>(items: readonly T[], start: number): () => T {
  let turn = start;
  return () => items[turn++ % items.length] as T;
}

/** A cursor behind everything that is settled now: what is written from here on comes after it. */
async function cursorOfNow(environmentId: string, query: Query = bed.database.query): Promise<string> {
  const [row] = await query<{ xid: string }>('select pg_snapshot_xmin(pg_current_snapshot())::text as xid');
  return encodeCursor({ environmentId, xid: BigInt(row?.xid ?? 0), id: 0n, at: new Date() });
}

const STATUSES = ['PENDING', 'RETRYING', 'DELIVERED', 'FAILED', 'CANCELED'] as const;

/** What a change tells of, as UUIDs. */
interface Subject {
  environmentId: string;
  deliveryId: string;
  eventId: string;
  endpointId: string;
}

const INSERT = `insert into delivery_changes
  (environment_id, delivery_id, event_id, endpoint_id, status, previous_status, changed_at)
  select $1, $2, $3, $4, $5, 'PENDING', $6::timestamptz + n * interval '1 ms' from generate_series(1, $7::int) n`;

let written = 0;

interface Querying {
  query(sql: string, values?: unknown[]): Promise<unknown>;
}

/** Writes changes that tell of a delivery, each at a time of its own. Nobody is notified. */
function insertChanges(client: Querying, subject: Subject, status: string, count = 1) {
  const { environmentId, deliveryId, eventId, endpointId } = subject;
  const at = new Date(Date.UTC(2030, 0, 1) + written);
  written += count;
  return client.query(INSERT, [environmentId, deliveryId, eventId, endpointId, status, at, count]);
}

/** As Posthorn does after it wrote changes. Without it, they are told when the log is looked at the next time. */
const wakeFeeds = (query: Query = bed.database.query) => query(`select pg_notify('posthorn_changes', 'test')`);

interface ChangeRow extends Subject {
  status: string;
  previousStatus: string | null;
  changedAt: Date;
}

/** The log itself, in commit order: what must be told, to the letter. */
async function readLog(
  environmentId: string,
  fits: (row: ChangeRow) => boolean = () => true,
  query: Query = bed.database.query,
): Promise<string[]> {
  const rows = await query<ChangeRow>(
    `select delivery_id::text as "deliveryId", event_id::text as "eventId", endpoint_id::text as "endpointId",
      status::text, previous_status::text as "previousStatus", changed_at as "changedAt"
     from delivery_changes where environment_id = $1 order by xid, id`,
    [environmentId],
  );
  return rows
    .filter(fits)
    .map(
      ({ deliveryId, previousStatus, status, changedAt }) =>
        `${encodeId('Delivery', deliveryId)} ${previousStatus ?? 'new'} ${status} ${changedAt.toISOString()}`,
    );
}

async function connect(databaseUrl = bed.database.url): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'test' });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)] as T;

const uuidOf = (kind: Parameters<typeof decodeId>[0], id: string) => decodeId(kind, id) as string;

let count = 0;

/** A tenant with two endpoints that get every event, and the deliveries of some events to tell of. */
async function createScene({ url = bed.url, query = bed.database.query, events = 1, payload = {} } = {}) {
  count += 1;
  const tenant = await bed.createTenant(`scene-${count}`, undefined, { url });
  const options = { url, key: tenant.key };
  const environmentId = uuidOf('Environment', tenant.environmentId);
  for (let left = 2; left > 0; left -= 1) await bed.createEndpoint({ url: receiver.url('/scene') }, options);
  const after = await cursorOfNow(environmentId, query);
  for (let left = events; left > 0; left -= 1) await bed.publish({ payload }, options);
  await waitUntilDelivered(environmentId, query);
  const subjects = await query<Subject>(
    `select environment_id::text as "environmentId", id::text as "deliveryId", event_id::text as "eventId",
      endpoint_id::text as "endpointId" from deliveries where environment_id = $1 order by id`,
    [environmentId],
  );
  return { environmentId, key: tenant.key, tenant, after, subjects, subject: subjects[0] as Subject };
}

const waitUntilDelivered = (environmentId: string, query: Query) =>
  until(async () => {
    const sql = `select 1 from deliveries where environment_id = $1 and status <> 'DELIVERED' limit 1`;
    return (await query(sql, [environmentId])).length === 0;
  }, 'all to be delivered');

/** Writes changes now and then, until it is told to stop. What was written while the database was away is unknown: the log tells. */
function writeOn(query: Query, subjects: Subject[]): () => Promise<void> {
  let isStopped = false;
  const writing = (async () => {
    while (!isStopped) {
      const count = 1 + Math.floor(Math.random() * 20);
      await insertChanges({ query }, pick(subjects), pick(STATUSES), count).catch(() => {});
      await wakeFeeds(query).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
    }
  })();
  return () => {
    isStopped = true;
    return writing;
  };
}

const TRANSPORTS: Transport[] = ['WebSocket', 'SSE'];

describe('clients that are cut off', () => {
  it('at random places, and go on at another process: each is told what fits its filter, once and in commit order', async () => {
    const urls = await Promise.all([spawnApi(), spawnApi()]);
    const { key, environmentId, after, subjects, subject } = await createScene({ events: 3 });
    const bytesUntilCut = () => 500 * 2 ** (Math.random() * 9);
    const proxies = urls.map((target) => new CuttingProxy({ target, bytesUntilCut }));
    for (const proxy of proxies) {
      await proxy.start();
      cleanUps.push(() => proxy.stop());
    }
    const proxyUrls = proxies.map(({ url }) => url);
    const { endpointId, eventId } = subject;
    const statuses = ['FAILED', 'DELIVERED'];
    const wanted: [Record<string, unknown>, (row: ChangeRow) => boolean][] = [
      [{}, () => true],
      [{ endpointId: encodeId('Endpoint', endpointId) }, (row) => row.endpointId === endpointId],
      [{ eventId: encodeId('Event', eventId) }, (row) => row.eventId === eventId],
      [{ statuses }, (row) => statuses.includes(row.status)],
    ];
    const followers = TRANSPORTS.flatMap((transport) =>
      wanted.flatMap(([filter, fits], start) => {
        const options = { transport, key, filter, after };
        const batchesUntilCut = () => 1 + Math.floor(Math.random() * 6);
        const itself = follow({ ...options, nextUrl: takeTurns(urls, start), batchesUntilCut });
        const onTheWay = follow({ ...options, nextUrl: takeTurns(proxyUrls, start) });
        return [itself, onTheWay].map((follower) => ({ fits, follower }));
      }),
    );
    const write = async () => {
      const client = await connect();
      for (let left = 20; left > 0; left -= 1) {
        await client.query('begin');
        await insertChanges(client, pick(subjects), pick(STATUSES));
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 100));
        await insertChanges(client, pick(subjects), pick(STATUSES), 1 + Math.floor(Math.random() * 5));
        await client.query(Math.random() < 0.1 ? 'rollback' : 'commit');
      }
      await client.end();
    };
    const publish = async () => {
      for (let left = 15; left > 0; left -= 1) await bed.publish({}, { key, url: pick([bed.url, ...urls]) });
    };
    await Promise.all([...Array.from({ length: 8 }, write), publish(), publish(), publish()]);
    await waitUntilDelivered(environmentId, bed.database.query);
    // Fits every filter, and comes last.
    await insertChanges(bed.database, subject, 'FAILED');
    const last = (await readLog(environmentId)).at(-1) as string;
    for (const { follower, fits } of followers) {
      await until(() => follower.lines.includes(last), 'the last change to be told');
      expect(follower.lines).toEqual(await readLog(environmentId, fits));
      expect(follower.errors).toEqual([]);
    }
    const connects = followers.reduce((sum, { follower }) => sum + follower.connects, 0);
    expect(connects).toBeGreaterThan(followers.length * 3);
    for (const proxy of proxies) expect(proxy.cuts).toBeGreaterThan(1);
  }, 60_000);

  it('by a process that is killed, again and again: they go on at another one, with nothing lost and nothing told twice', async () => {
    const start = async () => {
      const started = spawnOn(bed.database.url, { POSTHORN_ROLE: 'api' });
      return { ...started, url: await waitUntilStarted(started) };
    };
    const apis = await Promise.all([start(), start()]);
    const { key, environmentId, after, subjects, subject } = await createScene();
    const followers = [...TRANSPORTS, ...TRANSPORTS].map((transport, index) => {
      let turn = index;
      const nextUrl = () => (apis[turn++ % 2] as (typeof apis)[0]).url;
      return follow({ transport, key, after, nextUrl });
    });
    const stopWriting = writeOn(bed.database.query, subjects);
    for (let time = 0; time < 4; time += 1) {
      const before = followers.map(({ lines }) => lines.length);
      await until(
        () => followers.every(({ lines }, index) => lines.length > (before[index] as number) + 10),
        'all to be told more',
      );
      const killed = apis[time % 2] as (typeof apis)[0];
      killed.child.kill('SIGKILL');
      expect((await killed.exited).signal).toBe('SIGKILL');
      apis[time % 2] = await start();
    }
    await stopWriting();
    await insertChanges(bed.database, subject, 'FAILED');
    const log = await readLog(environmentId);
    for (const { lines, connects } of followers) {
      await until(() => lines.includes(log.at(-1) as string), 'the last change to be told');
      expect(lines).toEqual(log);
      expect(connects).toBeGreaterThan(1);
    }
  }, 60_000);
});

describe('a Postgres that is restarted', () => {
  async function startPostgres() {
    const path = await mkdtemp(join(tmpdir(), 'posthorn-live-'));
    // What no commit waits for stays in memory for long, so that a crash loses it.
    const settings = { fsync: 'off', full_page_writes: 'off', wal_writer_delay: '10s' };
    const options = { path, password: 'test', port: await findFreePort(), settings };
    let postgres = await startEmbeddedPostgres(options);
    const pool = new pg.Pool({ connectionString: postgres.url, max: 3, application_name: 'test' });
    pool.on('error', () => {});
    cleanUps.push(async () => {
      await pool.end();
      await postgres.stop();
      await rm(path, { recursive: true, force: true });
    });
    const restart = async () => {
      await postgres.stop();
      postgres = await startEmbeddedPostgres(options);
    };
    const query: Query = async (sql, values) => (await pool.query(sql, values)).rows;
    return { url: postgres.url, query, restart, pool };
  }

  it('gives transaction IDs out again after a crash: changes that had one below the place of a feed were lost', async () => {
    const { url: databaseUrl, query, pool } = await startPostgres();
    const url = await waitUntilStarted(spawnOn(databaseUrl, { POSTHORN_ROLE: 'api' }));
    const worker = spawnOn(databaseUrl, { POSTHORN_ROLE: 'worker' });
    const { key, environmentId, after, subject } = await createScene({ url, query });
    // What a worker writes from time to time would take the IDs to the disk.
    worker.child.kill('SIGTERM');
    await worker.exited;
    const follower = follow({ transport: 'WebSocket', key, after, nextUrl: () => url });
    const readAll = () => readLog(environmentId, undefined, query);
    await until(async () => follower.lines.length === (await readAll()).length, 'all to be told');
    const victim = await pool.connect();
    victim.on('error', () => {});
    const { rows } = await victim.query('select pg_backend_pid() as pid');
    // Nothing of these is written to the disk.
    for (let left = 200; left > 0; left -= 1) await victim.query('begin; select pg_current_xact_id(); rollback');
    const readXid = async () => {
      const [row] = await query<{ xid: string }>('select pg_snapshot_xmin(pg_current_snapshot())::text as xid');
      return BigInt(row?.xid ?? 0);
    };
    const before = await readXid();
    const readCursor = async () => decodeCursor(await bed.ask('{ liveCursor }', {}, { key, url }));
    const seenAt = (await readCursor())?.at ?? new Date();
    await until(async () => ((await readCursor())?.at ?? 0) > seenAt, 'a look at the log with those IDs in it');
    process.kill(rows[0].pid, 'SIGKILL');
    victim.release(true);
    await until(async () => (await readXid().catch(() => before)) < before, 'Postgres to come back with lower IDs');
    await until(
      () =>
        insertChanges({ query }, subject, 'CANCELED').then(
          () => true,
          () => false,
        ),
      'a change to be written',
    );
    await until(async () => follower.lines.length === (await readAll()).length, 'what came after the crash to be told');
    expect(follower.lines).toEqual(await readAll());
    expect(follower.errors).toEqual([]);
  }, 60_000);

  it('costs nobody a change: who stays connected is told later, with no error in its place, and who reconnects goes on', async () => {
    const { url: databaseUrl, query, restart } = await startPostgres();
    const urls = await Promise.all([
      waitUntilStarted(spawnOn(databaseUrl)),
      waitUntilStarted(spawnOn(databaseUrl, { POSTHORN_ROLE: 'api' })),
    ]);
    const { key, environmentId, after, subjects, subject } = await createScene({ url: urls[0], query });
    const staying = TRANSPORTS.flatMap((transport) =>
      urls.map((url) => follow({ transport, key, after, nextUrl: () => url })),
    );
    const batchesUntilCut = () => 1 + Math.floor(Math.random() * 5);
    const returning = TRANSPORTS.map((transport, start) =>
      follow({ transport, key, after, nextUrl: takeTurns(urls, start), batchesUntilCut }),
    );
    const all = [...staying, ...returning];
    const stopWriting = writeOn(query, subjects);
    for (let time = 0; time < 2; time += 1) {
      const before = all.map(({ lines }) => lines.length);
      await until(
        () => all.every(({ lines }, index) => lines.length > (before[index] as number) + 10),
        'all to be told more',
      );
      await restart();
      // What is published right away is told as well, whoever was told of the restart and when.
      await until(() => bed.publish({}, { key, url: urls[time] }).catch(() => null), 'an event to be accepted');
    }
    await stopWriting();
    await waitUntilDelivered(environmentId, query);
    await insertChanges({ query }, subject, 'FAILED');
    const log = await readLog(environmentId, undefined, query);
    for (const follower of all) {
      await until(() => follower.lines.includes(log.at(-1) as string), 'the last change to be told');
      expect(follower.lines).toEqual(log);
    }
    for (const { errors, connects } of staying) expect({ errors, connects }).toEqual({ errors: [], connects: 1 });
    // A subscription may be refused while the database is away, but a batch never comes as an error.
    for (const { errors } of returning) expect(errors.filter(({ isFirst }) => !isFirst)).toEqual([]);
  }, 90_000);
});

describe('a selection that fails for a reason that passes', () => {
  it('is executed again until it succeeds: its batch is told late, once and whole, to all who asked for it', async () => {
    const started = spawnOn(bed.database.url, { POSTHORN_ROLE: 'api' });
    const url = await waitUntilStarted(started);
    const { key, environmentId, after, subject } = await createScene();
    const options = { key, after, nextUrl: () => url };
    const followers = [
      follow({ ...options, transport: 'WebSocket' }),
      follow({ ...options, transport: 'SSE' }),
      follow({ ...options, transport: 'SSE', fields: 'status previousStatus changedAt delivery { id updatedAt }' }),
    ];
    await insertChanges(bed.database, subject, 'FAILED');
    const first = (await readLog(environmentId)).at(-1) as string;
    for (const { lines } of followers) await until(() => lines.includes(first), 'the change before');
    const rename = async (from: string, to: string) =>
      void (await bed.database.query(`alter table ${from} rename to ${to}`));
    await rename('deliveries', 'deliveries_away');
    try {
      await insertChanges(bed.database, subject, 'CANCELED', 3);
      const countFailures = () => started.stdout().split('"feed.selection_failed"').length - 1;
      // Twice each of the two selections, at the least.
      await until(() => countFailures() >= 4, 'selections to fail');
    } finally {
      await rename('deliveries_away', 'deliveries');
    }
    await insertChanges(bed.database, subject, 'FAILED');
    const log = await readLog(environmentId);
    for (const { lines, errors, connects } of followers) {
      await until(() => lines.includes(log.at(-1) as string), 'the change behind');
      expect(lines).toEqual(log);
      expect({ errors, connects }).toEqual({ errors: [], connects: 1 });
    }
  });
});

describe('signals that are lost', () => {
  it('hold up no change for good: what nobody was notified of is told all the same', async () => {
    const { key, environmentId, after, subject } = await createScene();
    const followers = TRANSPORTS.map((transport) => follow({ transport, key, after, nextUrl: () => bed.url }));
    for (let time = 0; time < 3; time += 1) {
      await insertChanges(bed.database, subject, pick(STATUSES));
      const log = await readLog(environmentId);
      for (const { lines } of followers) await until(() => lines.length >= log.length, 'the change to be told');
    }
    for (const { lines } of followers) expect(lines).toEqual(await readLog(environmentId));
  });

  it('with the connection that listens, again and again: changes of another process are told all the same', async () => {
    const url = await spawnApi();
    const { key, environmentId, after } = await createScene();
    const followers = [bed.url, url].map((nextUrl, index) =>
      follow({ transport: TRANSPORTS[index] as Transport, key, after, nextUrl: () => nextUrl }),
    );
    let cut = 0;
    for (let time = 0; time < 10; time += 1) {
      cut += (await cutConnections(bed.database, 'posthorn-signals')).length;
      await bed.publish({}, { key, url: time % 2 === 0 ? url : bed.url });
    }
    expect(cut).toBeGreaterThan(2);
    const log = await until(async () => {
      const log = await readLog(environmentId);
      // Two deliveries each of eleven events, which were created and delivered.
      return log.length === 2 * 2 * 11 && log;
    }, 'all to be delivered');
    for (const { lines, connects } of followers) {
      await until(() => lines.length >= log.length, 'all to be told');
      expect(lines).toEqual(log);
      expect(connects).toBe(1);
    }
  });
});

/** Of {@link createScene}: more than a kilobyte a change, so that no buffer of the system holds what is unread. */
const LARGE_PAYLOAD = { text: 'x'.repeat(1_500) };
const LARGE_FIELDS = 'status previousStatus changedAt delivery { id event { payload } }';

describe('clients that do not read', () => {
  const CHANGES = 30_000;
  /** Less than the unread changes take as text alone. */
  const BYTES_MAX = 0.75 * 1_500 * CHANGES;

  setFlagsFromString('--expose-gc');
  const collectGarbage: () => void = runInNewContext('gc');

  /** Bytes in use. What a cycle finds to be garbage may hold more of it. */
  async function measureMemory(): Promise<number> {
    for (let left = 3; left > 0; left -= 1) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  }

  it('hold up nobody, are not remembered for, and are told everything once they read on', async () => {
    const { key, environmentId, after, subject } = await createScene({ payload: LARGE_PAYLOAD });
    const told = new Map<Follower, string[]>();
    const start = (transport: Transport) => {
      const times: string[] = [];
      const onChange = ({ changedAt }: Change) => times.push(changedAt);
      const follower = follow({ transport, key, after, fields: LARGE_FIELDS, nextUrl: () => bed.url, onChange });
      told.set(follower, times);
      return { follower, times };
    };
    const slow = TRANSPORTS.map(start);
    const fast = start('WebSocket');
    await insertChanges(bed.database, subject, 'FAILED');
    const readTimes = async () => {
      const rows = await bed.database.query<{ at: Date }>(
        'select changed_at as at from delivery_changes where environment_id = $1 order by xid, id',
        [environmentId],
      );
      return rows.map(({ at }) => at.toISOString());
    };
    const first = (await readTimes()).length;
    for (const { times } of [...slow, fast]) await until(() => times.length === first, 'the first changes');
    for (const { follower } of slow) follower.connection.pause();
    const before = await measureMemory();
    for (let left = CHANGES; left > 0; left -= 1_000) {
      await insertChanges(bed.database, subject, 'FAILED', 1_000);
      await wakeFeeds();
      const isTold = () => fast.times.length === first + CHANGES - left + 1_000;
      await until(isTold, 'the one who reads to be told');
    }
    expect((await measureMemory()) - before).toBeLessThan(BYTES_MAX);
    for (const { times } of slow) expect(times).toHaveLength(first);
    for (const { follower } of slow) follower.connection.resume();
    const log = await readTimes();
    for (const { times } of [...slow, fast]) {
      await until(() => times.length >= log.length, 'all to be told');
      expect(times).toEqual(log);
    }
    await until(async () => (await measureMemory()) - before < BYTES_MAX, 'what they were told to be forgotten');
  }, 60_000);

  it.each(TRANSPORTS)(
    'over %s and are cut off meanwhile leave nothing behind, and others go on to be told',
    async (transport) => {
      const limits = { connectionsPerKeyMax: 2, subscriptionsPerKeyMax: 2 };
      const { url } = await bed.startProcess({ role: 'api', ...limits });
      const { key, tenant, environmentId, after, subject } = await createScene({ payload: LARGE_PAYLOAD });
      const otherKey = await bed.createKey(tenant.environmentId);
      const other = follow({ transport: 'WebSocket', key: otherKey, after, nextUrl: () => url });
      for (let time = 0; time < 3; time += 1) {
        // With a filter of its own: who leaves it takes it along.
        const filter = { endpointId: encodeId('Endpoint', subject.endpointId) };
        const slow = follow({ transport, key, after, filter, fields: LARGE_FIELDS, nextUrl: () => url });
        await until(() => slow.lines.length > 0, 'the slow one to be told');
        slow.connection.pause();
        // Far more than the buffers of the system hold, so that the process waits to write.
        const rows = await insertAndCount(subject, 12_000);
        await until(() => other.lines.length === rows, 'the other one to be told');
        slow.stop();
        await until(async () => {
          const outcomes = await Promise.all([
            openOnce(transport, { url, key, after }),
            openOnce(transport, { url, key, after }),
          ]);
          for (const { connection } of outcomes) connection.cut();
          return outcomes.every(({ outcome }) => outcome === 'told');
        }, 'the connection and its subscription to be counted no more');
      }
      expect(other.lines).toEqual(await readLog(environmentId));
      expect(other.connects).toBe(1);
    },
    60_000,
  );

  /** @returns how many changes there are then */
  async function insertAndCount(subject: Subject, count: number): Promise<number> {
    await insertChanges(bed.database, subject, 'FAILED', count);
    await wakeFeeds();
    return (await readLog(subject.environmentId)).length;
  }
});

interface Outcome {
  /** `told`, a code of an error, or how the connection ended. */
  outcome: string | number;
  connection: Connection;
}

/** Opens a feed. Resolves when it told something, or was refused. */
function openOnce(
  transport: Transport,
  options: { url: string; key: string | null; after?: string; query?: string },
): Promise<Outcome> {
  const { after, query = FEED, ...rest } = options;
  const { promise, resolve } = Promise.withResolvers<Outcome['outcome']>();
  const connection = openFeed(transport, {
    ...rest,
    query,
    variables: { after },
    onResult: ({ errors }) => resolve(errors ? (errors[0]?.extensions.code ?? 'no code') : 'told'),
    onEnd: resolve,
  });
  cleanUps.push(() => connection.cut());
  return promise.then((outcome) => ({ outcome, connection }));
}

const FEED = 'subscription ($after: String) { deliveryChanges(after: $after) { cursor changes { status } } }';

describe('a key that ends', () => {
  async function createKey(environmentId: string) {
    const made = await bed.ask(
      `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
        ... on CreateApiKeyPayload { apiKey { id } secret } } }`,
      { input: { environmentId, name: 'ends', scopes: ['DELIVERIES_READ'] } },
    );
    return { id: made.apiKey.id as string, key: made.secret as string };
  }

  it.each([
    [
      'is revoked',
      (id: string) => bed.ask('mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }', { id }),
    ],
    [
      'expires',
      (id: string) =>
        bed.database.query('update api_keys set expires_at = now() where id = $1', [uuidOf('ApiKey', id)]),
    ],
  ])('because it %s closes its connections on every process, and no others', async (_, end) => {
    const other = await bed.startProcess({ role: 'api' });
    const { tenant, environmentId, after, subject } = await createScene();
    const [ending, staying] = [await createKey(tenant.environmentId), await createKey(tenant.environmentId)];
    const open = (transport: Transport, url: string, key: string) => {
      const seen = { transport, told: 0, codes: [] as string[], end: null as FeedEnd | null };
      const connection = openFeed(transport, {
        url,
        key,
        query: FEED,
        variables: { after },
        onResult: ({ data, errors }) => {
          seen.told += data?.deliveryChanges.changes.length ?? 0;
          for (const { extensions } of errors ?? []) seen.codes.push(extensions.code);
        },
        onEnd: (end) => {
          seen.end = end;
        },
      });
      cleanUps.push(() => connection.cut());
      return seen;
    };
    const openAll = (key: string) =>
      [bed.url, other.url].flatMap((url) => TRANSPORTS.map((transport) => open(transport, url, key)));
    const [ended, stayed] = [openAll(ending.key), openAll(staying.key)];
    for (const seen of [...ended, ...stayed]) await until(() => seen.told > 0, 'all to be told');
    await end(ending.id);
    for (const seen of ended) {
      await until(() => seen.end !== null, 'the connection to be closed');
      const how = { end: seen.end, codes: seen.codes };
      if (seen.transport === 'WebSocket') expect(how).toEqual({ end: 4403, codes: [] });
      else expect(how).toEqual({ end: 'complete', codes: ['UNAUTHENTICATED'] });
    }
    await insertChanges(bed.database, subject, 'FAILED');
    const count = (await readLog(environmentId)).length;
    for (const seen of stayed) {
      await until(() => seen.told === count, 'the others to be told');
      expect(seen).toMatchObject({ end: null, codes: [] });
    }
    await other.stop();
  });

  it('while its client does not read takes nothing from others of its environment', async () => {
    const { tenant, environmentId, after, subject } = await createScene({ payload: LARGE_PAYLOAD });
    const ending = await createKey(tenant.environmentId);
    const other = follow({ transport: 'WebSocket', key: tenant.key, after, nextUrl: () => bed.url });
    const query = `subscription ($after: String) {
      deliveryChanges(after: $after, filter: { endpointId: "${encodeId('Endpoint', subject.endpointId)}" }) {
        cursor changes { ${LARGE_FIELDS} } } }`;
    const slow = await openOnce('SSE', { url: bed.url, key: ending.key, after, query });
    expect(slow.outcome).toBe('told');
    slow.connection.pause();
    const isAllTold = async () => other.lines.length === (await readLog(environmentId)).length;
    await insertChanges(bed.database, subject, 'FAILED', 12_000);
    await until(isAllTold, 'the changes');
    await bed.database.query('update api_keys set expires_at = now() where id = $1', [uuidOf('ApiKey', ending.id)]);
    // Open keys are looked up each second. When another one ends, that has happened once more.
    for (let time = 0; time < 2; time += 1) {
      const witness = await createKey(tenant.environmentId);
      const ended = Promise.withResolvers<FeedEnd>();
      const options = { url: bed.url, key: witness.key, query: FEED, variables: { after }, onEnd: ended.resolve };
      const { promise: told, resolve: onResult } = Promise.withResolvers<unknown>();
      const connection = openFeed('WebSocket', { ...options, onResult });
      cleanUps.push(() => connection.cut());
      await told;
      await bed.database.query('update api_keys set expires_at = now() where id = $1', [uuidOf('ApiKey', witness.id)]);
      expect(await ended.promise).toBe(4403);
      await insertChanges(bed.database, subject, 'FAILED');
      await until(isAllTold, 'a later change');
    }
  }, 40_000);
});

describe('limits of a key', () => {
  const limits = { connectionsPerKeyMax: 2, subscriptionsPerKeyMax: 2 };

  async function startLimited() {
    const { url } = await bed.startProcess({ role: 'api', ...limits });
    return { url, ...(await createScene()) };
  }

  type Limited = Awaited<ReturnType<typeof startLimited>>;

  /** Waits until as many feeds as the key may have are open at once. */
  async function expectRoom({ url, key, after }: Limited) {
    for (const transport of TRANSPORTS) {
      await until(async () => {
        const opened = await Promise.all([1, 2].map(() => openOnce(transport, { url, key, after })));
        for (const { connection } of opened) connection.cut();
        return opened.every(({ outcome }) => outcome === 'told');
      }, `room for two connections over ${transport}`);
    }
  }

  it('refuse a connection too many: a WebSocket with 1013, a stream with RATE_LIMITED, and let it in when another is closed', async () => {
    const limited = await startLimited();
    const { url, key, after } = limited;
    const open = (transport: Transport) => openOnce(transport, { url, key, after });
    const [first, second] = [await open('WebSocket'), await open('SSE')];
    expect([first.outcome, second.outcome]).toEqual(['told', 'told']);
    expect((await open('WebSocket')).outcome).toBe(1013);
    expect((await open('SSE')).outcome).toBe('RATE_LIMITED');
    const { key: otherKey, after: otherAfter } = await createScene();
    expect((await openOnce('SSE', { url, key: otherKey, after: otherAfter })).outcome).toBe('told');
    second.connection.cut();
    await until(async () => (await open('WebSocket')).outcome === 'told', 'room for one more');
    expect((await open('SSE')).outcome).toBe('RATE_LIMITED');
  });

  it('refuse a subscription too many with RATE_LIMITED, and leave the connection and the others as they are', async () => {
    const { url, key, after, subject } = await startLimited();
    const socket = await openSocket(url, { key });
    const subscribe = (id: string) =>
      socket.send({ id, type: 'subscribe', payload: { query: FEED, variables: { after } } });
    subscribe('1');
    subscribe('2');
    await until(() => socket.of('1').length > 0 && socket.of('2').length > 0, 'both to be told');
    subscribe('3');
    await until(() => socket.of('3').length === 2, 'the third to be refused');
    expect(socket.of('3')).toMatchObject([
      {
        type: 'next',
        payload: { errors: [{ extensions: { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) } }] },
      },
      { type: 'complete' },
    ]);
    const before = socket.of('1').length;
    await insertChanges(bed.database, subject, 'FAILED');
    await until(() => socket.of('1').length > before, 'the first to be told more');
    socket.send({ id: '2', type: 'complete' });
    await until(async () => {
      subscribe('4');
      await until(() => socket.of('4').length > 0, 'an answer');
      const isTold = socket.of('4').every(({ payload }) => !payload?.errors);
      if (!isTold) socket.forget('4');
      return isTold;
    }, 'room for one more');
    expect(socket.closeCode()).toBeNull();
  });

  it.each<[string, (limited: Limited) => Promise<unknown>]>([
    [
      'their socket is cut',
      async ({ url, key, after }) => {
        for (const transport of TRANSPORTS) (await openOnce(transport, { url, key, after })).connection.cut();
      },
    ],
    [
      'their socket is cut while they are opened',
      async ({ url, key, after }) => {
        for (const transport of TRANSPORTS) {
          const ended = Promise.withResolvers<FeedEnd>();
          const options = { url, key, query: FEED, variables: { after }, onResult: () => {}, onEnd: ended.resolve };
          const connection = openFeed(transport, options);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
          connection.cut();
          await ended.promise;
        }
      },
    ],
    [
      'nothing was told before they are cut',
      async ({ url, key }) => {
        for (const transport of TRANSPORTS) {
          const options = { url, key, query: FEED, onResult: () => {}, onEnd: () => {} };
          const connection = openFeed(transport, options);
          const sql = `select 1 from pg_stat_activity where datname = current_database() and query like '%pg_snapshot_xmin%'`;
          await until(async () => (await bed.database.query(sql)).length > 0, 'the feed to be opened');
          connection.cut();
        }
      },
    ],
    [
      'they are completed',
      async ({ url, key, after }) => {
        const socket = await openSocket(url, { key });
        socket.send({ id: '1', type: 'subscribe', payload: { query: FEED, variables: { after } } });
        await until(() => socket.of('1').length > 0, 'the subscription to be told');
        socket.send({ id: '1', type: 'complete' });
        socket.close();
      },
    ],
    [
      'their cursor is refused',
      async ({ url, key }) => {
        for (const transport of TRANSPORTS) {
          expect((await openOnce(transport, { url, key, after: 'nonsense' })).outcome).toBe('BAD_USER_INPUT');
        }
      },
    ],
    [
      'what they select is wrong',
      async ({ url, key }) => {
        for (const transport of TRANSPORTS) {
          const query = 'subscription { deliveryChanges { nothing } }';
          expect((await openOnce(transport, { url, key, query })).outcome).toBe('GRAPHQL_VALIDATION_FAILED');
        }
      },
    ],
    [
      'their client takes no stream',
      async ({ url, key }) => {
        const { status } = await fetch(`${url}/graphql`, {
          method: 'POST',
          headers: { accept: 'application/json', 'content-type': 'application/json', authorization: `Bearer ${key}` },
          body: JSON.stringify({ query: FEED }),
        });
        expect(status).toBe(406);
      },
    ],
  ])('count connections and subscriptions no more when %s', async (_, use) => {
    const limited = await startLimited();
    for (let time = 0; time < 3; time += 1) {
      await use(limited);
      await expectRoom(limited);
    }
  });
});

interface Message {
  id?: string;
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests pick what they asked for
  payload?: any;
}

interface SocketOptions {
  /** Sent in `connection_init`, which is waited for; left out: nothing is sent. */
  key?: string | null;
  /** @default that of graphql-ws; null: none */
  protocol?: string | null;
  autoPong?: boolean;
}

/** A WebSocket that says what a test wants it to say. */
async function openSocket(url: string, { key, protocol = GRAPHQL_WS, autoPong }: SocketOptions = {}) {
  const protocols = protocol === null ? [] : [protocol];
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, protocols, { autoPong });
  let messages: Message[] = [];
  let closeCode: number | null = null;
  socket.on('message', (data) => messages.push(JSON.parse(String(data))));
  socket.on('error', () => {});
  socket.on('close', (code) => {
    closeCode = code;
  });
  cleanUps.push(() => socket.terminate());
  await until(() => socket.readyState === WebSocket.OPEN || closeCode !== null, 'the socket to open');
  const opened = {
    say: (text: string) => socket.send(text),
    send: (message: Message) => socket.send(JSON.stringify(message)),
    close: () => socket.close(),
    of: (id: string) => messages.filter((message) => message.id === id),
    forget: (id: string) => {
      messages = messages.filter((message) => message.id !== id);
    },
    has: (type: string) => messages.some((message) => message.type === type),
    closeCode: () => closeCode,
    closed: () => until(() => closeCode, 'the socket to be closed'),
  };
  if (key === undefined) return opened;
  opened.send({ type: 'connection_init', payload: key === null ? {} : { authorization: `Bearer ${key}` } });
  await until(() => opened.has('connection_ack') || closeCode !== null, 'the answer to connection_init');
  return opened;
}

describe('a WebSocket is closed', () => {
  it.each<[number, string, () => ReturnType<typeof openSocket>]>([
    [
      4400,
      'a message is not JSON',
      async () => {
        const socket = await openSocket(bed.url, { key: ROOT_KEY });
        socket.say('nonsense');
        return socket;
      },
    ],
    [
      4400,
      'a message is of no known type',
      async () => {
        const socket = await openSocket(bed.url, { key: ROOT_KEY });
        socket.send({ type: 'nonsense' });
        return socket;
      },
    ],
    [
      4401,
      'it subscribes before connection_init',
      async () => {
        const socket = await openSocket(bed.url);
        socket.send({ id: '1', type: 'subscribe', payload: { query: FEED } });
        return socket;
      },
    ],
    [
      4429,
      'connection_init comes twice',
      async () => {
        const socket = await openSocket(bed.url, { key: ROOT_KEY });
        socket.send({ type: 'connection_init' });
        return socket;
      },
    ],
    [
      4409,
      'an ID is used twice',
      async () => {
        const socket = await openSocket(bed.url, { key: ROOT_KEY });
        for (let left = 2; left > 0; left -= 1) socket.send({ id: '1', type: 'subscribe', payload: { query: FEED } });
        return socket;
      },
    ],
    [4406, 'it names no protocol', () => openSocket(bed.url, { protocol: null })],
    [4403, 'it brings no key', () => openSocket(bed.url, { key: null })],
    [4408, 'connection_init does not come', () => openSocket(bed.url)],
  ])('with %i when %s', async (code, _, open) => {
    const socket = await open();
    expect(await socket.closed()).toBe(code);
  });

  it('with 1001 when the server stops', async () => {
    const other = await bed.startProcess({ role: 'api' });
    const socket = await openSocket(other.url, { key: ROOT_KEY });
    await other.stop();
    expect(await socket.closed()).toBe(1001);
  });
});

describe('pings', () => {
  it('cut off a client that does not answer them, and none that does', async () => {
    const [answering, silent] = pinged as [WebSocket, WebSocket];
    await vi.waitFor(() => expect(silent.readyState).toBe(WebSocket.CLOSED), { timeout: 30_000, interval: 50 });
    expect(answering.readyState).toBe(WebSocket.OPEN);
  }, 40_000);
});

describe('a feed by itself', () => {
  const ENVIRONMENT_ID = '00000000-0000-7000-8000-000000000002';
  const makeSubject = (environmentId: string = randomUUID()): Subject => ({
    environmentId,
    deliveryId: randomUUID(),
    eventId: randomUUID(),
    endpointId: randomUUID(),
  });

  /** A feed whose queries a test can hold back, or fail. */
  async function startFeed(
    around: (name: string | undefined, run: () => Promise<pg.QueryResult>) => Promise<pg.QueryResult>,
  ) {
    const pool = new pg.Pool({ connectionString: bed.database.url, max: 3, application_name: 'test' });
    const query = (config: pg.QueryConfig) => around(config.name, () => pool.query(config));
    const feed = new ChangeFeed({
      pool: { query } as unknown as pg.Pool,
      log: createLog('silent'),
    });
    await feed.start();
    cleanUps.push(async () => {
      await feed.stop();
      await pool.end();
    });
    return feed;
  }

  const positionOfNow = async () => decodeCursor(await cursorOfNow(ENVIRONMENT_ID));

  it('tells one who comes while it looks where the log ends what happened since its cursor', async () => {
    let isHolding = false;
    const [held, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const feed = await startFeed(async (name, run) => {
      const result = await run();
      if (isHolding && name === 'find-log-head') {
        held.resolve();
        await goOn.promise;
      }
      return result;
    });
    const subject = makeSubject();
    const after = await positionOfNow();
    await insertChanges(bed.database, subject, 'FAILED');
    isHolding = true;
    await held.promise;
    const follower = await feed.subscribe({ environmentId: subject.environmentId }, after);
    const first = follower.next();
    await insertChanges(bed.database, subject, 'CANCELED');
    goOn.resolve();
    const statuses: string[] = [];
    for (let { value } = await first; ; { value } = await follower.next()) {
      statuses.push(...(value as ChangeBatch).changes.map(({ status }) => status));
      if (statuses.includes('CANCELED')) break;
    }
    await follower.return?.();
    expect(statuses).toEqual(['FAILED', 'CANCELED']);
  });

  it('tells one who comes back while the read for it fails', async () => {
    let fails = 0;
    const feed = await startFeed(async (name, run) => {
      if (name !== 'read-changes-between' || fails > 0) return run();
      fails += 1;
      throw new Error('The database is away.');
    });
    const subject = makeSubject();
    await insertChanges(bed.database, subject, 'FAILED');
    const filter = { environmentId: subject.environmentId };
    const first = await feed.subscribe(filter, { xid: 1n, id: 0n, at: new Date() });
    const gone = first.next();
    await until(() => fails === 1, 'a read that fails');
    await first.return?.();
    expect((await gone).done).toBe(true);
    const second = await feed.subscribe(filter, { xid: 1n, id: 0n, at: new Date() });
    const { value } = await second.next();
    await second.return?.();
    expect((value as ChangeBatch).changes).toMatchObject([{ status: 'FAILED' }]);
  });

  it('goes on to tell others when one who left is ended once more', async () => {
    const feed = await startFeed((_, run) => run());
    const subject = makeSubject();
    const { environmentId } = subject;
    const after = await positionOfNow();
    const [leaving, staying] = [
      await feed.subscribe({ environmentId, endpointId: subject.endpointId }, after),
      await feed.subscribe({ environmentId }, after),
    ];
    await insertChanges(bed.database, subject, 'FAILED');
    expect((await leaving.next()).done).toBe(false);
    expect((await staying.next()).done).toBe(false);
    await leaving.return?.();
    await leaving.return?.();
    const coming = await feed.subscribe({ environmentId, endpointId: subject.endpointId }, await positionOfNow());
    const next = Promise.all([staying.next(), coming.next()]);
    await leaving.return?.();
    await insertChanges(bed.database, subject, 'CANCELED');
    for (const { value } of await next) {
      expect((value as ChangeBatch).changes).toMatchObject([{ status: 'CANCELED' }]);
    }
    await staying.return?.();
    await coming.return?.();
  });

  it('keeps at most a bounded number of changes for one who does not ask for them: the rest is read when it does', async () => {
    const { environmentId } = makeSubject();
    const filter = { environmentId };
    const position = (id: number) => ({ xid: 1n, id: BigInt(id) });
    const makeChanges = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) => ({ ...position(from + index + 1) }) as DeliveryChange);
    const topic = new TopicIndex().open(filter);
    const reads: [bigint, bigint][] = [];
    const subscriber = new Subscriber({
      topic,
      start: { head: position(0), at: new Date() },
      joinedIn: { head: position(0), at: new Date() },
      readBetween: async (_, after, upTo) => {
        reads.push([after.id, upTo.head.id]);
        return makeBatch(filter, makeChanges(Number(after.id), Number(upTo.head.id)), upTo);
      },
    });
    topic.subscribers.add(subscriber);
    const ROUND = 500;
    for (let from = 0; from < 30_000; from += ROUND) {
      const head = position(from + ROUND);
      topic.tell(makeChanges(from, from + ROUND), { head, at: new Date() });
    }
    const told: bigint[] = [];
    while (told.length < 30_000) told.push(...((await subscriber.take())?.changes ?? []).map(({ id }) => id));
    expect(told).toEqual(Array.from({ length: 30_000 }, (_, index) => BigInt(index + 1)));
    const read = reads.reduce((sum, [after, upTo]) => sum + Number(upTo - after), 0);
    expect(30_000 - read).toBeLessThanOrEqual(QUEUED_CHANGES_MAX);
  });
});
