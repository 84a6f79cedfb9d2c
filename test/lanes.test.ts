import { afterEach, describe, expect, it, vi } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import type { Posthorn } from '../src/main.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { type ReceiverAnswer, useReceiver } from './support/receiver.ts';

/** Makes no attempts itself: each test starts the workers that it needs. */
const bed = useTestBed({ role: 'api' });
const receiver = useReceiver();

/** A lease of 10 s and time to spare. */
const TAKEOVER = { timeout: 25_000, interval: 20 };

const workers: Posthorn[] = [];
const openGates: (() => void)[] = [];

afterEach(async () => {
  for (const open of openGates.splice(0)) open();
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
});

async function startWorker(): Promise<Posthorn> {
  const worker = await bed.startProcess({ role: 'worker' });
  workers.push(worker);
  return worker;
}

/** An answer that is held back until it is opened, at the latest when the test ends. */
function makeGate() {
  let open: () => void = () => {};
  const opened = new Promise<ReceiverAnswer>((resolve) => {
    open = () => resolve({});
  });
  openGates.push(open);
  return { opened, open };
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

/** Publishes so many events in one go. @returns their IDs, in order */
async function publishMany({ type }: Target, count: number): Promise<string[]> {
  const answer = await bed.ask(
    `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) {
      ... on PublishEventsPayload { results { event { id } } } } }`,
    { events: Array.from({ length: count }, () => ({ type, payload: { of: type } })) },
  );
  return answer.results.map((result: { event: { id: string } }) => result.event.id);
}

async function countDeliveries({ uuid }: Target, where: string): Promise<number> {
  const sql = `select count(*)::int as count from deliveries where endpoint_id = $1 and ${where}`;
  const [row] = await bed.database.query<{ count: number }>(sql, [uuid]);
  return row?.count ?? 0;
}

const waitUntilDelivered = (target: Target, count: number) =>
  until(async () => (await countDeliveries(target, "status = 'DELIVERED'")) === count, `${count} deliveries`);

interface LaneRow {
  leased_by: string | null;
  /** Until when its worker counts as alive. */
  seen_until: Date | null;
}

async function findLane({ uuid }: Target): Promise<LaneRow | undefined> {
  const sql = `select l.leased_by, w.seen_until from lanes l left join workers w on w.id = l.leased_by
    where l.endpoint_id = $1`;
  return (await bed.database.query<LaneRow>(sql, [uuid]))[0];
}

const webhookIds = ({ path }: Target) => receiver.to(path).map(({ headers }) => headers['webhook-id']);

/** In every stretch of time there were no more requests than the rate allows, but for those at its two ends. */
function expectRate({ path }: Target, perSecond: number) {
  const times = receiver.to(path).map(({ receivedAt }) => receivedAt);
  for (let first = 0; first < times.length; first += 1) {
    for (let last = first + 1; last < times.length; last += 1) {
      const seconds = ((times[last] as number) - (times[first] as number)) / 1_000;
      expect(last - first + 1).toBeLessThanOrEqual(Math.ceil(perSecond * seconds) + 3);
    }
  }
}

describe('a rate limit', () => {
  it('holds over two processes on one database, and everything arrives once', async () => {
    await Promise.all([startWorker(), startWorker()]);
    const target = await createTarget({ rateLimitPerSecond: 10 });
    await publishMany(target, 30);
    await waitUntilDelivered(target, 30);
    expectRate(target, 10);
    expect(new Set(webhookIds(target)).size).toBe(30);
    expect(receiver.to(target.path)).toHaveLength(30);
  });

  it('sends what waits oldest first', async () => {
    await startWorker();
    const target = await createTarget({ rateLimitPerSecond: 50 });
    const ids = await publishMany(target, 25);
    await waitUntilDelivered(target, 25);
    const attempts = await bed.database.query<{ event: string; at: Date }>(
      'select event_id::text as event, created_at as at from delivery_attempts where endpoint_id = $1',
      [target.uuid],
    );
    const startedAt = new Map(attempts.map(({ event, at }) => [event, at.getTime()]));
    const times = ids.map((id) => startedAt.get(decodeId('Event', id) as string));
    expect(times).toEqual(times.toSorted());
  });

  it('holds when the lane passes from a process that stops to another one', async () => {
    const first = await startWorker();
    const target = await createTarget({ rateLimitPerSecond: 10 });
    await publishMany(target, 30);
    await receiver.waitFor(5, target.path);
    await startWorker();
    await first.stop();
    await waitUntilDelivered(target, 30);
    expectRate(target, 10);
    expect(receiver.to(target.path)).toHaveLength(30);
  });

  it('of less than one a second is remembered by the process that takes the lane over', async () => {
    const first = await startWorker();
    const target = await createTarget({ rateLimitPerSecond: 0.25 });
    await publishMany(target, 2);
    await receiver.waitFor(1, target.path);
    await first.stop();
    await startWorker();
    const [one, two] = await receiver.waitFor(2, target.path);
    const apartMs = (two?.receivedAt ?? 0) - (one?.receivedAt ?? 0);
    // One each 4 s, less a tick of the lane and the time that the requests took.
    expect(apartMs).toBeGreaterThanOrEqual(3_500);
  });

  it('counts automatic retries too', async () => {
    await startWorker();
    const retryPolicy = { maxRetries: 1, delaysSeconds: [1], jitter: 0 };
    const target = await createTarget({ rateLimitPerSecond: 10, retryPolicy });
    receiver.answer = () => ({ status: 500 });
    await publishMany(target, 9);
    await until(async () => (await countDeliveries(target, "status = 'FAILED'")) === 9, 'all retries to be made');
    expect(receiver.to(target.path)).toHaveLength(18);
    expectRate(target, 10);
  });

  it('that is taken away lets the rest go at once, and the lane closes', async () => {
    await startWorker();
    const target = await createTarget({ rateLimitPerSecond: 0.001 });
    await publishMany(target, 20);
    await receiver.waitFor(1, target.path);
    expect(await findLane(target)).toBeDefined();
    await bed.ask('mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }', {
      input: { endpointId: target.id, rateLimitPerSecond: null },
    });
    await waitUntilDelivered(target, 20);
    await until(async () => !(await findLane(target)), 'the lane to close');
    await publishMany(target, 1);
    await waitUntilDelivered(target, 21);
  });
});

describe('an endpoint that never answers', () => {
  it('does not hold up another one: what waits for it moves into a lane of its own', async () => {
    await startWorker();
    const gate = makeGate();
    const stalled = await createTarget({ timeoutMs: 60_000 });
    const healthy = await createTarget();
    receiver.answer = ({ path }) => (path === stalled.path ? gate.opened : {});
    await publishMany(stalled, 300);
    await receiver.waitFor(1, stalled.path);
    await publishMany(healthy, 100);
    await waitUntilDelivered(healthy, 100);
    expect(await countDeliveries(stalled, "status = 'PENDING'")).toBe(300);
    await until(async () => (await countDeliveries(stalled, 'in_lane')) > 0, 'its deliveries to be moved');
    expect(await findLane(stalled)).toBeDefined();
    gate.open();
    await waitUntilDelivered(stalled, 300);
    await until(async () => !(await findLane(stalled)), 'the lane to close');
    expect(new Set(webhookIds(stalled)).size).toBe(300);
    expect(receiver.to(stalled.path)).toHaveLength(300);
    expect(await countDeliveries(stalled, 'attempt_count <> 1 or in_lane')).toBe(0);
  });

  it('does not hold up another one even where five of them stall at once', async () => {
    await startWorker();
    const gate = makeGate();
    const stalled: Target[] = [];
    while (stalled.length < 5) stalled.push(await createTarget({ timeoutMs: 60_000 }));
    const healthy = await createTarget();
    receiver.answer = ({ path }) => (path === healthy.path ? {} : gate.opened);
    for (const target of stalled) await publishMany(target, 100);
    for (const target of stalled) await receiver.waitFor(1, target.path);
    await publishMany(healthy, 100);
    await waitUntilDelivered(healthy, 100);
    for (const target of stalled) expect(await countDeliveries(target, "status = 'PENDING'")).toBe(100);
    gate.open();
    for (const target of stalled) await waitUntilDelivered(target, 100);
    for (const target of stalled) expect(new Set(webhookIds(target)).size).toBe(100);
    expect(receiver.requests).toHaveLength(600);
  }, 60_000);

  it('has a cap of requests in flight', async () => {
    await startWorker();
    const gate = makeGate();
    const stalled = await createTarget({ timeoutMs: 60_000 });
    receiver.answer = () => gate.opened;
    await publishMany(stalled, 300);
    await until(async () => (await countDeliveries(stalled, 'in_lane')) > 0, 'its deliveries to be moved');
    // Out of the shared lane and out of its own.
    expect(receiver.to(stalled.path).length).toBeLessThanOrEqual(128);
    gate.open();
    await waitUntilDelivered(stalled, 300);
    expect(receiver.to(stalled.path)).toHaveLength(300);
  });
});

describe('a lane', () => {
  it('stays with a process that stops while its attempts are in flight, so that nobody makes them twice', async () => {
    const first = await startWorker();
    const gate = makeGate();
    const target = await createTarget({ rateLimitPerSecond: 1_000, timeoutMs: 60_000 });
    receiver.answer = () => gate.opened;
    await publishMany(target, 3);
    await receiver.waitFor(3, target.path);
    const before = (await findLane(target)) as { leased_by: string; seen_until: Date };
    await startWorker();
    const stopped = first.stop();
    // Either the lease is renewed, or it runs out and the other process takes it.
    const after = await vi.waitFor(async () => {
      const lane = (await findLane(target)) as { leased_by: string; seen_until: Date };
      const isRenewed = lane.seen_until.getTime() > before.seen_until.getTime() + 5_000;
      expect(isRenewed || lane.leased_by !== before.leased_by).toBe(true);
      return lane;
    }, TAKEOVER);
    expect(after.leased_by).toBe(before.leased_by);
    gate.open();
    await stopped;
    await waitUntilDelivered(target, 3);
    expect(receiver.to(target.path)).toHaveLength(3);
  }, 40_000);

  it('of a process that stops is taken by another one with all that waits in it', async () => {
    const first = await startWorker();
    const target = await createTarget({ rateLimitPerSecond: 20 });
    await publishMany(target, 40);
    await receiver.waitFor(3, target.path);
    await first.stop();
    const sent = receiver.to(target.path).length;
    expect(await countDeliveries(target, "status = 'DELIVERED'")).toBe(sent);
    expect(await findLane(target)).toEqual({ leased_by: null, seen_until: null });
    await startWorker();
    await waitUntilDelivered(target, 40);
    expect(receiver.to(target.path)).toHaveLength(40);
  });

  it('that is opened while deliveries wait in the shared lane gets those too', async () => {
    const target = await createTarget();
    await publishMany(target, 30);
    await bed.ask('mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }', {
      input: { endpointId: target.id, rateLimitPerSecond: 20 },
    });
    await startWorker();
    await waitUntilDelivered(target, 30);
    expectRate(target, 20);
    expect(receiver.to(target.path)).toHaveLength(30);
  });

  it('is shared out evenly: each of two processes gets half of the lanes, also one that comes later', async () => {
    await startWorker();
    const targets: Target[] = [];
    while (targets.length < 6) targets.push(await createTarget({ rateLimitPerSecond: 50 }));
    const findSplit = async () => {
      const sql = 'select leased_by, count(*)::int as count from lanes group by 1 order by 2';
      return bed.database.query<{ leased_by: string | null; count: number }>(sql);
    };
    const expectEvenSplit = async (workers: number) => {
      const split = await findSplit();
      expect(split.map((row) => row.leased_by)).not.toContain(null);
      expect(split).toHaveLength(workers);
      expect((split.at(-1)?.count ?? 0) - (split[0]?.count ?? 0)).toBeLessThanOrEqual(1);
    };
    await vi.waitFor(() => expectEvenSplit(1), TAKEOVER);
    await startWorker();
    await vi.waitFor(() => expectEvenSplit(2), TAKEOVER);
    for (const target of targets) await publishMany(target, 10);
    for (const target of targets) await waitUntilDelivered(target, 10);
    for (const target of targets) expect(receiver.to(target.path)).toHaveLength(10);
  });

  it('of a worker that died is taken by another one, which is then the only one that sends in it', async () => {
    const target = await createTarget({ rateLimitPerSecond: 50 });
    const dead = '00000000-0000-7000-8000-00000000dead';
    await bed.database.query("insert into workers values ($1, now() + interval '1 second')", [dead]);
    await bed.database.query('update lanes set leased_by = $1 where endpoint_id = $2', [dead, target.uuid]);
    await publishMany(target, 5);
    await startWorker();
    await waitUntilDelivered(target, 5);
    expect(await bed.database.query('select 1 from workers where id = $1', [dead])).toEqual([]);
    expect((await findLane(target))?.leased_by).not.toBe(dead);
    expect(receiver.to(target.path)).toHaveLength(5);
  });

  it('that has nothing to do costs those with work nothing: 300 paused endpoints with held deliveries beside one', async () => {
    await startWorker();
    const target = await createTarget({ rateLimitPerSecond: 50 });
    await bed.database.query(
      `with copies as (
        insert into endpoints select (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid(), 'status', 'PAUSED'))).*
        from endpoints e, generate_series(1, 300) where e.id = $1 returning id, organization_id, environment_id
      ), opened as (insert into lanes (endpoint_id, opened_at) select id, now() - interval '1 day' from copies)
      insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, status, max_retries, in_lane)
      select gen_random_uuid(), organization_id, environment_id, gen_random_uuid(), id, 'paused.event', 'HELD', 9, true from copies`,
      [target.uuid],
    );
    await publishMany(target, 20);
    await waitUntilDelivered(target, 20);
    expect(receiver.to(target.path)).toHaveLength(20);
    const [held] = await bed.database.query("select count(*)::int as count from deliveries where status = 'HELD'");
    expect(held).toEqual({ count: 300 });
  });

  it('of a paused endpoint is drained oldest first when it is resumed, newer ones after those that were held', async () => {
    await startWorker();
    const target = await createTarget();
    const ask = (name: string) =>
      bed.ask(`mutation ($id: ID!) { ${name}(input: { endpointId: $id }) { __typename } }`, { id: target.id });
    await ask('pauseEndpoint');
    const ids = await publishMany(target, 20);
    await until(async () => (await countDeliveries(target, "status = 'HELD'")) === 20, 'all to be held');
    await ask('resumeEndpoint');
    ids.push(...(await publishMany(target, 20)));
    await waitUntilDelivered(target, 40);
    expect(new Set(webhookIds(target))).toEqual(new Set(ids));
    expect(receiver.to(target.path)).toHaveLength(40);
  });
});

describe('a clock that is set back by an hour', () => {
  it('holds up no lane', async () => {
    const limited = await createTarget({ rateLimitPerSecond: 100 });
    const now = Date.now;
    await startWorker();
    await publishMany(limited, 3);
    await waitUntilDelivered(limited, 3);
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000);
    try {
      await publishMany(limited, 5);
      await waitUntilDelivered(limited, 8);
    } finally {
      clock.mockRestore();
    }
  });
});

describe('an endpoint that fails again and again', () => {
  /** As long as a streak, and many more that wait behind it. */
  const WAITING = 200;

  const failing = { retryPolicy: { maxRetries: 1, delaysSeconds: [3_600] } };

  const findStreak = async ({ uuid }: Target) =>
    (await bed.database.query<{ probes: number }>('select * from failure_streaks where endpoint_id = $1', [uuid]))[0];

  it('gets a lane of its own and one attempt at a time, while another one gets everything at once', async () => {
    await startWorker();
    const bad = await createTarget(failing);
    const good = await createTarget();
    let inFlight = 0;
    const together: number[] = [];
    receiver.answer = async ({ path }) => {
      if (path === good.path) return {};
      inFlight += 1;
      together.push(inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      inFlight -= 1;
      return { status: 500 };
    };
    await publishMany(bad, WAITING);
    await until(async () => (await countDeliveries(bad, 'in_lane')) > 0, 'its deliveries to be moved');
    await publishMany(good, 50);
    await waitUntilDelivered(good, 50);
    const before = together.length;
    await receiver.waitFor(before + 2, bad.path);
    expect(together.slice(before).filter((count) => count > 1)).toEqual([]);
  });

  it('rests longer after each attempt that fails, and what waits keeps its retries', async () => {
    await startWorker();
    const bad = await createTarget(failing);
    receiver.answer = () => ({ status: 500 });
    await publishMany(bad, WAITING);
    await until(async () => (await countDeliveries(bad, 'in_lane')) > 0, 'its deliveries to be moved');
    await until(async () => (await findStreak(bad))?.probes === 3, 'three probes');
    const rests = receiver
      .to(bad.path)
      .map(({ receivedAt }, index, all) => receivedAt - (all[index - 1]?.receivedAt ?? receivedAt));
    expect(rests.at(-3)).toBeGreaterThan(900);
    expect(rests.at(-2)).toBeGreaterThan(1_900);
    expect(rests.at(-1)).toBeGreaterThan(3_900);
    const tried = await countDeliveries(bad, 'attempt_count > 0');
    expect(tried).toBe(receiver.to(bad.path).length);
    expect(await countDeliveries(bad, "in_lane and attempt_count = 0 and status = 'PENDING'")).toBe(WAITING - tried);
  });

  it('rests on when another worker takes its lane, and no longer where it was given another address', async () => {
    const worker = await startWorker();
    const bad = await createTarget(failing);
    receiver.answer = () => ({ status: 500 });
    await publishMany(bad, WAITING);
    await until(async () => ((await findStreak(bad))?.probes ?? 0) >= 2, 'two probes');
    workers.splice(workers.indexOf(worker), 1);
    await worker.stop();
    await bed.database.query(`update failure_streaks set next_probe_at = now() + interval '50 seconds'`);
    const before = receiver.to(bad.path).length;
    await startWorker();
    const other = await createTarget();
    await publishMany(other, 1);
    receiver.answer = () => ({});
    await waitUntilDelivered(other, 1);
    expect(receiver.to(bad.path)).toHaveLength(before);
    await bed.ask('mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }', {
      input: { endpointId: bad.id, url: receiver.url(`${bad.path}/moved`) },
    });
    await until(async () => (await countDeliveries(bad, 'in_lane')) === 0, 'the lane to be drained');
    expect(await findStreak(bad)).toBeUndefined();
  });

  it('does not rest for an hour because the clock went back by one', async () => {
    await startWorker();
    const bad = await createTarget(failing);
    receiver.answer = () => ({ status: 500 });
    await publishMany(bad, WAITING);
    await until(async () => (await countDeliveries(bad, 'in_lane')) > 0, 'its deliveries to be moved');
    receiver.answer = () => ({});
    await bed.database.query(`update failure_streaks set next_probe_at = now() + interval '1 hour'`);
    await until(async () => (await countDeliveries(bad, 'in_lane')) === 0, 'the lane to be drained');
  });

  it('gets everything that waits as soon as one attempt succeeds, and nothing twice but what failed', async () => {
    await startWorker();
    const bad = await createTarget(failing);
    receiver.answer = () => ({ status: 500 });
    await publishMany(bad, WAITING);
    await until(async () => (await countDeliveries(bad, 'in_lane')) > 0, 'its deliveries to be moved');
    receiver.answer = () => ({});
    const waited = await until(async () => {
      const failed = await countDeliveries(bad, "status = 'RETRYING'");
      const delivered = await countDeliveries(bad, "status = 'DELIVERED'");
      return failed + delivered === WAITING && delivered > 0 && { failed };
    }, 'all to be tried');
    expect(receiver.to(bad.path)).toHaveLength(WAITING);
    expect(await countDeliveries(bad, "status = 'RETRYING'")).toBe(waited.failed);
  });

  it('is tried at once with what a person retries, before all that waits', async () => {
    await startWorker();
    const bad = await createTarget(failing);
    receiver.answer = () => ({ status: 500 });
    const [eventId] = await publishMany(bad, WAITING);
    await until(async () => (await countDeliveries(bad, 'in_lane')) > 50, 'its deliveries to be moved');
    const query = 'query ($id: ID!) { event(id: $id) { deliveries { edges { node { id status } } } } }';
    const [{ node }] = await until(async () => {
      const { edges } = (await bed.ask(query, { id: eventId })).deliveries;
      return edges[0].node.status === 'RETRYING' && edges;
    }, 'the first delivery to fail');
    await bed.ask(
      'mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) { __typename ... on RetryDeliveryPayload { delivery { id } } } }',
      { id: node.id },
    );
    await until(async () => webhookIds(bad).filter((id) => id === eventId).length === 2, 'the retry');
    expect(await countDeliveries(bad, 'in_lane')).toBeGreaterThan(0);
  });
});
