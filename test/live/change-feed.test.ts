import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ChangeFeed } from '../../src/live/change-feed.ts';
import { type ChangeCursor, decodeCursor } from '../../src/live/cursor.ts';
import { QUEUED_CHANGES_MAX } from '../../src/live/subscriber.ts';
import type { ChangeBatch, ChangeFilter } from '../../src/live/topic.ts';
import { createLog } from '../../src/log.ts';
import { migrateCompletely } from '../../src/storage/migrations/migrate-completely.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/posthorn.ts';

let database: TestDatabase;
let pool: pg.Pool;
let feed: ChangeFeed;
/** Statements that were made, by name. */
let queries: string[] = [];

/** The statement that is held back once, before it goes out. */
let heldName = '';
let held: Promise<void>;
let isHeld = false;

/** Holds back the next statement of a name. @returns what lets it go */
function holdNext(name: string): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  heldName = name;
  isHeld = false;
  held = promise;
  return resolve;
}

beforeAll(async () => {
  database = await createTestDatabase();
  await migrateCompletely(database.url, { log: createLog('silent') });
  pool = new pg.Pool({ connectionString: database.url, max: 3, application_name: 'test' });
});

beforeEach(async () => {
  queries = [];
  const query = async (config: pg.QueryConfig) => {
    queries.push(config.name ?? '');
    if (config.name === heldName) {
      heldName = '';
      isHeld = true;
      await held;
    }
    return pool.query(config);
  };
  feed = new ChangeFeed({
    pool: { query } as unknown as pg.Pool,
    log: createLog('silent'),
  });
  await feed.start();
});

afterEach(() => feed.stop());

afterAll(async () => {
  await pool.end();
  await database.drop();
});

interface InsertOptions {
  count: number;
  deliveryId?: string;
  changedAt?: Date;
}

/** Puts changes into the log, in one transaction, spread over some environments. */
async function insert(environmentIds: string[], { count, deliveryId, changedAt = new Date() }: InsertOptions) {
  await pool.query(
    `insert into delivery_changes (environment_id, delivery_id, event_id, endpoint_id, status, changed_at)
     select ($1::uuid[])[1 + n % cardinality($1)], coalesce($2, gen_random_uuid()), gen_random_uuid(),
       gen_random_uuid(), 'PENDING', $4
     from generate_series(1, $3::int) n order by n`,
    [environmentIds, deliveryId ?? null, count, changedAt],
  );
  feed.wake();
}

const cursorOf = (environmentId: string) => decodeCursor(feed.cursorOf(environmentId)) as ChangeCursor;

const open = (filter: ChangeFilter, after: ChangeCursor | null) =>
  feed.subscribe(filter, after) as Promise<AsyncIterableIterator<ChangeBatch>>;

async function take(iterator: AsyncIterableIterator<ChangeBatch>, count: number): Promise<ChangeBatch[]> {
  const batches: ChangeBatch[] = [];
  for (let told = 0; told < count; ) {
    const { value } = await iterator.next();
    batches.push(value);
    told += value.changes.length;
  }
  return batches;
}

const countOf = (batches: ChangeBatch[]) => batches.reduce((sum, { changes }) => sum + changes.length, 0);

/** Waits until the feed has passed everything in the log. */
async function untilPassed(environmentId: string) {
  const { rows } = await pool.query('select max(xid::text::bigint)::text as xid from delivery_changes');
  await until(() => cursorOf(environmentId).xid >= BigInt(rows[0].xid), 'the feed to go on');
}

describe('a batch', () => {
  it('is the same object for all subscribers who want the same, and its cursor for all of the environment', async () => {
    const environmentId = randomUUID();
    const after = cursorOf(environmentId);
    const filters: ChangeFilter[] = [
      { environmentId },
      { environmentId },
      { environmentId, statuses: ['PENDING', 'FAILED'] },
      { environmentId, statuses: ['FAILED', 'PENDING'] },
    ];
    const iterators = await Promise.all(filters.map((filter) => open(filter, after)));
    const first = iterators.map((iterator) => iterator.next());
    await insert([environmentId], { count: 3 });
    const [a, b, c, d] = (await Promise.all(first)).map(({ value }) => value as ChangeBatch);
    expect(a?.changes).toHaveLength(3);
    expect(b).toBe(a);
    expect(c).not.toBe(a);
    expect(d).toBe(c);
    expect(c?.cursor).toBe(a?.cursor);
    for (const iterator of iterators) await iterator.return?.();
  });

  it('has a cursor of its own environment where a round ends with a change of another', async () => {
    const environmentIds = [randomUUID(), randomUUID()];
    const iterators = await Promise.all(environmentIds.map((id) => open({ environmentId: id }, cursorOf(id))));
    const pending = iterators.map((iterator) => take(iterator, QUEUED_CHANGES_MAX / 2));
    await insert(environmentIds, { count: QUEUED_CHANGES_MAX });
    const told = await Promise.all(pending);
    for (const [index, batches] of told.entries()) {
      for (const { cursor } of batches) expect(decodeCursor(cursor)?.environmentId).toBe(environmentIds[index]);
    }
    for (const iterator of iterators) await iterator.return?.();
  });

  it('of a page that does not reach the end has a cursor as old as its last change', async () => {
    const environmentId = randomUUID();
    const after = cursorOf(environmentId);
    const changedAt = new Date(Date.now() - 3_600_000);
    await insert([environmentId], { count: 1_500, changedAt });
    await untilPassed(environmentId);
    const iterator = await open({ environmentId }, { ...after, at: changedAt });
    const batches = await take(iterator, 1_500);
    expect(decodeCursor(batches[0]?.cursor as string)?.at).toEqual(changedAt);
    expect(decodeCursor(batches.at(-1)?.cursor as string)?.at.getTime()).toBeGreaterThan(changedAt.getTime());
    await iterator.return?.();
  });

  it('that greets has the cursor that the subscriber came with', async () => {
    const environmentId = randomUUID();
    const after = { ...cursorOf(environmentId), at: new Date(Date.now() - 3_600_000) };
    const iterator = (await feed.subscribe({ environmentId }, after, { isGreeted: true }))[Symbol.asyncIterator]();
    const { value } = await iterator.next();
    expect(value.changes).toEqual([]);
    expect(decodeCursor(value.cursor)).toEqual(after);
    await iterator.return?.();
  });
});

describe('a subscriber who does not read', () => {
  it('is told everything once, from the table, when it reads on', async () => {
    const environmentId = randomUUID();
    const after = cursorOf(environmentId);
    const [slow, fast] = [await open({ environmentId }, after), await open({ environmentId }, after)];
    const [first, alsoFirst] = [slow.next(), fast.next()];
    await insert([environmentId], { count: 1 });
    expect((await first).value.changes).toHaveLength(1);
    expect((await alsoFirst).value.changes).toHaveLength(1);
    const rounds = 6;
    let told = 0;
    for (let round = 0; round < rounds; round += 1) {
      const next = take(fast, QUEUED_CHANGES_MAX / 2);
      await insert([environmentId], { count: QUEUED_CHANGES_MAX / 2 });
      told += countOf(await next);
    }
    expect(told).toBe((rounds * QUEUED_CHANGES_MAX) / 2);
    expect(queries).not.toContain('read-changes-between');
    const batches = await take(slow, told);
    expect(queries).toContain('read-changes-between');
    const ids = batches.flatMap(({ changes }) => changes.map(({ id }) => id));
    expect(ids).toHaveLength(told);
    expect(ids).toEqual(ids.toSorted((a, b) => Number(a - b)));
    expect(new Set(ids).size).toBe(told);
    for (const iterator of [slow, fast]) await iterator.return?.();
  });

  it('is ended with CURSOR_EXPIRED where it has fallen behind what is kept', async () => {
    const environmentId = randomUUID();
    const after = cursorOf(environmentId);
    await insert([environmentId], { count: 1_500, changedAt: new Date(Date.now() - 90_000_000) });
    await untilPassed(environmentId);
    const iterator = await open({ environmentId }, after);
    expect((await iterator.next()).value.changes).toHaveLength(1_000);
    await expect(iterator.next()).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
    await iterator.return?.();
  });

  it('shares the pages with others at the same place', async () => {
    const environmentId = randomUUID();
    const after = cursorOf(environmentId);
    await insert([environmentId], { count: 1_500 });
    await untilPassed(environmentId);
    const iterators = await Promise.all(Array.from({ length: 50 }, () => open({ environmentId }, after)));
    const told = await Promise.all(iterators.map((iterator) => take(iterator, 1_500)));
    for (const batches of told) expect(batches[0]).toBe(told[0]?.[0]);
    expect(queries.filter((name) => name === 'read-changes-between').length).toBeLessThan(10);
    for (const iterator of iterators) await iterator.return?.();
  });
});

describe('the feed', () => {
  it('tells one who joins while nobody listened and its head is looked for: what came meanwhile was lost', async () => {
    const environmentId = randomUUID();
    const after = cursorOf(environmentId);
    const release = holdNext('find-log-head');
    await until(() => isHeld, 'the look at the head');
    const iterator = await open({ environmentId }, after);
    const told = take(iterator, 1);
    await insert([environmentId], { count: 1 });
    release();
    expect(countOf(await told)).toBe(1);
    await iterator.return?.();
  });

  it('reads nothing for all while nobody listens, also after the last one left', async () => {
    const environmentId = randomUUID();
    const iterator = await open({ environmentId }, cursorOf(environmentId));
    const first = iterator.next();
    await insert([environmentId], { count: 1 });
    await first;
    await iterator.return?.();
    const before = queries.length;
    await insert([environmentId], { count: 1 });
    await until(() => queries.slice(before).includes('find-log-head'), 'the next look at the head');
    expect(queries.slice(before + 1)).not.toContain('read-settled-changes');
  });

  it('ends an iteration that waits, when it is told to', async () => {
    const environmentId = randomUUID();
    const iterator = await open({ environmentId }, null);
    const next = iterator.next();
    await iterator.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it('of a page whose readers have left forgets it, and reads it for the next one', async () => {
    const environmentId = randomUUID();
    const after = cursorOf(environmentId);
    await insert([environmentId], { count: 5 });
    await untilPassed(environmentId);
    const gone = await open({ environmentId }, after);
    const left = gone.next();
    await gone.return?.();
    await left;
    const iterator = await open({ environmentId }, after);
    expect(countOf(await take(iterator, 5))).toBe(5);
    await iterator.return?.();
  });
});
