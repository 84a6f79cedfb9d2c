import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { ChangeFeed } from '../src/live/change-feed.ts';
import { decodeCursor, encodeCursor } from '../src/live/cursor.ts';
import { createLog } from '../src/log.ts';
import { Signals } from '../src/storage/signals.ts';
import { type FollowOptions, findFeedError, useFollowing } from './support/following.ts';
import { type Tenant, until, useTestBed } from './support/posthorn.ts';
import { type ReceiverAnswer, useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

/** Of the first organization's `production`, where the operator's key acts. */
const ENVIRONMENT_ID = '00000000-0000-7000-8000-000000000002';
const DAY_MS = 86_400_000;

interface Change {
  status: string;
  previousStatus: string | null;
  changedAt: string;
  delivery: { id: string; event: { id: string }; endpoint: { id: string } };
  attempt: { number: number; trigger: string; status: string } | null;
}

interface Batch {
  changes: Change[];
  cursor: string;
}

interface FeedOptions extends Omit<FollowOptions, 'query' | 'variables'> {
  /** @default everything that {@link Change} has */
  fields?: string;
  filter?: Record<string, unknown>;
  after?: string;
}

const ALL_FIELDS = `status previousStatus changedAt delivery { id event { id } endpoint { id } }
  attempt { number trigger status }`;

const toOperation = ({ fields = ALL_FIELDS, filter, after, ...options }: FeedOptions): FollowOptions => ({
  ...options,
  query: `subscription ($filter: DeliveryChangeFilter, $after: String) {
    deliveryChanges(filter: $filter, after: $after) { cursor changes { ${fields} } } }`,
  variables: { filter, after },
});

const { follow: followAny } = useFollowing(bed);
const followWebsocket = (options: FeedOptions) => followAny<Batch>('WebSocket', toOperation(options));
const followSse = (options: FeedOptions) => followAny<Batch>('SSE', toOperation(options));

type Follow = (options: FeedOptions) => AsyncGenerator<Batch>;

/** Follows a feed until it has told of so many changes. */
async function collect(feed: AsyncGenerator<Batch>, count: number): Promise<Change[]> {
  const changes: Change[] = [];
  for await (const batch of feed) {
    changes.push(...batch.changes);
    if (changes.length >= count) break;
  }
  return changes;
}

/** The code that a feed ends with. */
const findEnd = async (feed: AsyncGenerator<Batch>) => (await findFeedError(feed))?.code;

/** A cursor behind everything that is settled now: what is published from here on comes after it. */
async function cursorOfNow(environmentId = ENVIRONMENT_ID): Promise<string> {
  const [row] = await bed.database.query<{ xid: string }>(
    'select pg_snapshot_xmin(pg_current_snapshot())::text as xid',
  );
  return encodeCursor({ environmentId, xid: BigInt(row?.xid ?? 0), id: 0n, at: new Date() });
}

let count = 0;

/** An endpoint that gets events of a type of its own. */
async function createTarget(input: Record<string, unknown> = {}) {
  count += 1;
  const path = `/target-${count}`;
  const type = `target-${count}.happened`;
  const { id } = await bed.createEndpoint({ url: receiver.url(path), eventTypes: [type], ...input });
  return { id, path, type };
}

/** The log itself, in commit order: what a feed must tell of an endpoint, to the letter. */
async function readLog(endpointId: string): Promise<string[]> {
  const rows = await bed.database.query<{ delivery: string; status: string }>(
    `select delivery_id::text as delivery, status::text from delivery_changes where endpoint_id = $1 order by xid, id`,
    [decodeId('Endpoint', endpointId)],
  );
  return rows.map(({ delivery, status }) => `${delivery} ${status}`);
}

const toLogLine = ({ delivery, status }: Change) => `${decodeId('Delivery', delivery.id)} ${status}`;

describe.each<[string, Follow]>([
  ['WebSocket', followWebsocket],
  ['SSE', followSse],
])('deliveryChanges over %s', (_, follow) => {
  it('tells every change of a delivery in order, with what it changed and the attempt behind it', async () => {
    const target = await createTarget({ retryPolicy: { maxRetries: 1, delaysSeconds: [1], jitter: 0 } });
    receiver.answer = () => ({ status: receiver.to(target.path).length === 1 ? 500 : 200 });
    const after = await cursorOfNow();
    const { id, deliveryIds } = await bed.publish({ type: target.type });
    const changes = await collect(follow({ after, filter: { endpointId: target.id } }), 4);
    const delivery = { id: deliveryIds[0], event: { id }, endpoint: { id: target.id } };
    const changedAt = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const first = { number: 1, trigger: 'INITIAL', status: 'FAILED' };
    const second = { number: 2, trigger: 'RETRY', status: 'SUCCEEDED' };
    expect(changes).toEqual([
      { delivery, previousStatus: null, status: 'PENDING', attempt: null, changedAt },
      { delivery, previousStatus: 'PENDING', status: 'RETRYING', attempt: first, changedAt },
      { delivery, previousStatus: 'RETRYING', status: 'PENDING', attempt: null, changedAt },
      { delivery, previousStatus: 'PENDING', status: 'DELIVERED', attempt: second, changedAt },
    ]);
  });

  it('tells of an attempt that ends after its delivery was canceled', async () => {
    let answer: (value: ReceiverAnswer) => void = () => {};
    receiver.answer = () => new Promise((resolve) => (answer = resolve));
    const target = await createTarget();
    const after = await cursorOfNow();
    const { deliveryIds } = await bed.publish({ type: target.type });
    await receiver.waitFor(1, target.path);
    const cancel = 'mutation ($id: ID!) { cancelDelivery(input: { deliveryId: $id }) { __typename } }';
    await bed.ask(cancel, { id: deliveryIds[0] });
    answer({ status: 200 });
    const changes = await collect(follow({ after, filter: { endpointId: target.id } }), 3);
    expect(changes.map(({ previousStatus, status, attempt }) => [previousStatus, status, attempt?.number])).toEqual([
      [null, 'PENDING', undefined],
      ['PENDING', 'CANCELED', undefined],
      ['CANCELED', 'CANCELED', 1],
    ]);
  });

  it('without a cursor begins now: earlier changes are not told', async () => {
    const target = await createTarget();
    const earlier = await bed.publish({ type: target.type });
    await bed.waitForStatus(earlier.deliveryIds[0] as string, 'DELIVERED');
    await until(async () => {
      const sql = 'select max(xid) < pg_snapshot_xmin(pg_current_snapshot()) as settled from delivery_changes';
      return (await bed.database.query(sql))[0]?.settled;
    }, 'the earlier changes to be settled');
    const feed = follow({ filter: { endpointId: target.id } });
    const first = feed.next();
    let isTold = false;
    first.then(() => {
      isTold = true;
    });
    // Nothing says that a subscription is open but the first change that it tells.
    await until(async () => {
      await bed.publish({ type: target.type });
      return isTold;
    }, 'the first change');
    const { value } = await first;
    expect(value.changes[0].delivery.id).not.toBe(earlier.deliveryIds[0]);
    expect(value.changes[0].previousStatus === null || value.changes[0].status === 'DELIVERED').toBe(true);
    await feed.return(undefined);
  });

  it('tells only what fits the filter', async () => {
    const [wanted, other] = [await createTarget(), await createTarget()];
    const after = await cursorOfNow();
    const events = [];
    for (const { type } of [wanted, other, wanted, other]) events.push(await bed.publish({ type }));
    for (const { deliveryIds } of events) await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
    const [first, second] = [events[0], events[2]] as [(typeof events)[0], (typeof events)[0]];
    /** Follows to the change that comes last, so that what must not come would have come before. */
    const followTo = async (filter: Record<string, unknown>, count: number) => {
      const changes = await collect(follow({ after, filter }), count);
      return changes.map(({ delivery, status }) => `${delivery.id} ${status}`).sort();
    };
    const linesOf = (deliveryId: string | undefined, ...statuses: string[]) =>
      statuses.map((status) => `${deliveryId} ${status}`);
    const both = ['DELIVERED', 'PENDING'];
    expect(await followTo({ eventId: first.id }, 2)).toEqual(linesOf(first.deliveryIds[0], ...both));
    expect(await followTo({ deliveryId: second.deliveryIds[0] }, 2)).toEqual(linesOf(second.deliveryIds[0], ...both));
    expect(await followTo({ endpointId: wanted.id }, 4)).toEqual(
      [...linesOf(first.deliveryIds[0], ...both), ...linesOf(second.deliveryIds[0], ...both)].sort(),
    );
    expect(await followTo({ endpointId: wanted.id, statuses: ['DELIVERED'] }, 2)).toEqual(
      [...linesOf(first.deliveryIds[0], 'DELIVERED'), ...linesOf(second.deliveryIds[0], 'DELIVERED')].sort(),
    );
    expect(await followTo({ eventId: second.id, endpointId: wanted.id, statuses: ['DELIVERED', 'FAILED'] }, 1)).toEqual(
      linesOf(second.deliveryIds[0], 'DELIVERED'),
    );
  });

  it('behind a cursor goes on with no gap and no repeat, however often a client is cut off', async () => {
    const target = await createTarget();
    let after = await cursorOfNow();
    const eventCount = 150;
    const publishing = (async () => {
      for (let left = eventCount; left > 0; left -= 5) {
        await Promise.all(Array.from({ length: 5 }, () => bed.publish({ type: target.type })));
      }
    })();
    const received: string[] = [];
    let cuts = 0;
    while (received.length < 2 * eventCount) {
      let batchesLeft = 1 + Math.floor(Math.random() * 4);
      for await (const { changes, cursor } of follow({ after, filter: { endpointId: target.id } })) {
        received.push(...changes.map(toLogLine));
        after = cursor;
        batchesLeft -= 1;
        if (batchesLeft === 0 || received.length >= 2 * eventCount) break;
      }
      cuts += 1;
    }
    await publishing;
    expect(received).toEqual(await readLog(target.id));
    expect(cuts).toBeGreaterThan(1);
  });

  it("tells nothing of another tenant, and refuses another tenant's cursor", async () => {
    const [mine, theirs] = [await bed.createTenant('mine'), await bed.createTenant('theirs')];
    const cursorOf = ({ environmentId }: Tenant) => cursorOfNow(decodeId('Environment', environmentId) as string);
    const after = await cursorOf(mine);
    for (const { key } of [theirs, mine]) {
      await bed.createEndpoint({ url: receiver.url('/tenant') }, { key });
      await bed.publish({ type: 'tenant.told' }, { key });
    }
    const { deliveryIds } = await bed.publish({ type: 'tenant.told' }, { key: mine.key });
    const changes = await collect(follow({ after, key: mine.key }), 4);
    const ids = new Set(changes.map(({ delivery }) => delivery.id));
    expect(ids.size).toBe(2);
    expect(ids).toContain(deliveryIds[0]);
    const filter = { deliveryId: deliveryIds[0] };
    expect(await findEnd(follow({ after, key: theirs.key, filter }))).toBe('BAD_USER_INPUT');
  });

  it.each([
    ['no cursor at all', 'nonsense'],
    ['empty', ''],
    [
      'a cursor that was cut',
      encodeCursor({ environmentId: ENVIRONMENT_ID, xid: 1n, id: 1n, at: new Date() }).slice(0, 30),
    ],
  ])('ends with BAD_USER_INPUT where the cursor is %s', async (_, after) => {
    expect(await findEnd(follow({ after }))).toBe('BAD_USER_INPUT');
  });

  it('ends with CURSOR_EXPIRED where the cursor is older than the changes that are kept', async () => {
    const at = (ageMs: number) =>
      encodeCursor({ environmentId: ENVIRONMENT_ID, xid: 1n, id: 1n, at: new Date(Date.now() - ageMs) });
    expect(await findEnd(follow({ after: at(DAY_MS + 1_000) }))).toBe('CURSOR_EXPIRED');
    const target = await createTarget();
    await bed.publish({ type: target.type });
    expect(await collect(follow({ after: at(DAY_MS - 60_000) }), 1)).not.toEqual([]);
  });

  it('ends with BAD_USER_INPUT where a filter names what is no such ID', async () => {
    const target = await createTarget();
    for (const filter of [{ eventId: 'nonsense' }, { deliveryId: target.id }, { statuses: ['LOST'] }]) {
      expect(await findEnd(follow({ filter }))).toBe('BAD_USER_INPUT');
    }
  });

  it('ends with FORBIDDEN where the key may not read deliveries', async () => {
    const tenant = await bed.createTenant('scopes', ['EVENTS_PUBLISH', 'ENDPOINTS_MANAGE', 'DELIVERIES_RETRY']);
    expect(await findEnd(follow({ key: tenant.key }))).toBe('FORBIDDEN');
  });

  it('of two processes on one database tells every change in both, whoever made it', async () => {
    const other = await bed.startProcess({ role: 'api' });
    const target = await createTarget();
    const after = await cursorOfNow();
    const filter = { endpointId: target.id };
    const following = [bed.url, other.url].map((url) => collect(follow({ after, filter, url }), 20));
    for (let index = 0; index < 10; index += 1) {
      await bed.publish({ type: target.type }, { url: index % 2 === 0 ? bed.url : other.url });
    }
    const [here, there] = await Promise.all(following);
    expect(here?.map(toLogLine)).toEqual(await readLog(target.id));
    expect(there).toEqual(here);
    await other.stop();
  });

  it('ends when the server stops', async () => {
    const other = await bed.startProcess({ role: 'api' });
    const target = await createTarget();
    const after = await cursorOfNow();
    const feed = follow({ after, filter: { endpointId: target.id }, url: other.url });
    await bed.publish({ type: target.type });
    await feed.next();
    const ended = (async () => {
      for await (const _ of feed);
    })().then(
      () => 'ended',
      () => 'ended',
    );
    await other.stop();
    expect(await ended).toBe('ended');
  });
});

describe('a wrong key', () => {
  it.each([
    ['unknown', 'phk_nobody-has-this-key-0123456789'],
    ['missing', null],
  ])('that is %s closes a WebSocket with 4403 and answers SSE with 401', async (_, key) => {
    expect(await findEnd(followWebsocket({ key }))).toBe(4403);
    expect(await findFeedError(followSse({ key }))).toMatchObject({ code: 'UNAUTHENTICATED', status: 401 });
  });
});

describe('the change log', () => {
  const INSERT = `insert into delivery_changes (environment_id, delivery_id, event_id, endpoint_id, status, changed_at)
    values ($1, $2, $3, $3, 'PENDING', $4)`;

  async function connect() {
    const client = new pg.Client({ connectionString: bed.database.url, application_name: 'test' });
    await client.connect();
    return client;
  }

  it('is told without a gap where writers hold their transactions open and commit out of order', async () => {
    const tenant = await bed.createTenant('writers');
    const environmentId = decodeId('Environment', tenant.environmentId) as string;
    const endpointId = randomUUID();
    const [writers, transactions, start] = [8, 20, Date.now()];
    let after = await cursorOfNow(environmentId);
    let written = 0;
    let isWriting = true;
    const insert = (client: pg.Client) => {
      written += 1;
      return client.query(INSERT, [environmentId, randomUUID(), endpointId, new Date(start + written)]);
    };
    const write = async () => {
      const client = await connect();
      for (let left = transactions; left > 0; left -= 1) {
        await client.query('begin');
        await insert(client);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
        await insert(client);
        await client.query('commit');
      }
      await client.end();
    };
    const writing = Promise.all(Array.from({ length: writers }, write)).finally(() => {
      isWriting = false;
    });
    const received: string[] = [];
    const isDone = () => !isWriting && received.length >= written;
    while (!isDone()) {
      let batchesLeft = 1 + Math.floor(Math.random() * 10);
      const options = { after, key: tenant.key, fields: 'status changedAt' };
      for await (const { changes, cursor } of followSse(options)) {
        received.push(...changes.map(({ changedAt }) => changedAt));
        after = cursor;
        batchesLeft -= 1;
        if (batchesLeft === 0 || received.length >= writers * transactions * 2) break;
      }
    }
    await writing;
    const rows = await bed.database.query<{ at: Date }>(
      'select changed_at as at from delivery_changes where endpoint_id = $1 order by xid, id',
      [endpointId],
    );
    expect(received).toEqual(rows.map(({ at }) => at.toISOString()));
    expect(received).toHaveLength(writers * transactions * 2);
  });

  it('is not told of while it may still be overtaken by an older transaction', async () => {
    const tenant = await bed.createTenant('overtaken');
    const environmentId = decodeId('Environment', tenant.environmentId) as string;
    const endpointId = randomUUID();
    const [older, newer] = [await connect(), await connect()];
    const after = await cursorOfNow(environmentId);
    const [first, second] = [new Date(Date.now() + 1), new Date(Date.now() + 2)];
    await older.query('begin');
    await older.query(INSERT, [environmentId, randomUUID(), endpointId, first]);
    await newer.query(INSERT, [environmentId, randomUUID(), endpointId, second]);
    const feed = collect(followWebsocket({ after, key: tenant.key, fields: 'status changedAt' }), 2);
    await older.query('commit');
    expect((await feed).map(({ changedAt }) => changedAt)).toEqual([first.toISOString(), second.toISOString()]);
    await Promise.all([older.end(), newer.end()]);
  });

  it('is told in full to a subscriber who is further behind than a process keeps at hand', async () => {
    const tenant = await bed.createTenant('behind');
    const environmentId = decodeId('Environment', tenant.environmentId) as string;
    const after = await cursorOfNow(environmentId);
    const endpointId = randomUUID();
    const fields = 'status changedAt';
    // Somebody who listens all the time makes the process keep what is newest.
    const listening = collect(followWebsocket({ after, key: tenant.key, fields }), 12_000);
    await bed.database.query(
      `insert into delivery_changes (environment_id, delivery_id, event_id, endpoint_id, status, changed_at)
       select $1, gen_random_uuid(), $2, $2, 'PENDING', now() + n * interval '1 ms' from generate_series(1, 12000) n`,
      [environmentId, endpointId],
    );
    const told = await listening;
    const late = await collect(followSse({ after, key: tenant.key, fields }), 12_000);
    expect(late).toEqual(told);
    expect(new Set(told.map(({ changedAt }) => changedAt)).size).toBe(12_000);
    expect(told.map(({ changedAt }) => changedAt)).toEqual(told.map(({ changedAt }) => changedAt).toSorted());
  });

  it('is told to a subscriber who joins in the middle of a read', async () => {
    const pool = new pg.Pool({ connectionString: bed.database.url, max: 3, application_name: 'test' });
    let goOn: () => void = () => {};
    let isHeld = false;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    /** Holds back the first read for all subscribers that brings something. */
    const query = async (config: pg.QueryConfig) => {
      const result = await pool.query(config);
      if (config.name === 'read-settled-changes' && result.rows.some((row) => row.id !== null) && !isHeld) {
        isHeld = true;
        await held;
      }
      return result;
    };
    const feed = new ChangeFeed({
      pool: { query } as unknown as pg.Pool,
      log: createLog('silent'),
    });
    await feed.start();
    const after = decodeCursor(await cursorOfNow());
    const environmentId = randomUUID();
    const open = async () => (await feed.subscribe({ environmentId }, after))[Symbol.asyncIterator]();
    const first = await open();
    first.next().catch(() => {});
    await until(async () => {
      await pool.query(INSERT, [environmentId, randomUUID(), randomUUID(), new Date()]);
      feed.wake();
      return isHeld;
    }, 'a read that brings something');
    await first.return?.();
    const second = await open();
    let batch: { changes: unknown[] } | undefined;
    second.next().then(({ value }) => {
      batch = value;
    });
    goOn();
    try {
      await until(() => batch, 'the second subscriber to be told');
      expect(batch?.changes.length).toBeGreaterThan(0);
    } finally {
      await second.return?.();
      await feed.stop();
      await pool.end();
    }
  });
});

describe('signals', () => {
  it('reach another process even where it has the same process ID, as in containers', async () => {
    const pool = new pg.Pool({ connectionString: bed.database.url, max: 2, application_name: 'test' });
    const options = { databaseUrl: bed.database.url, pool, log: createLog('silent') };
    const [here, there] = [new Signals(options), new Signals(options)];
    await here.start();
    await there.start();
    let isWoken = false;
    there.on('posthorn_changes', () => {
      isWoken = true;
    });
    try {
      here.send('posthorn_changes');
      await until(() => isWoken, 'the other process to be woken');
    } finally {
      await Promise.all([here.stop(), there.stop()]);
      await pool.end();
    }
  });
});
