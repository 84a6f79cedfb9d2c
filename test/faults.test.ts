import pg from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { decodeId, encodeId } from '../src/domain/ids.ts';
import { createLog } from '../src/log.ts';
import type { Posthorn } from '../src/main.ts';
import { Signals } from '../src/storage/signals.ts';
import { DatabaseLine } from './faults/database-line.ts';
import { createTestDatabase, cutConnections } from './support/database.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { type Process, useProcesses, waitUntilStarted } from './support/processes.ts';
import { type ReceiverAnswer, useReceiver } from './support/receiver.ts';

/** A heartbeat of 12 s and the supervision's 3 s, and time to spare. */
const TAKEOVER = { timeout: 25_000, interval: 50 };
const PATIENT = { timeout: 60_000, interval: 50 };

/** Makes no attempts itself: each test starts the workers that it needs. */
const bed = useTestBed({ role: 'api' });
const receiver = useReceiver();

const workers: Posthorn[] = [];
const openGates: (() => void)[] = [];
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const open of openGates.splice(0)) open();
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
});

const { spawnOn } = useProcesses();

/** A worker within this process. */
async function startWorker(): Promise<Posthorn> {
  const worker = await bed.startProcess({ role: 'worker' });
  workers.push(worker);
  return worker;
}

/** A worker as a process of its own. Resolves when it is there. */
async function spawnWorker(databaseUrl = bed.database.url): Promise<Process> {
  const worker = spawnOn(databaseUrl, { POSTHORN_ROLE: 'worker' });
  await waitUntilStarted(worker);
  return worker;
}

/** An answer that is held back until it is opened, at the latest when the test ends. */
function makeGate() {
  const { promise, resolve } = Promise.withResolvers<ReceiverAnswer>();
  const open = () => resolve({});
  openGates.push(open);
  return { opened: promise, open };
}

let count = 0;

/** An endpoint that gets events of a type of its own. */
async function createTarget(input: Record<string, unknown> = {}) {
  count += 1;
  const path = `/target-${count}`;
  const type = `target-${count}.happened`;
  const { id } = await bed.createEndpoint({ url: receiver.url(path), eventTypes: [type], ...input });
  return { id, uuid: decodeId('Endpoint', id) as string, path, type };
}

type Target = Awaited<ReturnType<typeof createTarget>>;

/** Publishes so many events in one go. @returns IDs of their deliveries, in order */
async function publishMany({ type }: Target, count: number): Promise<string[]> {
  const answer = await bed.ask(
    `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) {
      ... on PublishEventsPayload { results { event { deliveries { edges { node { id } } } } } } } }`,
    { events: Array.from({ length: count }, () => ({ type, payload: { of: type } })) },
  );
  // biome-ignore lint/suspicious/noExplicitAny: the shape stands in the query above
  return answer.results.map(({ event }: any) => event.deliveries.edges[0].node.id);
}

const cancel = (deliveryId: string) =>
  bed.ask(`mutation ($id: ID!) { cancelDelivery(input: { deliveryId: $id }) { __typename } }`, { id: deliveryId });

const record = (input: Record<string, unknown>) =>
  bed.ask(`mutation ($input: RecordDeliveryAttemptInput!) { recordDeliveryAttempt(input: $input) { __typename } }`, {
    input,
  });

const webhookIds = ({ path }: Target) => receiver.to(path).map(({ headers }) => headers['webhook-id'] as string);

interface Tally {
  events: number;
  delivered: number;
  attempts: number;
  counted: number;
  jobs: number;
}

/** What is on record of an endpoint's deliveries. */
async function tally({ uuid, type }: Target): Promise<Tally> {
  const [row] = await bed.database.query<Tally>(
    `select (select count(*)::int from events where type = $2) as events,
      count(*) filter (where status = 'DELIVERED')::int as delivered,
      (select count(*)::int from delivery_attempts where endpoint_id = $1) as attempts,
      coalesce(sum(attempt_count), 0)::int as counted,
      (select count(*)::int from pgboss.job
        where data ->> 'deliveryId' in (select id::text from deliveries where endpoint_id = $1)) as jobs
     from deliveries where endpoint_id = $1`,
    [uuid, type],
  );
  return row as Tally;
}

async function asAdmin(databaseUrl: string, work: (admin: pg.Client, name: string) => Promise<void>) {
  const url = new URL(databaseUrl);
  const name = url.pathname.slice(1);
  url.pathname = '/postgres';
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  try {
    await work(admin, name);
  } finally {
    await admin.end();
  }
}

/** Cuts Posthorn off from a database, until the function given back is called, at the latest when the test ends. */
async function takeAway(databaseUrl: string): Promise<() => Promise<void>> {
  const giveBack = () =>
    asAdmin(
      databaseUrl,
      async (admin, name) => void (await admin.query(`alter database ${name} allow_connections true`)),
    );
  cleanUps.push(giveBack);
  await asAdmin(databaseUrl, async (admin, name) => {
    await admin.query(`alter database ${name} allow_connections false`);
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and application_name <> 'test'`,
      [name],
    );
  });
  return giveBack;
}

describe('database connections that are cut', () => {
  it('lose no event, and every attempt that was made is on record', async () => {
    const target = await createTarget();
    await Promise.all([startWorker(), startWorker()]);
    const events = 200;
    const keys = Array.from({ length: events }, (_, index) => `cut-${index}`);
    let accepted = 0;
    const publish = async (idempotencyKey: string) => {
      const input = { type: target.type, payload: { idempotencyKey }, idempotencyKey };
      const query = `mutation ($input: PublishEventInput!) { publishEvent(input: $input) { ... on PublishEventPayload { event { id } } } }`;
      // A caller does not know whether its event is stored when it gets an error, so it calls again with the key.
      const id = await until(async () => {
        const { data } = await bed.graphql(query, { input });
        return data?.publishEvent?.event?.id as string | undefined;
      }, `${idempotencyKey} to be accepted`);
      accepted += 1;
      return id;
    };
    const callers = Array.from({ length: 10 }, async () => {
      const ids: string[] = [];
      for (let key = keys.shift(); key; key = keys.shift()) ids.push(await publish(key));
      return ids;
    });
    const cut = new Set<number>();
    for (let time = 1; time <= 5; time += 1) {
      await until(() => accepted >= time * 30, 'more events to be accepted');
      for (const pid of await cutConnections(bed.database)) cut.add(pid);
    }
    const ids = (await Promise.all(callers)).flat();
    expect(new Set(ids).size).toBe(events);
    await vi.waitFor(async () => {
      expect(await tally(target)).toMatchObject({ events, delivered: events, jobs: 0 });
    }, PATIENT);
    expect(new Set(webhookIds(target))).toEqual(new Set(ids));
    const { attempts, counted } = await tally(target);
    expect([attempts, counted]).toEqual([receiver.to(target.path).length, attempts]);
    // The api's and each worker's.
    const listening = await until(async () => {
      const rows = await bed.database.query<{ pid: number }>(
        `select pid from pg_stat_activity where datname = current_database() and application_name = 'posthorn-signals'
         and query = 'listen posthorn_changes'`,
      );
      return rows.length === 3 && rows;
    }, 'all to listen again');
    for (const { pid } of listening) expect(cut).not.toContain(pid);
  }, 120_000);

  it('are made again by who listens: signals of others wake it as before, and it looks for what it missed', async () => {
    const pool = new pg.Pool({ connectionString: bed.database.url, max: 1, application_name: 'test' });
    cleanUps.push(() => pool.end());
    const options = { databaseUrl: bed.database.url, pool, log: createLog('silent') };
    const [listener, sender] = [new Signals(options), new Signals(options)];
    cleanUps.push(() => listener.stop());
    cleanUps.push(() => sender.stop());
    const heard = { posthorn_jobs: 0, posthorn_changes: 0 };
    const names = ['posthorn_jobs', 'posthorn_changes'] as const;
    for (const name of names) {
      listener.on(name, () => {
        heard[name] += 1;
      });
    }
    await listener.start();
    for (let time = 1; time <= 3; time += 1) {
      const before = { ...heard };
      await cutConnections(bed.database);
      for (const name of names) await until(() => heard[name] > before[name], 'a look after the reconnect');
      // The api of the bed says nothing by itself, so this can only be what the sender says.
      const reconnected = { ...heard };
      for (const name of names) {
        sender.send(name);
        await until(() => heard[name] > reconnected[name], `${name} to be heard`);
      }
    }
  });

  it('while requests are in flight: their outcomes are recorded when the database is back, and none is made twice', async () => {
    const target = await createTarget({ timeoutMs: 60_000 });
    const lane = await createTarget({ timeoutMs: 60_000, rateLimitPerSecond: 1_000 });
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    const worker = await startWorker();
    await publishMany(target, 5);
    await publishMany(lane, 5);
    await receiver.waitFor(10);
    const giveBack = await takeAway(bed.database.url);
    gate.open();
    await until(async () => (await fetch(`${worker.url}/readyz`)).status === 503, 'the worker to be cut off');
    await giveBack();
    await vi.waitFor(async () => {
      for (const one of [target, lane]) expect(await tally(one)).toMatchObject({ delivered: 5, jobs: 0 });
    }, PATIENT);
    for (const one of [target, lane]) {
      expect(await tally(one)).toMatchObject({ attempts: 5, counted: 5 });
      expect(receiver.to(one.path)).toHaveLength(5);
    }
  }, 90_000);

  it('and stay away do not keep a process from ending in order', async () => {
    const database = await createTestDatabase();
    cleanUps.push(() => database.drop());
    const worker = await spawnWorker(database.url);
    await takeAway(database.url);
    worker.child.kill('SIGTERM');
    const exit = await worker.exited;
    expect({ ...exit, stderr: worker.stderr() }).toEqual({ code: 0, signal: null, stderr: '' });
    expect(worker.stdout()).toContain('"posthorn.stopped"');
  }, 60_000);
});

describe('a database that breaks off', () => {
  async function startLine() {
    const line = new DatabaseLine(Number(new URL(bed.database.url).port));
    await line.start();
    cleanUps.push(() => line.stop());
    return line;
  }

  it('before it answers a commit: the caller is told that nobody knows, and with the same key it learns', async () => {
    const line = await startLine();
    const api = await bed.startProcess({ role: 'api', databaseUrl: line.over(bed.database.url) });
    cleanUps.push(() => api.stop());
    const { type } = await createTarget();
    const query = `mutation ($input: PublishEventInput!) { publishEvent(input: $input) {
      ... on PublishEventPayload { duplicate event { id } } } }`;
    const publish = (idempotencyKey?: string) =>
      bed.graphql(query, { input: { type, payload: 1, idempotencyKey } }, { url: api.url });
    const countEvents = async () => (await bed.database.query('select 1 from events where type = $1', [type])).length;
    line.commitLoss = 1;
    for (const key of [undefined, 'lost-answer']) {
      const { errors } = await publish(key);
      expect(errors?.[0]?.message).toContain('may be stored or not');
      expect(errors?.[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR');
    }
    line.commitLoss = 0;
    expect(await countEvents()).toBe(2);
    expect((await publish('lost-answer')).data.publishEvent).toMatchObject({ duplicate: true });
    expect(await countEvents()).toBe(2);
  });

  it('without a word: who listens notices, and listens again', async () => {
    const line = await startLine();
    const pool = new pg.Pool({ connectionString: bed.database.url, max: 1, application_name: 'test' });
    cleanUps.push(() => pool.end());
    const listener = new Signals({ databaseUrl: line.over(bed.database.url), pool, log: createLog('silent') });
    cleanUps.push(() => listener.stop());
    await listener.start();
    let heard = 0;
    listener.on('posthorn_jobs', () => {
      heard += 1;
    });
    expect(line.deafen('listeners')).toBe(1);
    const notify = () => pool.query(`notify posthorn_jobs, 'test'`);
    await notify();
    expect(heard).toBe(0);
    // When it listens again it looks by itself; what is said from then on, it hears.
    await vi.waitFor(() => expect(heard).toBe(1), TAKEOVER);
    await notify();
    await until(() => heard > 1, 'a signal');
  }, 40_000);
});

describe('a worker that holds jobs', () => {
  it('and is killed: another one makes its attempts again, each once', async () => {
    const target = await createTarget({ timeoutMs: 60_000 });
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    const killed = await spawnWorker();
    await publishMany(target, 20);
    await receiver.waitFor(20, target.path);
    await startWorker();
    receiver.answer = () => ({});
    killed.child.kill('SIGKILL');
    await vi.waitFor(async () => {
      expect(await tally(target)).toEqual({ events: 20, delivered: 20, attempts: 20, counted: 20, jobs: 0 });
    }, TAKEOVER);
    expect(receiver.to(target.path)).toHaveLength(40);
    expect(new Set(webhookIds(target)).size).toBe(20);
  }, 90_000);

  it('and freezes: another one makes its attempts again, and those of the frozen one go on record late', async () => {
    const target = await createTarget({ timeoutMs: 60_000 });
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    const frozen = await spawnWorker();
    await publishMany(target, 10);
    await receiver.waitFor(10, target.path);
    await startWorker();
    receiver.answer = () => ({});
    frozen.child.kill('SIGSTOP');
    await vi.waitFor(async () => {
      expect(await tally(target)).toEqual({ events: 10, delivered: 10, attempts: 10, counted: 10, jobs: 0 });
    }, TAKEOVER);
    frozen.child.kill('SIGCONT');
    gate.open();
    await vi.waitFor(async () => {
      expect(await tally(target)).toEqual({ events: 10, delivered: 10, attempts: 20, counted: 20, jobs: 0 });
    }, TAKEOVER);
    const numbers = await bed.database.query(
      `select delivery_id, array_agg(number order by number) as numbers, array_agg(distinct status::text) as statuses
       from delivery_attempts where endpoint_id = $1 group by 1`,
      [target.uuid],
    );
    for (const row of numbers) expect(row).toMatchObject({ numbers: [1, 2], statuses: ['SUCCEEDED'] });
    expect(receiver.to(target.path)).toHaveLength(20);
    // It works on as if nothing had been.
    await publishMany(target, 5);
    await vi.waitFor(async () => expect(await tally(target)).toMatchObject({ delivered: 15, attempts: 25 }), PATIENT);
  }, 90_000);

  it('of which the queue heard nothing for too long loses them while they are in flight, and harms nothing', async () => {
    const target = await createTarget({ timeoutMs: 60_000 });
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    await startWorker();
    const deliveryIds = await publishMany(target, 5);
    await receiver.waitFor(5, target.path);
    const answerAgain = receiver.to(target.path).length;
    receiver.answer = () => ({});
    // What a worker's refresh would have undone within 3 s is set back until it is noticed.
    await vi.waitFor(async () => {
      await bed.database.query(
        `update pgboss.job set heartbeat_on = now() - interval '1 hour' where state = 'active' and data ->> 'deliveryId' = any($1)`,
        [deliveryIds.map((id) => decodeId('Delivery', id))],
      );
      expect(receiver.to(target.path).length).toBe(answerAgain * 2);
    }, TAKEOVER);
    gate.open();
    await vi.waitFor(async () => {
      expect(await tally(target)).toEqual({ events: 5, delivered: 5, attempts: 10, counted: 10, jobs: 0 });
    }, TAKEOVER);
    expect(receiver.to(target.path)).toHaveLength(10);
  }, 60_000);
});

describe('a job that is stale', () => {
  /** Waits until everything that was queued is done with: a job of a later event is done, and none is left. */
  async function settle(target: Target) {
    const probe = await createTarget();
    await publishMany(probe, 1);
    await receiver.waitFor(1, probe.path);
    await until(async () => (await tally(target)).jobs === 0, 'the jobs to end');
  }

  it('is never sent: its delivery was canceled while it waited', async () => {
    const target = await createTarget();
    const [canceled, other] = (await publishMany(target, 2)) as [string, string];
    expect((await cancel(canceled)).__typename).toBe('CancelDeliveryPayload');
    expect((await tally(target)).jobs).toBe(2);
    await startWorker();
    await bed.waitForStatus(other, 'DELIVERED');
    await settle(target);
    expect(receiver.to(target.path)).toHaveLength(1);
    expect(await bed.readDelivery(canceled)).toMatchObject({ status: 'CANCELED', attempts: [] });
  });

  it('is never sent: its delivery was recorded as delivered, or as failed, from outside', async () => {
    const target = await createTarget();
    const [delivered, failed] = (await publishMany(target, 2)) as [string, string];
    await record({ deliveryId: delivered, status: 'DELIVERED', responseStatus: 200 });
    await record({ deliveryId: failed, status: 'FAILED', error: 'It did not want it.' });
    await startWorker();
    await settle(target);
    expect(receiver.to(target.path)).toEqual([]);
    expect(await bed.readDelivery(delivered)).toMatchObject({
      status: 'DELIVERED',
      attempts: [{ trigger: 'EXTERNAL' }],
    });
    expect(await bed.readDelivery(failed)).toMatchObject({ status: 'FAILED', attempts: [{ trigger: 'EXTERNAL' }] });
  });

  it('is not sent where another one was queued in its place: one attempt is made', async () => {
    const target = await createTarget();
    const [recorded] = (await publishMany(target, 1)) as [string];
    await record({ deliveryId: recorded, status: 'PENDING', error: 'Try again.' });
    expect((await tally(target)).jobs).toBe(2);
    await startWorker();
    await bed.waitForStatus(recorded, 'DELIVERED');
    await settle(target);
    expect(receiver.to(target.path)).toHaveLength(1);
    expect((await bed.readDelivery(recorded)).attempts).toMatchObject([{ trigger: 'EXTERNAL' }, { trigger: 'RETRY' }]);
  });

  it('is not sent where its delivery was canceled and retried by hand since: one attempt is made', async () => {
    const target = await createTarget();
    const [delivery] = (await publishMany(target, 1)) as [string];
    for (let time = 0; time < 3; time += 1) {
      await cancel(delivery);
      await bed.ask(`mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) { __typename } }`, {
        id: delivery,
      });
    }
    await startWorker();
    await bed.waitForStatus(delivery, 'DELIVERED');
    await settle(target);
    expect(receiver.to(target.path)).toHaveLength(1);
    expect((await bed.readDelivery(delivery)).attempts).toMatchObject([{ number: 1, trigger: 'MANUAL' }]);
  });

  it('is never sent: its delivery was canceled while it waited in a worker for a place at its endpoint', async () => {
    const target = await createTarget({ timeoutMs: 60_000 });
    const gate = makeGate();
    receiver.answer = () => gate.opened;
    await startWorker();
    await publishMany(target, 150);
    await receiver.waitFor(64, target.path);
    const waiting = await bed.database.query<{ id: string; event: string }>(
      'select id::text, event_id::text as event from deliveries where endpoint_id = $1',
      [target.uuid],
    );
    const sent = new Set(webhookIds(target));
    const canceled = waiting.filter(({ event }) => !sent.has(encodeId('Event', event))).slice(-10);
    // In one operation, before the worker loses its patience and moves them into the endpoint's own lane.
    const fields = canceled.map(
      ({ id }, index) =>
        `c${index}: cancelDelivery(input: { deliveryId: "${encodeId('Delivery', id)}" }) { __typename }`,
    );
    await bed.ask(`mutation { ${fields.join(' ')} }`);
    gate.open();
    await vi.waitFor(async () => expect(await tally(target)).toMatchObject({ delivered: 140, jobs: 0 }), PATIENT);
    expect(receiver.to(target.path)).toHaveLength(140);
    for (const { id } of canceled) {
      expect(await bed.readDelivery(encodeId('Delivery', id))).toMatchObject({ status: 'CANCELED', attempts: [] });
    }
  }, 90_000);

  it('of an event that is gone ends without a request', async () => {
    const target = await createTarget();
    await publishMany(target, 1);
    await bed.database.query('delete from events where type = $1', [target.type]);
    await startWorker();
    await settle(target);
    expect(receiver.to(target.path)).toEqual([]);
  });
});
