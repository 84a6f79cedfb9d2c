import pg from 'pg';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type Tenant, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';
import { COUNT_FIELDS, untilQuiet } from './support/statistics.ts';

const bed = useTestBed();
const receiver = useReceiver();

let tenant: Tenant;
let ids: string[];

const minutesAgo = (minutes: number) => new Date(Math.floor(Date.now() / 60_000 - minutes) * 60_000);

beforeAll(async () => {
  tenant = await bed.createTenant('endpoint statistics');
  receiver.answer = ({ path }) => ({ status: path === '/bad' ? 500 : 200 });
  ids = [];
  for (const name of ['good', 'bad', 'paused', 'quiet']) {
    const { id } = await bed.createEndpoint(
      { url: receiver.url(`/${name}`), name, eventTypes: [name], retryPolicy: { maxRetries: 0 } },
      tenant,
    );
    ids.push(id);
  }
  await bed.ask(
    'mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }',
    { id: ids[2] },
    tenant,
  );
  for (const type of ['good', 'good', 'good', 'bad', 'paused', 'paused']) await bed.publish({ type }, tenant);
  await untilQuiet(bed);
});

const STATS = `
  buckets { from to ${COUNT_FIELDS} durationMs { p50 p99 } } total { from to ${COUNT_FIELDS} successRatio durationMs { p50 } }
  waiting oldestWaitingAt endpoints { endpoint { id } stats { ${COUNT_FIELDS} } }`;

interface StatsNode {
  id: string;
  stats: { buckets: object[]; total: object; waiting: number };
}

const readList = async (selection: string, options: object = tenant): Promise<StatsNode[]> => {
  const { edges } = await bed.ask(`{ endpoints(first: 50) { edges { node { id ${selection} } } } }`, {}, options);
  return edges.map(({ node }: { node: StatsNode }) => node).toReversed();
};

/** Names of the statements that are sent while something is asked, or what they are where they have none. */
async function watchStatements(work: () => Promise<unknown>): Promise<string[]> {
  const spy = vi.spyOn(pg.Client.prototype, 'query');
  try {
    await work();
    const queries = spy.mock.calls.map(([query]) => query as unknown as { name?: string; text?: string } | string);
    return queries.map((query) => (typeof query === 'string' ? query : (query.name ?? query.text ?? '')));
  } finally {
    spy.mockRestore();
  }
}

describe('the statistics of an endpoint', () => {
  it.each([
    ['', ''],
    ['(bucketSeconds: 120)', 'bucketSeconds: 120, '],
    [
      `(from: "${minutesAgo(600).toISOString()}", to: "${minutesAgo(-60).toISOString()}", bucketSeconds: 3600)`,
      `from: "${minutesAgo(600).toISOString()}", to: "${minutesAgo(-60).toISOString()}", bucketSeconds: 3600, `,
    ],
  ])('in a list%s are those that deliveryStats tells of each', async (args, rest) => {
    const list = await readList(`stats${args} { ${STATS} }`);
    expect(list.map(({ id }) => id)).toEqual(ids);
    for (const { id, stats } of list) {
      expect(stats).toEqual(await bed.ask(`{ deliveryStats(${rest}endpointId: "${id}") { ${STATS} } }`, {}, tenant));
    }
    expect(list.map(({ stats }) => stats)).toMatchObject([
      { total: { published: 3, delivered: 3, failed: 0, successRatio: 1 }, waiting: 0 },
      { total: { published: 1, delivered: 0, failed: 1, successRatio: 0 }, waiting: 0 },
      { total: { published: 2, attempts: 0, durationMs: null }, waiting: 2 },
      { total: { published: 0 }, waiting: 0, oldestWaitingAt: null, endpoints: [] },
    ]);
  });

  it('are loaded for all endpoints of a list with one statement, and what waits with another', async () => {
    const read = (selection: string) =>
      watchStatements(() => readList(`stats { ${selection} }`)).then((names) =>
        names.filter((name) => /^read-(stats|waiting|endpoint-stats)/.test(name)),
      );
    expect(await read('total { delivered } buckets { delivered }')).toEqual(['read-stats-rows']);
    expect(await read(STATS)).toEqual(['read-stats-rows-with-durations', 'read-waiting']);
  });

  it('have their own window under each name', async () => {
    const [first] = await readList(
      'hour: stats { buckets { from } } day: stats(bucketSeconds: 3600) { buckets { from } total { delivered } }',
    );
    const { hour, day } = first as unknown as Record<'hour' | 'day', { buckets: object[]; total: object }>;
    expect([60, 61]).toContain(hour.buckets.length);
    expect([1, 2]).toContain(day.buckets.length);
    expect(day.total).toEqual({ delivered: 3 });
  });

  it('tell durations wherever these stand in the operation', async () => {
    const query = `query ($id: ID!) { endpoint(id: $id) { stats { ...History } } }
      fragment History on DeliveryStatsHistory { total { ... on DeliveryStats { ...Durations } } }
      fragment Durations on DeliveryStats { durationMs { p50 } }`;
    const { stats } = await bed.ask(query, { id: ids[0] }, tenant);
    expect(stats.total.durationMs.p50).toBeGreaterThanOrEqual(1);
  });

  it.each([
    ['from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z"', 'from must be before to'],
    ['bucketSeconds: 90', 'whole multiple of 60'],
    [`from: "${minutesAgo(47 * 60).toISOString()}", bucketSeconds: 60`, 'where 1440 are allowed'],
  ])('with %s are refused', async (args, message) => {
    const query = `{ endpoints { edges { node { stats(${args}) { waiting } } } } }`;
    const { errors } = await bed.graphql(query, {}, tenant);
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining(message),
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  it('are refused to a key that may not read deliveries', async () => {
    const key = await bed.createKey(tenant.environmentId, ['ENDPOINTS_MANAGE']);
    const { errors } = await bed.graphql('{ endpoints { edges { node { stats { waiting } } } } }', {}, { key });
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});

describe('their cost', () => {
  const LIST = (first: number, args: string) => `{ endpoints(first: ${first}) { edges { node { id
    stats${args} { buckets { delivered failed attempts } total { ${COUNT_FIELDS} successRatio } waiting }
    health { state failuresInARow failingSince waiting recent { attempts successRatio } } } } } }`;
  const day = (bucketSeconds: number) =>
    `(from: "${minutesAgo(1_439).toISOString()}", bucketSeconds: ${bucketSeconds})`;

  it.each([
    ['50 endpoints with sparklines of an hour', LIST(50, '(bucketSeconds: 120)')],
    ['50 endpoints with sparklines of a day', LIST(50, day(2_880))],
    ['100 endpoints with sparklines of a day by the hour', LIST(100, day(3_600))],
    ['5 endpoints with a day in minutes', LIST(5, day(60))],
  ])('lets a list have %s', async (_, query) => {
    expect((await bed.graphql(query, {}, tenant)).errors).toBeUndefined();
  });

  it('grows with the buckets: 50 endpoints with a day in minutes are refused', async () => {
    const { errors } = await bed.graphql(LIST(50, day(60)), {}, tenant);
    expect(errors).toMatchObject([
      {
        message: expect.stringMatching(/^This operation has complexity \d+, where 50000 is allowed\./),
        extensions: { code: 'COST_LIMIT_EXCEEDED' },
      },
    ]);
  });
});

describe('why a delivery can not be retried', () => {
  it('is read for all deliveries of a page with one statement', async () => {
    const query = '{ deliveries(first: 6) { edges { node { id notRetryableReason } } } }';
    const statements = await watchStatements(async () => {
      expect((await bed.ask(query, {}, tenant)).edges).toHaveLength(6);
    });
    expect(statements.filter((statement) => statement.includes('"public"."endpoints"'))).toHaveLength(1);
  });
});
