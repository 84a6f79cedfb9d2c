import { v7 } from 'uuid';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeId, newId } from '../src/domain/ids.ts';
import { useTestBed } from './support/posthorn.ts';

const HOUR_MS = 3_600_000;
const ENVIRONMENT = '00000000-0000-7000-8000-000000000002';

/** Makes no attempts: rows stay as a test stores them. */
const bed = useTestBed({ role: 'api' });

beforeAll(() => bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: ['clock.event'] }));

afterEach(() => {
  vi.useRealTimers();
});

beforeEach(async () => {
  for (const table of ['delivery_attempts', 'deliveries', 'events']) await bed.database.query(`delete from ${table}`);
});

/** Sets the clock of this process, in which Posthorn runs too. */
const setClock = (aheadMs: number) => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + aheadMs });

type List = 'events' | 'deliveries' | 'deliveryAttempts';
type Filter = { createdAfter?: Date; createdBefore?: Date; statuses?: string[] };

const FILTERS = { events: 'EventFilter', deliveries: 'DeliveryFilter', deliveryAttempts: 'DeliveryAttemptFilter' };

/** All IDs of a list, read in pages of two, newest first. */
async function list(name: List, filter: Filter, direction: 'forward' | 'backward' = 'forward'): Promise<string[]> {
  const ids: string[] = [];
  const [size, key, end, more] =
    direction === 'forward'
      ? ['first', 'after', 'endCursor', 'hasNextPage']
      : ['last', 'before', 'startCursor', 'hasPreviousPage'];
  for (let cursor: string | null = null; ; ) {
    const page: { edges: { node: { id: string } }[]; pageInfo: Record<string, string> } = await bed.ask(
      `query ($filter: ${FILTERS[name]}, $cursor: String) { ${name}(filter: $filter, ${size}: 2, ${key}: $cursor) {
        edges { node { id } } pageInfo { ${end} ${more} } } }`,
      { filter, cursor },
    );
    const found = page.edges.map(({ node }) => node.id);
    if (direction === 'forward') ids.push(...found);
    else ids.unshift(...found);
    if (!page.pageInfo[more as string]) return ids;
    cursor = page.pageInfo[end as string] as string;
  }
}

const fromNow = (ms: number) => new Date(Date.now() + ms);

describe('after the clock was ahead and is corrected', () => {
  it('IDs carry the corrected time again', () => {
    setClock(HOUR_MS);
    const ahead = newId();
    vi.useRealTimers();
    const corrected = newId();
    expect(corrected < ahead).toBe(true);
    expect(Number.parseInt(corrected.replaceAll('-', '').slice(0, 12), 16)).toBeLessThanOrEqual(Date.now());
  });

  it('IDs still grow if the clock only wavers', () => {
    const before = newId();
    setClock(-500);
    expect(newId() > before).toBe(true);
  });

  it('time filters find new events and deliveries at once, and tell them from those of the future', async () => {
    setClock(HOUR_MS);
    const ahead = await bed.publish({ type: 'clock.event' });
    vi.useRealTimers();
    const later = [await bed.publish({ type: 'clock.event' }), await bed.publish({ type: 'clock.event' })];
    const newestFirst = later.map(({ id }) => id).reverse();
    expect(await list('events', { createdBefore: fromNow(1_000) })).toEqual(newestFirst);
    expect(await list('events', { createdAfter: fromNow(HOUR_MS / 2) })).toEqual([ahead.id]);
    expect(await list('events', { createdBefore: fromNow(1_000), statuses: ['PENDING'] })).toEqual(newestFirst);
    expect(await list('deliveries', { createdBefore: fromNow(1_000) })).toEqual(
      later.flatMap(({ deliveryIds }) => deliveryIds).reverse(),
    );
    expect(await list('deliveries', { createdAfter: fromNow(HOUR_MS / 2) })).toEqual(ahead.deliveryIds);
  });
});

describe('rows with IDs of the future', () => {
  /** Rows that were created in an hour of each of the last days, with IDs that are a day ahead of now, and others with true IDs. */
  async function insertRows() {
    const rows = Array.from({ length: 10 }, (_, index) => {
      const createdAt = fromNow(-(index + 1) * 5 * HOUR_MS);
      const isFuture = index % 2 === 0;
      return { id: v7({ msecs: (isFuture ? fromNow(24 * HOUR_MS - index) : createdAt).getTime() }), createdAt };
    });
    const ids = rows.map(({ id }) => id);
    const times = rows.map(({ createdAt }) => createdAt);
    const from = 'from unnest($1::uuid[], $2::timestamptz[]) as i(id, at), endpoints p';
    await bed.database.query(
      `insert into events (id, organization_id, environment_id, type, body, content_type, endpoint_count, created_at)
       select i.id, p.organization_id, p.environment_id, 'clock.event', 'null', 'application/json', 1, at ${from}`,
      [ids, times],
    );
    await bed.database.query(
      `insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, status, max_retries, created_at)
       select i.id, p.organization_id, p.environment_id, i.id, p.id, 'clock.event', 'FAILED', 9, at ${from}`,
      [ids, times],
    );
    await bed.database.query(
      `insert into delivery_attempts (id, organization_id, environment_id, delivery_id, event_id, endpoint_id, number, trigger,
         status, request_url, request_method, request_headers, request_body_size, created_at)
       select i.id, p.organization_id, p.environment_id, i.id, i.id, p.id, 1, 'INITIAL', 'FAILED', 'http://127.0.0.1:2/', 'POST',
         '{}', 4, at ${from}`,
      [ids, times],
    );
    return rows;
  }

  it.each([
    ['events', 'Event', 'forward'],
    ['events', 'Event', 'backward'],
    ['deliveries', 'Delivery', 'forward'],
    ['deliveries', 'Delivery', 'backward'],
    ['deliveryAttempts', 'DeliveryAttempt', 'forward'],
    ['deliveryAttempts', 'DeliveryAttempt', 'backward'],
  ] as const)(
    'are found by the time at which they were created: %s, as %s, paged %s',
    async (name, kind, direction) => {
      const rows = await insertRows();
      const filters = [
        { createdBefore: fromNow(-12 * HOUR_MS) },
        { createdAfter: fromNow(-22 * HOUR_MS) },
        { createdAfter: fromNow(-37 * HOUR_MS), createdBefore: fromNow(-12 * HOUR_MS) },
        { createdBefore: fromNow(0) },
      ];
      for (const { createdAfter = new Date(0), createdBefore = fromNow(HOUR_MS) } of filters) {
        const expected = rows.filter(({ createdAt }) => createdAt > createdAfter && createdAt < createdBefore);
        const ids = expected.map(({ id }) => id).sort((a, b) => (a < b ? 1 : -1));
        expect(await list(name, { createdAfter, createdBefore }, direction)).toEqual(
          ids.map((id) => encodeId(kind, id)),
        );
      }
    },
  );

  it('are counted, and retried in bulk, by the time at which they were created', async () => {
    await insertRows();
    const filter = { createdBefore: fromNow(-22 * HOUR_MS) };
    expect(await bed.ask('query ($filter: DeliveryFilter) { deliveryCount(filter: $filter) }', { filter })).toBe(6);
    const retry = `mutation ($filter: DeliveryFilter!, $after: String) { retryDeliveries(input: { filter: $filter, first: 2, after: $after }) {
      ... on RetryDeliveriesPayload { retriedCount endCursor hasNextPage } } }`;
    let retried = 0;
    for (let after: string | null = null, hasNextPage = true; hasNextPage; ) {
      const page: { retriedCount: number; endCursor: string; hasNextPage: boolean } = await bed.ask(retry, {
        filter,
        after,
      });
      retried += page.retriedCount;
      ({ endCursor: after, hasNextPage } = page);
    }
    expect(retried).toBe(6);
    const [row] = await bed.database.query(
      `select count(*)::int as count from deliveries where status = 'PENDING' and environment_id = $1 and created_at < $2`,
      [ENVIRONMENT, filter.createdBefore],
    );
    expect(row).toEqual({ count: 6 });
  });
});
