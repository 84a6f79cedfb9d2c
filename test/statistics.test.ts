import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { StatsKeeper } from '../src/deliver/stats-keeper.ts';
import { decodeId } from '../src/domain/ids.ts';
import { createLog, type Log } from '../src/log.ts';
import { countChanges } from '../src/storage/count-changes.ts';
import { moveLogPosition, takeLogPosition } from '../src/storage/log-position.ts';
import { inTransaction } from '../src/storage/transaction.ts';
import { type Tenant, until, useTestBed } from './support/posthorn.ts';
import { type ReceiverAnswer, useReceiver } from './support/receiver.ts';
import {
  COUNT_FIELDS,
  expectExactGauges,
  NO_COUNTS,
  readTotal,
  untilCounted,
  untilQuiet,
} from './support/statistics.ts';

const bed = useTestBed();
const receiver = useReceiver();

let tenant: Tenant;
let key: { key: string };
let number = 0;

beforeEach(async () => {
  number += 1;
  tenant = await bed.createTenant(`statistics ${number}`);
  key = { key: tenant.key };
});

/** An endpoint that gets events of a type of its own. */
async function createTarget(name: string, input: Record<string, unknown> = {}) {
  const type = `${name}.happened`;
  const { id } = await bed.createEndpoint({ url: receiver.url(`/${name}`), eventTypes: [type], ...input }, key);
  return { id, type, path: `/${name}` };
}

const publish = (type: string, input: Record<string, unknown> = {}) => bed.publish({ type, ...input }, key);

const mutate = (field: string, input: string, variables: object) =>
  bed.ask(
    `mutation ($id: ID!) { ${field}(input: { ${input} }) { __typename ... on Error { message } } }`,
    variables,
    key,
  );

const untilStatus = (deliveryId: string | undefined, ...statuses: string[]) =>
  until(
    async () => {
      const { status } = await bed.ask('query ($id: ID!) { delivery(id: $id) { status } }', { id: deliveryId }, key);
      return statuses.includes(status);
    },
    `the delivery to be ${statuses.join(' or ')}`,
  );

const total = (endpointId?: string) => readTotal(bed, key, endpointId);

interface Waiting {
  waiting: number;
  oldestWaitingAt: string | null;
}

const readWaiting = (endpointId?: string): Promise<Waiting> =>
  bed.ask('query ($id: ID) { deliveryStats(endpointId: $id) { waiting oldestWaitingAt } }', { id: endpointId }, key);

const NONE_WAITING = { waiting: 0, oldestWaitingAt: null };

describe('the counts', () => {
  it('are events published, with those that no endpoint wants and without duplicates, and deliveries by endpoint', async () => {
    const [a, b] = [await createTarget('a'), await createTarget('b', { eventTypes: ['a.happened', 'b.happened'] })];
    for (const type of [a.type, a.type, b.type, 'unheard.of', 'unheard.of']) await publish(type);
    for (let times = 0; times < 3; times += 1) await publish(a.type, { idempotencyKey: 'once' });
    const events = Array.from({ length: 7 }, (_, index) => ({
      type: b.type,
      payload: index,
      idempotencyKey: `${index % 5}`,
    }));
    await bed.graphql(
      'mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) { __typename } }',
      { events: events.slice(0, 5) },
      key,
    );
    await untilQuiet(bed);
    expect(await total()).toEqual({ published: 11, delivered: 12, failed: 0, retried: 0, attempts: 12 });
    expect(await total(a.id)).toEqual({ published: 3, delivered: 3, failed: 0, retried: 0, attempts: 3 });
    expect(await total(b.id)).toEqual({ published: 9, delivered: 9, failed: 0, retried: 0, attempts: 9 });
  });

  it('are dead letters, and retries automatic and by hand', async () => {
    receiver.answer = ({ path }) => ({ status: path === '/good' ? 200 : 500 });
    const bad = await createTarget('bad', { retryPolicy: { maxRetries: 2, delaysSeconds: [1], jitter: 0 } });
    const good = await createTarget('good');
    const { deliveryIds } = await publish(bad.type);
    await publish(good.type);
    await untilStatus(deliveryIds[0], 'FAILED');
    await untilQuiet(bed);
    expect(await total(bad.id)).toEqual({ published: 1, delivered: 0, failed: 1, retried: 2, attempts: 3 });
    const retry = () => mutate('retryDelivery', 'deliveryId: $id', { id: deliveryIds[0] });
    await retry();
    await until(() => receiver.to('/bad').length === 4, 'the retry in vain');
    await untilQuiet(bed);
    // It left the dead letters and came back.
    expect(await total(bad.id)).toEqual({ published: 1, delivered: 0, failed: 2, retried: 3, attempts: 4 });
    receiver.answer = () => ({});
    await retry();
    await untilStatus(deliveryIds[0], 'DELIVERED');
    await untilQuiet(bed);
    expect(await total(bad.id)).toEqual({ published: 1, delivered: 1, failed: 2, retried: 4, attempts: 5 });
    receiver.answer = () => ({ status: 500 });
    await retry();
    await until(() => receiver.to('/bad').length === 6, 'the second retry in vain');
    await untilQuiet(bed);
    // It is DELIVERED again, but this attempt delivered nothing.
    expect(await total(bad.id)).toEqual({ published: 1, delivered: 1, failed: 2, retried: 5, attempts: 6 });
    expect(await total()).toEqual({ published: 2, delivered: 2, failed: 2, retried: 5, attempts: 7 });
    expect(await readWaiting()).toEqual(NONE_WAITING);
  });

  it('are deliveries that retryEvent makes for an endpoint, as published there and not in the environment', async () => {
    const { id } = await publish('late.happened');
    const late = await createTarget('late');
    await mutate('retryEvent', 'eventId: $id', { id });
    await untilQuiet(bed);
    expect(await total(late.id)).toEqual({ published: 1, delivered: 1, failed: 0, retried: 0, attempts: 1 });
    expect(await total()).toEqual({ published: 1, delivered: 1, failed: 0, retried: 0, attempts: 1 });
  });

  it('have an attempt that ends after its delivery was canceled as an attempt and nothing else', async () => {
    let answer: (value: ReceiverAnswer) => void = () => {};
    receiver.answer = () => new Promise((resolve) => (answer = resolve));
    const target = await createTarget('canceled');
    const { deliveryIds } = await publish(target.type);
    await receiver.waitFor(1, target.path);
    await untilCounted(bed);
    expect((await readWaiting(target.id)).waiting).toBe(1);
    await mutate('cancelDelivery', 'deliveryId: $id', { id: deliveryIds[0] });
    await untilCounted(bed);
    expect(await readWaiting(target.id)).toEqual(NONE_WAITING);
    answer({ status: 200 });
    await until(async () => (await total(target.id)).attempts === 1, 'the attempt');
    expect(await total(target.id)).toEqual({ published: 1, delivered: 0, failed: 0, retried: 0, attempts: 1 });
  });

  it('have what waits while an endpoint is paused, and attempts that were made elsewhere', async () => {
    const target = await createTarget('paused');
    await mutate('pauseEndpoint', 'endpointId: $id', { id: target.id });
    const events = [await publish(target.type), await publish(target.type), await publish(target.type)];
    await untilCounted(bed);
    const { createdAt } = await bed.ask(
      'query ($id: ID!) { delivery(id: $id) { createdAt } }',
      { id: events[0]?.deliveryIds[0] },
      key,
    );
    const waiting = { waiting: 3, oldestWaitingAt: createdAt };
    expect(await readWaiting(target.id)).toEqual(waiting);
    expect(await readWaiting()).toEqual(waiting);
    await expectExactGauges(bed, tenant);
    await mutate('recordDeliveryAttempt', 'deliveryId: $id, status: DELIVERED', { id: events[0]?.deliveryIds[0] });
    await mutate('recordDeliveryAttempt', 'deliveryId: $id, status: FAILED', { id: events[1]?.deliveryIds[0] });
    await untilCounted(bed);
    expect(await total(target.id)).toEqual({ published: 3, delivered: 1, failed: 1, retried: 0, attempts: 2 });
    expect((await readWaiting()).waiting).toBe(1);
    const { total: sums } = await bed.ask('{ deliveryStats { total { successRatio durationMs { p50 } } } }', {}, key);
    expect(sums).toEqual({ successRatio: 0.5, durationMs: null });
    await mutate('resumeEndpoint', 'endpointId: $id', { id: target.id });
    await untilStatus(events[2]?.deliveryIds[0], 'DELIVERED');
    await untilQuiet(bed);
    expect(await readWaiting()).toEqual(NONE_WAITING);
    expect(await total()).toEqual({ published: 3, delivered: 2, failed: 1, retried: 0, attempts: 3 });
    await expectExactGauges(bed, tenant);
  });

  it('never show less than none that wait', async () => {
    await bed.database.query(
      `insert into delivery_gauges values ($1, '00000000-0000-0000-0000-000000000000', -3, 1, 0)`,
      [decodeId('Environment', tenant.environmentId)],
    );
    expect(await readWaiting()).toEqual(NONE_WAITING);
  });

  it('tell durations by percentiles', async () => {
    const target = await createTarget('durations');
    for (let times = 0; times < 5; times += 1) await publish(target.type);
    await untilQuiet(bed);
    const rows = await bed.database.query<{ ms: number }>(
      'select duration_ms as ms from delivery_attempts where endpoint_id = $1 order by 1',
      [decodeId('Endpoint', target.id)],
    );
    const { total: sums } = await bed.ask(
      'query ($id: ID) { deliveryStats(endpointId: $id) { total { successRatio durationMs { p50 p95 p99 } } } }',
      { id: target.id },
      key,
    );
    expect(sums.successRatio).toBe(1);
    for (const [name, index] of [
      ['p50', 2],
      ['p95', 4],
      ['p99', 4],
    ] as const) {
      const truth = Math.max(1, rows[index]?.ms as number);
      expect(Math.abs(sums.durationMs[name] - truth) / truth).toBeLessThan(0.2);
    }
  });

  it('are kept by the minute and by the hour', async () => {
    const target = await createTarget('resolutions');
    await publish(target.type);
    await untilQuiet(bed);
    const rows = await bed.database.query(
      `select resolution_seconds as seconds, sum(published)::int as published, sum(delivered)::int as delivered,
         sum(attempts_succeeded)::int as succeeded, sum((select sum(n) from unnest(durations) n))::int as durations,
         bool_and(extract(epoch from starts_at)::int % resolution_seconds = 0) as "isAligned"
       from delivery_stats where environment_id = $1 group by 1, endpoint_id order by 1`,
      [decodeId('Environment', tenant.environmentId)],
    );
    const row = { published: 1, delivered: 1, succeeded: 1, durations: 1, isAligned: true };
    expect(rows).toEqual([60, 60, 3_600, 3_600].map((seconds) => ({ seconds, ...row })));
  });
});

describe('the window', () => {
  const read = async (args: string, fields = 'buckets { from to published }') =>
    (await bed.ask(`{ deliveryStats${args} { ${fields} } }`, {}, key)) as {
      buckets: { from: string; to: string; published: number }[];
    };

  const insertStats = (endpointId: string | null, rows: [startsAt: Date, seconds: number, published: number][]) =>
    bed.database.query(
      `insert into delivery_stats select $1, $2, seconds, starts_at, published, 0, 0, 0, 1, published, '{0,3}'
       from unnest($3::timestamptz[], $4::int[], $5::int[]) as x(starts_at, seconds, published)`,
      [
        decodeId('Environment', tenant.environmentId),
        endpointId ? decodeId('Endpoint', endpointId) : '00000000-0000-0000-0000-000000000000',
        rows.map(([startsAt]) => startsAt),
        rows.map(([, seconds]) => seconds),
        rows.map(([, , published]) => published),
      ],
    );

  const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);

  it('is the last hour in minutes where nothing is asked for', async () => {
    const { buckets } = await read('');
    expect([60, 61]).toContain(buckets.length);
    for (const [index, { from, to }] of buckets.entries()) {
      expect(Date.parse(from) % 60_000).toBe(0);
      expect(Date.parse(to) - Date.parse(from)).toBe(60_000);
      if (index > 0) expect(from).toBe(buckets[index - 1]?.to);
    }
    expect(Date.parse(buckets.at(-1)?.to as string)).toBeGreaterThan(Date.now() - 60_000);
  });

  it('has every bucket, also those in which nothing happened, and counts each row in its own', async () => {
    const start = new Date(Math.floor(hoursAgo(5).getTime() / 3_600_000) * 3_600_000);
    const minutes = (count: number) => new Date(start.getTime() + count * 60_000);
    await insertStats(null, [
      [minutes(-1), 60, 1_000],
      [minutes(0), 60, 1],
      [minutes(1), 60, 2],
      [minutes(9), 60, 4],
      [minutes(29), 60, 8],
      [minutes(30), 60, 1_000],
      [start, 3_600, 5_000],
    ]);
    const args = (bucketSeconds: number) =>
      `(from: "${start.toISOString()}", to: "${minutes(30).toISOString()}", bucketSeconds: ${bucketSeconds})`;
    expect((await read(args(600))).buckets).toEqual([
      { from: minutes(0).toISOString(), to: minutes(10).toISOString(), published: 7 },
      { from: minutes(10).toISOString(), to: minutes(20).toISOString(), published: 0 },
      { from: minutes(20).toISOString(), to: minutes(30).toISOString(), published: 8 },
    ]);
    expect((await read(args(60))).buckets.map(({ published }) => published)).toEqual(
      Array.from({ length: 30 }, (_, index) => ({ 0: 1, 1: 2, 9: 4, 29: 8 })[index] ?? 0),
    );
    const { buckets, ...rest } = await bed.ask(
      `{ deliveryStats${args(600)} { buckets { attempts } total { from to ${COUNT_FIELDS} publishedPerSecond successRatio durationMs { p50 } } } }`,
      {},
      key,
    );
    expect(buckets).toEqual([{ attempts: 10 }, { attempts: 0 }, { attempts: 9 }]);
    expect(rest.total).toEqual({
      from: start.toISOString(),
      to: minutes(30).toISOString(),
      ...NO_COUNTS,
      published: 15,
      attempts: 19,
      publishedPerSecond: 15 / 1_800,
      successRatio: 4 / 19,
      durationMs: { p50: 2 },
    });
  });

  it('of more than 48 h is read by the hour, in buckets of whole hours', async () => {
    const day = new Date(Math.floor(hoursAgo(24 * 20).getTime() / 86_400_000) * 86_400_000);
    const hours = (count: number) => new Date(day.getTime() + count * 3_600_000);
    await insertStats(null, [
      [hours(0), 3_600, 1],
      [hours(0), 60, 1_000],
      [hours(23), 3_600, 2],
      [hours(24), 3_600, 4],
    ]);
    const window = `from: "${day.toISOString()}", to: "${hours(48).toISOString()}"`;
    const counts = async (args: string) => (await read(args)).buckets.map(({ published }) => published);
    expect(await counts(`(${window}, bucketSeconds: 86400)`)).toEqual([3, 4]);
    const { buckets } = await read(`(${window})`);
    expect(buckets.length).toBe(48);
    expect(Date.parse(buckets[0]?.to as string) - Date.parse(buckets[0]?.from as string)).toBe(3_600_000);
  });

  it('chooses about 60 buckets', async () => {
    const countBuckets = async (hours: number) =>
      (await read(`(from: "${hoursAgo(hours).toISOString()}")`)).buckets.length;
    for (const hours of [2, 6, 24, 47, 24 * 7, 24 * 30, 24 * 365]) {
      const count = await countBuckets(hours);
      expect(count).toBeGreaterThanOrEqual(45);
      expect(count).toBeLessThanOrEqual(90);
    }
  });

  it('is widened to whole buckets: a day in minutes may have one more', async () => {
    const { buckets } = await read(`(from: "${hoursAgo(24).toISOString()}", bucketSeconds: 60)`);
    expect([1_440, 1_441]).toContain(buckets.length);
  });

  it('gives rates over the time that has passed', async () => {
    const target = await createTarget('rates');
    await publish(target.type);
    await untilQuiet(bed);
    const { buckets } = await bed.ask(
      '{ deliveryStats(bucketSeconds: 3600) { buckets { from published publishedPerSecond deliveredPerSecond failedPerSecond retriedPerSecond } } }',
      {},
      key,
    );
    const last = buckets.findLast((bucket: { published: number }) => bucket.published === 1);
    const elapsed = Math.min(3_600, (Date.now() - Date.parse(last.from)) / 1_000);
    expect(last.publishedPerSecond).toBeGreaterThanOrEqual(1 / (elapsed + 1));
    expect(last.deliveredPerSecond).toBe(last.publishedPerSecond);
    expect([last.failedPerSecond, last.retriedPerSecond]).toEqual([0, 0]);
    const [from, to] = [7_200_000, 10_800_000].map((ms) => new Date(Date.now() + ms).toISOString());
    const future = await bed.ask(
      `{ deliveryStats(from: "${from}", to: "${to}") { total { publishedPerSecond successRatio } } }`,
      {},
      key,
    );
    expect(future.total).toEqual({ publishedPerSecond: 0, successRatio: null });
  });

  it('counts end at the largest Int', async () => {
    const start = new Date(Math.floor(Date.now() / 60_000) * 60_000);
    await bed.database.query(
      `insert into delivery_stats values ($1, '00000000-0000-0000-0000-000000000000', 60, $2, 3000000000, 0, 0, 0, 3000000000, 0, '{}')`,
      [decodeId('Environment', tenant.environmentId), start],
    );
    expect(await total()).toMatchObject({ published: 2_147_483_647, attempts: 2_147_483_647 });
  });

  it('lists endpoints over the whole window, the most failed attempts first', async () => {
    const [a, b, c] = [await createTarget('a'), await createTarget('b'), await createTarget('c')];
    await createTarget('quiet');
    const hour = new Date(Math.floor(hoursAgo(4).getTime() / 3_600_000) * 3_600_000);
    const at = (minutes: number) => new Date(hour.getTime() + minutes * 60_000);
    // Minutes at the ends, a whole hour between them, and what must not count.
    for (const [target, factor] of [
      [a, 1],
      [b, 10],
      [c, 5],
    ] as const) {
      await insertStats(target.id, [
        [at(29), 60, 1_000],
        [at(30), 60, factor],
        [at(59), 60, factor],
        [at(60), 60, 1_000],
        [at(60), 3_600, factor],
        [at(121), 60, factor],
        [at(122), 60, 1_000],
        [at(0), 3_600, 1_000],
        [at(120), 3_600, 1_000],
      ]);
    }
    const window = `from: "${at(30).toISOString()}", to: "${at(122).toISOString()}", bucketSeconds: 60`;
    const list = async (args: string, first = '') =>
      (
        await bed.ask(
          `{ deliveryStats(${window}${args}) { endpoints${first} { endpoint { id } stats { from to published attempts } } } }`,
          {},
          key,
        )
      ).endpoints;
    const row = ({ id }: { id: string }, published: number) => ({
      endpoint: { id },
      stats: { from: at(30).toISOString(), to: at(122).toISOString(), published, attempts: published + 4 },
    });
    expect(await list('')).toEqual([row(b, 40), row(c, 20), row(a, 4)]);
    expect(await list('', '(first: 1)')).toEqual([row(b, 40)]);
    expect(await list(`, endpointId: "${c.id}"`)).toEqual([row(c, 20)]);
  });

  it.each([
    ['(endpointId: "nonsense")', 'endpointId must be an ID of the form ep_'],
    ['(endpointId: "evt_01h455vb4pex5vsknk084sn02q")', 'endpointId must be an ID of the form ep_'],
    ['(from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z")', 'from must be before to'],
    ['(from: "2026-01-01T00:00:00Z", to: "2026-01-01T00:00:00Z")', 'from must be before to'],
    ['(from: "9000-01-01T00:00:00Z")', 'from must be before to'],
    ['(bucketSeconds: 0)', 'whole multiple of 60'],
    ['(bucketSeconds: -60)', 'whole multiple of 60'],
    ['(bucketSeconds: 90)', 'whole multiple of 60'],
    ['(from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z", bucketSeconds: 60)', 'whole multiple of 3600'],
    ['(from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z", bucketSeconds: 5400)', 'whole multiple of 3600'],
    ['(from: "2020-01-01T00:00:00Z", bucketSeconds: 3600)', 'where 1440 are allowed'],
    [`(from: "${new Date(Date.now() - 47 * 3_600_000).toISOString()}", bucketSeconds: 60)`, 'where 1440 are allowed'],
    ['(from: "yesterday")', 'DateTime'],
  ])('%s is refused', async (args, message) => {
    const { errors } = await bed.graphql(`{ deliveryStats${args} { waiting } }`, {}, key);
    expect(errors?.[0]?.message).toContain(message);
    if (!args.includes('yesterday')) expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  it.each([0, -1, 101])('a list of %i endpoints is refused', async (first) => {
    const { errors } = await bed.graphql(
      `{ deliveryStats { endpoints(first: ${first}) { endpoint { id } } } }`,
      {},
      key,
    );
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining('1 to 100'),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  it('is refused to a key that may not read deliveries', async () => {
    const blind = await bed.createKey(tenant.environmentId, ['EVENTS_PUBLISH', 'ENDPOINTS_MANAGE']);
    const { errors } = await bed.graphql('{ deliveryStats { waiting } }', {}, { key: blind });
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});

describe('another tenant', () => {
  it('sees nothing, as if the endpoint did not exist', async () => {
    const target = await createTarget('mine');
    await publish(target.type);
    await mutate('pauseEndpoint', 'endpointId: $id', { id: target.id });
    await publish(target.type);
    await untilCounted(bed);
    const other = await bed.createTenant('stranger');
    const query = `query ($id: ID) { deliveryStats(endpointId: $id) {
      buckets { ${COUNT_FIELDS} } total { ${COUNT_FIELDS} durationMs { p50 } } waiting oldestWaitingAt endpoints { endpoint { id } } } }`;
    const nobody = await bed.ask(query, { id: 'ep_01h455vb4pex5vsknk084sn02q' }, { key: other.key });
    expect(nobody.total).toEqual({ ...NO_COUNTS, durationMs: null });
    for (const id of [target.id, undefined]) {
      const answer = await bed.ask(query, { id }, { key: other.key });
      expect({ ...answer, buckets: answer.buckets.slice(-60) }).toEqual({
        ...nobody,
        buckets: nobody.buckets.slice(-60),
      });
    }
  });
});

describe('the keeper', () => {
  let pool: pg.Pool;

  beforeAll(() => {
    pool = new pg.Pool({ connectionString: bed.database.url, max: 6, application_name: 'keepers' });
  });
  afterAll(() => pool.end());

  const insertChanges = (count: number, environmentId: string) =>
    bed.database.query(
      `insert into delivery_changes (environment_id, delivery_id, event_id, endpoint_id, status, previous_status,
         attempt_trigger, attempt_status, duration_ms, changed_at)
       select $1, gen_random_uuid(), gen_random_uuid(), $2, 'DELIVERED', 'PENDING', 'INITIAL', 'SUCCEEDED', n % 50, now()
       from generate_series(1, $3::int) n`,
      [environmentId, ENDPOINT_ID, count],
    );

  const ENDPOINT_ID = '00000000-0000-7000-8000-00000000000e';
  const ownEnvironment = () => decodeId('Environment', tenant.environmentId) as string;

  const readRows = (environmentId: string) =>
    bed.database.query(
      `select resolution_seconds as seconds, sum(delivered)::int as delivered,
         sum((select sum(n) from unnest(durations) n))::int as durations
       from delivery_stats where environment_id = $1 group by endpoint_id, 1 order by 1`,
      [environmentId],
    );
  const rowsOf = (delivered: number) =>
    [60, 60, 3_600, 3_600].map((seconds) => ({ seconds, delivered, durations: delivered }));

  it('counts once where several count at once, and others publish and deliver meanwhile', async () => {
    const second = await bed.startProcess();
    const keepers = [1, 2, 3].map(() => new StatsKeeper({ pool, log: createLog('silent') }));
    for (const keeper of keepers) keeper.start();
    const [a, b] = [await createTarget('a'), await createTarget('b', { eventTypes: ['*'] })];
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          bed.publish({ type: a.type }, { ...key, url: index % 2 ? bed.url : second.url }),
        ),
      );
    }
    await untilQuiet(bed);
    for (const keeper of keepers) await keeper.stop();
    expect(await total()).toEqual({ published: 200, delivered: 400, failed: 0, retried: 0, attempts: 400 });
    expect(await total(a.id)).toEqual({ published: 200, delivered: 200, failed: 0, retried: 0, attempts: 200 });
    expect(await total(b.id)).toEqual({ published: 200, delivered: 200, failed: 0, retried: 0, attempts: 200 });
    await expectExactGauges(bed, tenant);
  });

  it('takes more than one turn may count in several, none left out', async () => {
    const environmentId = ownEnvironment();
    for (const count of [9_000, 9_000, 50_000, 1, 30_000, 7]) await insertChanges(count, environmentId);
    await untilCounted(bed);
    expect(await readRows(environmentId)).toEqual(rowsOf(98_008));
  });

  it('that fails or dies after counting counts once: the next turn does it again', async () => {
    await untilCounted(bed);
    const environmentId = ownEnvironment();
    // Holds the right to count, counts, and dies.
    const client = await pool.connect();
    await client.query('begin');
    const first = await until(() => takeLogPosition(client, 'statistics', 10), 'the position');
    expect(await inTransaction(pool, (other) => takeLogPosition(other, 'statistics', 10))).toBe(null);
    await insertChanges(100, environmentId);
    const settled = await until(async () => {
      const { rows: found } = await client.query('select pg_snapshot_xmin(pg_current_snapshot())::text as xid');
      return BigInt(found[0].xid) > first.from && BigInt(found[0].xid);
    }, 'the changes to be settled');
    await countChanges(client, { ...first, until: settled });
    await moveLogPosition(client, 'statistics', settled);
    await client.query('rollback');
    client.release(true);
    await untilCounted(bed);
    expect(await readRows(environmentId)).toEqual(rowsOf(100));
  });

  it('whose statements fail is logged, counts nothing, and counts everything once it is well', async () => {
    const environmentId = ownEnvironment();
    await bed.database.query('alter table delivery_gauges rename to hidden_gauges');
    await insertChanges(50, environmentId);
    const [error, info] = [vi.fn(), vi.fn()];
    const keeper = new StatsKeeper({ pool, log: { error, info } as unknown as Log });
    keeper.start();
    try {
      await until(() => error.mock.calls.length > 0, 'the fault to be logged');
      expect(await readRows(environmentId)).toEqual([]);
    } finally {
      await bed.database.query('alter table hidden_gauges rename to delivery_gauges');
    }
    await untilCounted(bed);
    await keeper.stop();
    expect(await readRows(environmentId)).toEqual(rowsOf(50));
  });

  it('counts a transaction that commits late, and nothing behind it before', async () => {
    await untilCounted(bed);
    const environmentId = ownEnvironment();
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`insert into publications (environment_id, events, published_at) values ($1, 5, now())`, [
      environmentId,
    ]);
    await insertChanges(10, environmentId);
    const keeper = new StatsKeeper({ pool, log: createLog('silent') });
    keeper.start();
    await keeper.stop();
    expect(await readRows(environmentId)).toEqual([]);
    await client.query('commit');
    client.release();
    await untilCounted(bed);
    expect(await readRows(environmentId)).toEqual(rowsOf(10));
    expect(await total()).toMatchObject({ published: 5, delivered: 10 });
  });

  it('uses up no transaction IDs while nothing happens', async () => {
    await untilQuiet(bed);
    const keeper = new StatsKeeper({ pool, log: createLog('silent') });
    const taken = vi.spyOn(pool, 'connect');
    keeper.start();
    await keeper.stop();
    // A query by itself calls it with a callback, a transaction without.
    expect(taken.mock.calls.filter((args: unknown[]) => args.length === 0)).toEqual([]);
    taken.mockRestore();
  });
});
