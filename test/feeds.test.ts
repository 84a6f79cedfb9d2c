import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeId, encodeId } from '../src/domain/ids.ts';
import { decodeCursor, encodeCursor } from '../src/live/cursor.ts';
import {
  type FeedError,
  type Followed,
  type FollowOptions,
  findFeedError,
  type Transport,
  useFollowing,
} from './support/following.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();
const { follow } = useFollowing(bed);

const DEFAULT_ENVIRONMENT = '00000000-0000-7000-8000-000000000002';

interface Batch {
  cursor: string;
  changes: { status: string; previousStatus: string | null; changedAt: string; delivery: { id: string } }[];
  event?: { id: string; status: string; deliveries: { edges: { node: { id: string; status: string } }[] } };
}

const CHANGES = `subscription ($filter: DeliveryChangeFilter, $after: String, $coalesceMs: Int) {
  deliveryChanges(filter: $filter, after: $after, coalesceMs: $coalesceMs) {
    cursor changes { status previousStatus delivery { id } } } }`;

const EVENT = `subscription ($eventId: ID!, $after: String) { eventChanges(eventId: $eventId, after: $after) {
  cursor event { id status deliveries { edges { node { id status } } } }
  changes { status previousStatus delivery { id } } } }`;

const readCursor = (): Promise<string> => bed.ask('{ liveCursor }');

let count = 0;

/** An endpoint that gets events of a type of its own. */
async function createTarget(input: Record<string, unknown> = {}) {
  count += 1;
  const path = `/feeds-${count}`;
  const type = `feeds-${count}.happened`;
  const { id } = await bed.createEndpoint({ url: receiver.url(path), eventTypes: [type], ...input });
  return { id, path, type };
}

/** Follows until so many changes are told. */
async function collect(feed: AsyncGenerator<Followed<Batch>>, changes: number): Promise<Batch['changes']> {
  const told: Batch['changes'] = [];
  for await (const batch of feed) {
    told.push(...batch.changes);
    if (told.length >= changes) break;
  }
  return told;
}

const findFault = (transport: Transport, options: FollowOptions) => findFeedError(follow<Batch>(transport, options));

const messageOf = (fault: FeedError | null) => fault?.errors[0]?.message;

describe('liveCursor', () => {
  it('leads from a list to a feed that tells whatever the list does not show', async () => {
    const target = await createTarget();
    const shown = await bed.publish({ type: target.type });
    await bed.waitForStatus(shown.deliveryIds[0] as string, 'DELIVERED');
    let isDone = false;
    const publishing = (async () => {
      const ids = [];
      for (let left = 40; left > 0; left -= 1) ids.push((await bed.publish({ type: target.type })).deliveryIds[0]);
      isDone = true;
      return ids;
    })();
    const filter = { endpointId: target.id };
    const query = `query ($filter: DeliveryFilter) { deliveries(first: 100, filter: $filter) { edges { node { id status } } }
      liveCursor }`;
    const pages: { listed: Map<string, string>; after: string }[] = [];
    while (!isDone) {
      const { data } = await bed.graphql(query, { filter });
      const nodes: { id: string; status: string }[] = data.deliveries.edges.map(({ node }: { node: unknown }) => node);
      pages.push({ listed: new Map(nodes.map(({ id, status }) => [id, status])), after: data.liveCursor });
    }
    const ids = await publishing;
    for (const id of ids) await bed.waitForStatus(id as string, 'DELIVERED');
    expect(pages.length).toBeGreaterThan(2);
    for (const { listed, after } of pages) {
      const missing = new Set(ids.filter((id) => listed.get(id as string) !== 'DELIVERED'));
      if (missing.size === 0) continue;
      for await (const { changes } of follow<Batch>('WebSocket', { query: CHANGES, variables: { filter, after } })) {
        for (const { delivery, status } of changes) if (status === 'DELIVERED') missing.delete(delivery.id);
        if (missing.size === 0) break;
      }
      expect(missing.size).toBe(0);
    }
  });

  it('is at most seconds old, and belongs to the environment of the key', async () => {
    const cursor = decodeCursor(await readCursor());
    expect(cursor?.environmentId).toBe(DEFAULT_ENVIRONMENT);
    expect(Date.now() - (cursor?.at.getTime() ?? 0)).toBeLessThan(10_000);
    const tenant = await bed.createTenant('cursors');
    const after = await bed.ask('{ liveCursor }', {}, tenant);
    expect((await findFault('WebSocket', { query: CHANGES, variables: { after } }))?.code).toBe('BAD_USER_INPUT');
  });

  it('moves on without anybody who follows', async () => {
    const target = await createTarget();
    const first = decodeCursor(await readCursor());
    await until(async () => {
      await bed.publish({ type: target.type });
      return (decodeCursor(await readCursor())?.xid ?? 0n) > (first?.xid ?? 0n);
    }, 'the cursor to move');
  });
});

describe.each<[Transport]>([['WebSocket'], ['SSE']])('over %s', (transport) => {
  it('eventChanges tells the event at once as it is, and again at each change of its deliveries', async () => {
    const target = await createTarget();
    let answer: () => void = () => {};
    receiver.answer = () => new Promise((resolve) => (answer = () => resolve({})));
    const { id, deliveryIds } = await bed.publish({ type: target.type });
    await receiver.waitFor(1, target.path);
    const feed = follow<Batch>(transport, { query: EVENT, variables: { eventId: id } });
    const { value: first } = await feed.next();
    expect(first.changes.length).toBe(0);
    expect(first.event).toEqual({
      id,
      status: 'PENDING',
      deliveries: { edges: [{ node: { id: deliveryIds[0], status: 'PENDING' } }] },
    });
    answer();
    const { value: second } = await feed.next();
    expect(second.event).toMatchObject({ status: 'DELIVERED' });
    expect(second.changes).toEqual([
      { previousStatus: 'PENDING', status: 'DELIVERED', delivery: { id: deliveryIds[0] } },
    ]);
    await feed.return(undefined);
    const resumed = follow<Batch>(transport, { query: EVENT, variables: { eventId: id, after: first.cursor } });
    expect((await resumed.next()).value).toMatchObject({ cursor: first.cursor, changes: [] });
    expect((await resumed.next()).value.changes).toEqual(second.changes);
    await resumed.return(undefined);
  });

  it('with coalesceMs tells only the latest change of each delivery, and its cursor skips the others', async () => {
    const target = await createTarget();
    const after = await readCursor();
    const ids: string[] = [];
    for (let left = 5; left > 0; left -= 1) ids.push(...(await bed.publish({ type: target.type })).deliveryIds);
    for (const id of ids) await bed.waitForStatus(id, 'DELIVERED');
    const filter = { endpointId: target.id };
    const variables = { filter, after, coalesceMs: 60_000 };
    // Behind a cursor from before, all of it is one page of the table.
    const feed = follow<Batch>(transport, { query: CHANGES, variables });
    const { value } = await feed.next();
    expect(value.changes.map(({ status }: { status: string }) => status)).toEqual(Array(5).fill('DELIVERED'));
    expect(new Set(value.changes.map(({ delivery }: Batch['changes'][0]) => delivery.id))).toEqual(new Set(ids));
    await feed.return(undefined);
    const last = await bed.publish({ type: target.type });
    const next = collect(follow<Batch>(transport, { query: CHANGES, variables: { filter, after: value.cursor } }), 2);
    expect((await next).map(({ delivery }) => delivery.id)).toEqual(Array(2).fill(last.deliveryIds[0]));
  });

  it('with coalesceMs tells a live change within the window, and many as the latest of each', async () => {
    const target = await createTarget();
    const filter = { endpointId: target.id };
    const feed = follow<Batch>(transport, {
      query: CHANGES,
      variables: { filter, after: await readCursor(), coalesceMs: 200 },
    });
    const ids = new Set<string>();
    for (let left = 20; left > 0; left -= 1)
      ids.add((await bed.publish({ type: target.type })).deliveryIds[0] as string);
    const latest = new Map<string, string>();
    for await (const { changes } of feed) {
      expect(new Set(changes.map(({ delivery }) => delivery.id)).size).toBe(changes.length);
      for (const { delivery, status } of changes) latest.set(delivery.id, status);
      if ([...ids].every((id) => latest.get(id) === 'DELIVERED')) break;
    }
    expect(latest.size).toBe(20);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['an event that is not there', { filter: { eventId: encodeId('Event', randomUUID()) } }, 'filter.eventId'],
    ['an endpoint that is not there', { filter: { endpointId: encodeId('Endpoint', randomUUID()) } }, 'endpointId'],
    ['a delivery that is not there', { filter: { deliveryId: encodeId('Delivery', randomUUID()) } }, 'deliveryId'],
    ['no status at all', { filter: { statuses: [] } }, 'at least one'],
    ['a window that is too short', { coalesceMs: 99 }, 'from 100 to 60000'],
    ['a window that is too long', { coalesceMs: 60_001 }, 'from 100 to 60000'],
    [
      'a cursor of a place that the database has not reached',
      { after: encodeCursor({ environmentId: DEFAULT_ENVIRONMENT, xid: 2n ** 60n, id: 1n, at: new Date() }) },
      'no cursor',
    ],
  ])('deliveryChanges refuses %s with BAD_USER_INPUT', async (_, variables, message) => {
    const fault = await findFault(transport, { query: CHANGES, variables });
    expect(fault?.code).toBe('BAD_USER_INPUT');
    expect(messageOf(fault)).toContain(message);
  });

  it("does not follow what is another tenant's", async () => {
    const [mine, theirs] = [await bed.createTenant(`a ${transport}`), await bed.createTenant(`b ${transport}`)];
    const endpoint = await bed.createEndpoint({ url: receiver.url('/mine') }, mine);
    const { id, deliveryIds } = await bed.publish({}, mine);
    for (const filter of [{ eventId: id }, { endpointId: endpoint.id }, { deliveryId: deliveryIds[0] }]) {
      const fault = await findFault(transport, { query: CHANGES, variables: { filter }, key: theirs.key });
      expect(fault?.code).toBe('BAD_USER_INPUT');
    }
    const fault = await findFault(transport, { query: EVENT, variables: { eventId: id }, key: theirs.key });
    expect(fault?.code).toBe('BAD_USER_INPUT');
    const feed = follow<Batch>(transport, { query: EVENT, variables: { eventId: id }, key: mine.key });
    expect((await feed.next()).value.event.id).toBe(id);
    await feed.return(undefined);
  });

  it('an expired cursor says to read the list and subscribe anew', async () => {
    const at = new Date(Date.now() - 86_500_000);
    const after = encodeCursor({ environmentId: DEFAULT_ENVIRONMENT, xid: 1n, id: 1n, at });
    const fault = await findFault(transport, { query: CHANGES, variables: { after } });
    expect(fault?.code).toBe('CURSOR_EXPIRED');
    expect(messageOf(fault)).toMatch(/Read the list .* subscribe/);
  });
});

describe('server-sent events', () => {
  it('carry the cursor as their ID, selected or not, and Last-Event-ID goes before after', async () => {
    const target = await createTarget();
    const filter = { endpointId: target.id };
    const start = await readCursor();
    const query = `subscription ($filter: DeliveryChangeFilter, $after: String) {
      deliveryChanges(filter: $filter, after: $after) { changes { status delivery { id } } } }`;
    const first = await bed.publish({ type: target.type });
    await bed.waitForStatus(first.deliveryIds[0] as string, 'DELIVERED');
    const feed = follow<Batch>('SSE', { query, variables: { filter, after: start } });
    let lastEventId = '';
    let told = 0;
    while (told < 2) {
      const { value } = await feed.next();
      told += value.changes.length;
      lastEventId = value.eventId;
    }
    await feed.return(undefined);
    expect(decodeCursor(lastEventId)?.environmentId).toBe(DEFAULT_ENVIRONMENT);
    const second = await bed.publish({ type: target.type });
    const resumed = follow<Batch>('SSE', {
      query,
      variables: { filter, after: start },
      headers: { 'last-event-id': lastEventId },
    });
    const changes = await collect(resumed, 2);
    expect(changes.map(({ delivery }) => delivery.id)).toEqual(Array(2).fill(second.deliveryIds[0]));
  });

  it('with a Last-Event-ID that is no cursor end with BAD_USER_INPUT', async () => {
    const fault = await findFault('SSE', { query: CHANGES, headers: { 'last-event-id': 'nonsense' } });
    expect(fault?.code).toBe('BAD_USER_INPUT');
  });

  it('are opened by GET too, as EventSource does', async () => {
    const target = await createTarget();
    const variables = JSON.stringify({ filter: { endpointId: target.id }, after: await readCursor() });
    const url = `${bed.url}/graphql?${new URLSearchParams({ query: CHANGES, variables })}`;
    const response = await fetch(url, {
      headers: { accept: 'text/event-stream', authorization: 'Bearer root-key-for-tests-0123456789abcdef' },
    });
    await bed.publish({ type: target.type });
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (text.includes('DELIVERED')) break;
    }
    expect(text).toMatch(/^id: [\w-]+\nevent: next\ndata: \{"data"/m);
  });
});

describe('a feed of many', () => {
  it('tells each of 300 subscribers every change once, those of one event only that event', async () => {
    const target = await createTarget();
    const after = await readCursor();
    const events: { id: string; deliveryIds: string[] }[] = [];
    for (let left = 10; left > 0; left -= 1) events.push(await bed.publish({ type: target.type }));
    const all = Array.from({ length: 100 }, () =>
      collect(
        follow<Batch>('WebSocket', { query: CHANGES, variables: { filter: { endpointId: target.id }, after } }),
        20,
      ),
    );
    const single = Array.from({ length: 200 }, (_, index) => {
      const filter = { eventId: events[index % 10]?.id };
      return collect(follow<Batch>('WebSocket', { query: CHANGES, variables: { filter, after } }), 2);
    });
    const [first, ...others] = await Promise.all(all);
    expect(first).toHaveLength(20);
    for (const other of others) expect(other).toEqual(first);
    for (const [index, told] of (await Promise.all(single)).entries()) {
      const id = events[index % 10]?.deliveryIds[0];
      expect(told.map(({ delivery, status }) => [delivery.id, status])).toEqual([
        [id, 'PENDING'],
        [id, 'DELIVERED'],
      ]);
    }
    const rows = await bed.database.query<{ id: string }>(
      'select delivery_id as id from delivery_changes where endpoint_id = $1 order by xid, id',
      [decodeId('Endpoint', target.id)],
    );
    expect(first?.map(({ delivery }) => decodeId('Delivery', delivery.id))).toEqual(rows.map(({ id }) => id));
  });
});
