import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { followDeliveries as followWithApollo } from '../examples/live/apollo.ts';
import {
  CHANGES,
  type Change,
  type Changes,
  type FollowOptions,
  LIST,
  type LiveDeliveries,
} from '../examples/live/deliveries.ts';
import { followDeliveries as followWithEventSource } from '../examples/live/event-source.ts';
import { connect, follow } from '../examples/live/follow.ts';
import { followDeliveries as followWithGraphqlWs } from '../examples/live/graphql-ws.ts';
import { followDeliveries as followWithRelay } from '../examples/live/relay.ts';
import { followDeliveries as followWithUrql } from '../examples/live/urql.ts';
import { decodeId } from '../src/domain/ids.ts';
import { type ChangeCursor, comparePositions, decodeCursor } from '../src/live/cursor.ts';
import { useNetwork } from './support/network.ts';
import { ROOT_KEY, until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

/** How much older than they are Posthorn makes its cursors look. */
const cursors = vi.hoisted(() => ({ ageMs: 0 }));

vi.mock('../src/live/cursor.ts', async (load) => {
  const real = await load<typeof import('../src/live/cursor.ts')>();
  const age = (cursor: ChangeCursor) => ({ ...cursor, at: new Date(cursor.at.getTime() - cursors.ageMs) });
  return { ...real, encodeCursor: (cursor: ChangeCursor) => real.encodeCursor(age(cursor)) };
});

const bed = useTestBed();
const receiver = useReceiver();
const network = useNetwork(() => bed.url);

const DAY_MS = 86_400_000;
/** Clients wait before they connect again, EventSource for 3 s each time. */
const TIMEOUT_MS = 40_000;

/** Ends what a test left open. */
const cleanUps = new Set<() => unknown>();

afterEach(async () => {
  cursors.ageMs = 0;
  for (const cleanUp of cleanUps) await cleanUp();
  cleanUps.clear();
});

let count = 0;

/** An endpoint that gets events of a type of its own. */
async function createTarget(key = ROOT_KEY) {
  count += 1;
  const type = `target-${count}.happened`;
  const { id } = await bed.createEndpoint({ url: receiver.url(), eventTypes: [type] }, { key });
  return { id, type };
}

/** Publishes events one by one, and waits until all are delivered. @returns IDs of the deliveries, newest first */
async function publish(type: string, eventCount: number): Promise<string[]> {
  const deliveryIds: string[] = [];
  for (let left = eventCount; left > 0; left -= 1) deliveryIds.unshift(...(await bed.publish({ type })).deliveryIds);
  for (const id of deliveryIds) await bed.waitForStatus(id, 'DELIVERED');
  return deliveryIds;
}

/** Publishes events all at the same time, without waiting for their deliveries. @returns IDs of the deliveries */
async function publishAtOnce(type: string, eventCount: number): Promise<string[]> {
  const events = await Promise.all(Array.from({ length: eventCount }, () => bed.publish({ type })));
  return events.flatMap(({ deliveryIds }) => deliveryIds);
}

/** What Posthorn has on record of an endpoint, in commit order. */
const readLog = (endpointId: string) =>
  bed.database.query<{ delivery: string; status: string; place: string }>(
    `select delivery_id::text as delivery, status::text, xid || ' ' || id as place from delivery_changes
     where endpoint_id = $1 order by xid, id`,
    [decodeId('Endpoint', endpointId)],
  );

/** The changes of an endpoint behind the first so many, as lines. */
async function readLines(endpointId: string, skip = 0): Promise<string[]> {
  return (await readLog(endpointId)).slice(skip).map(({ delivery, status }) => `${delivery} ${status}`);
}

const toLine = ({ delivery, status }: Change) => `${decodeId('Delivery', delivery.id)} ${status}`;

/** Waits until lists come with a cursor that has reached all that an endpoint has on record. @returns how many changes that is */
async function settle(endpointId: string): Promise<number> {
  const log = await readLog(endpointId);
  const [xid, id] = (log.at(-1)?.place ?? '0 0').split(' ').map(BigInt) as [bigint, bigint];
  await until(async () => {
    const cursor = decodeCursor(await bed.ask('{ liveCursor }'));
    return cursor && comparePositions(cursor, { xid, id }) >= 0;
  }, 'the cursor of lists to reach what was published');
  return log.length;
}

type Follow = (options: FollowOptions) => Promise<LiveDeliveries>;

/** Runs an example behind the network, and keeps what it tells. */
async function start(run: Follow, { endpointId, key = ROOT_KEY }: { endpointId: string; key?: string }) {
  const seen: string[] = [];
  const errors: unknown[] = [];
  const live = await run({
    url: network.url,
    key,
    endpointId,
    onChange: (change) => seen.push(toLine(change)),
    onError: (error) => errors.push(error),
  });
  cleanUps.add(live.stop);
  return { live, seen, errors };
}

const examples: [string, Follow][] = [
  ['graphql-ws', followWithGraphqlWs],
  ['EventSource', followWithEventSource],
  ['urql', followWithUrql],
  ['Apollo Client', followWithApollo],
  ['Relay', followWithRelay],
];

describe.each(examples)('the example with %s', (_, run) => {
  it('misses nothing between the list and the subscription, and keeps the list as it is in Posthorn', async () => {
    const target = await createTarget();
    const earlier = await publish(target.type, 2);
    const skip = await settle(target.id);
    network.hold();
    const { live, seen, errors } = await start(run, { endpointId: target.id });
    await until(() => network.heldCount === 1, 'the example to subscribe');
    expect(live.list().map(({ id }) => id)).toEqual(earlier);
    const between = await publish(target.type, 1);
    expect(seen).toEqual([]);
    network.release();
    await until(() => seen.length >= 2, 'what was published in between to be told');
    await bed.ask('mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) { __typename } }', {
      id: earlier[0],
    });
    await until(() => seen.length >= 4, 'the retry to be told');
    expect(seen).toEqual(await readLines(target.id, skip));
    const delivered = (id: string | undefined, attemptCount: number) =>
      expect.objectContaining({ id, status: 'DELIVERED', attemptCount });
    expect(live.list()).toEqual([delivered(between[0], 1), delivered(earlier[0], 2), delivered(earlier[1], 1)]);
    expect(errors).toEqual([]);
  });

  it('tells every change once, however often its connection is cut', { timeout: TIMEOUT_MS }, async () => {
    const target = await createTarget();
    const { live, seen, errors } = await start(run, { endpointId: target.id });
    const deliveryIds: string[] = [];
    for (let cuts = 1; cuts <= 3; cuts += 1) {
      deliveryIds.push(...(await publishAtOnce(target.type, 5)));
      await until(() => seen.length > 0, 'the feed to be open');
      network.hold();
      expect(network.cut()).toBe(1);
      deliveryIds.push(...(await publish(target.type, 1)), ...(await publishAtOnce(target.type, 5)));
      network.release();
      await until(() => seen.length >= deliveryIds.length * 2, `all that came before and after cut ${cuts}`);
    }
    deliveryIds.push(...(await publish(target.type, 1)));
    await until(() => seen.length >= deliveryIds.length * 2, 'the last change');
    expect(seen).toEqual(await readLines(target.id));
    expect(new Set(live.list().map(({ id, status }) => `${id} ${status}`))).toEqual(
      new Set(deliveryIds.map((id) => `${id} DELIVERED`)),
    );
    expect(errors).toEqual([]);
  });

  it('tells every change once where Posthorn stops and is started again', { timeout: TIMEOUT_MS }, async () => {
    const target = await createTarget();
    const before = await bed.startProcess({ role: 'api' });
    network.target = before.url;
    const { seen, errors } = await start(run, { endpointId: target.id });
    await publish(target.type, 2);
    await until(() => seen.length >= 4, 'what came before the stop');
    await before.stop();
    await publish(target.type, 2);
    await until(() => network.refusedCount > 0, 'the example to find nobody there');
    const after = await bed.startProcess({ role: 'api' });
    network.target = after.url;
    await until(() => seen.length >= 8, 'what came while Posthorn was away');
    await publish(target.type, 1);
    await until(() => seen.length >= 10, 'what came behind the start');
    expect(seen).toEqual(await readLines(target.id));
    expect(errors).toEqual([]);
  });

  it('reads the list anew where it was away for longer than changes are kept', { timeout: TIMEOUT_MS }, async () => {
    const target = await createTarget();
    const { live, seen, errors } = await start(run, { endpointId: target.id });
    cursors.ageMs = DAY_MS + 60_000;
    const told = await publish(target.type, 1);
    await until(() => seen.length >= 2, 'a batch with a cursor that is too old');
    network.hold();
    expect(network.cut()).toBe(1);
    cursors.ageMs = 0;
    const untold = await publish(target.type, 2);
    const skip = await settle(target.id);
    network.release();
    const ids = [...untold, ...told];
    await until(() => live.list().length === ids.length, 'the list to be read anew');
    expect(live.list().map(({ id }) => id)).toEqual(ids);
    const later = await publish(target.type, 1);
    await until(() => seen.length >= 4, 'what came behind the list');
    // A feed that was left open with the old cursor would be back by the time that the new one is.
    network.cut();
    later.unshift(...(await publish(target.type, 1)));
    await until(() => seen.length >= 6, 'the feed to be back');
    expect(network.feedCount).toBe(1);
    expect(seen.slice(2)).toEqual(await readLines(target.id, skip));
    expect(live.list().map(({ id }) => id)).toEqual([...later, ...ids]);
    expect(errors).toEqual([]);
  });

  it('says so where the key is revoked, and does not connect again', async () => {
    const { environment } = await bed.ask('{ viewer { environment { id } } }');
    const made = await bed.ask(
      `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
        ... on CreateApiKeyPayload { secret apiKey { id } } } }`,
      { input: { environmentId: environment.id, name: 'example', scopes: ['DELIVERIES_READ'] } },
    );
    const target = await createTarget();
    const { seen, errors } = await start(run, { endpointId: target.id, key: made.secret });
    const witness = await start(run, { endpointId: target.id });
    await publish(target.type, 1);
    await until(() => seen.length >= 2 && witness.seen.length >= 2, 'both feeds to be open');
    await bed.ask('mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }', {
      id: made.apiKey.id,
    });
    await until(() => errors.length > 0, 'the error');
    // Whoever is cut later is back later: by then, the other one would have come back and been refused.
    network.cut();
    await publish(target.type, 1);
    await until(() => witness.seen.length >= 4, 'the feed with a good key to be back');
    expect(errors).toHaveLength(1);
    expect(witness.errors).toEqual([]);
  });
});

describe('a WebSocket that falls silent', () => {
  it('is given up for another one, and nothing is lost', async () => {
    const target = await createTarget();
    const { liveCursor } = (await bed.graphql(LIST, { endpointId: target.id })).data;
    const client = connect({ url: network.url, key: ROOT_KEY, silenceMs: 500 });
    const seen: string[] = [];
    const unsubscribe = follow<Changes>(
      client,
      { query: CHANGES, variables: { endpointId: target.id, after: liveCursor } },
      {
        next: ({ data }) => seen.push(...(data?.deliveryChanges.changes ?? []).map(toLine)),
        error: () => {},
        complete: () => {},
      },
    );
    cleanUps.add(unsubscribe);
    await publish(target.type, 1);
    await until(() => seen.length >= 2, 'the feed to be open');
    expect(network.silence()).toBe(1);
    await publish(target.type, 1);
    await until(() => seen.length >= 4, 'the feed to go on');
    expect(seen).toEqual(await readLines(target.id));
  });
});

describe('docs/LIVE.md', () => {
  const root = new URL('../', import.meta.url);
  const text = readFileSync(new URL('docs/LIVE.md', root), 'utf8');
  /** Blocks whose fence names a file behind the language. */
  const blocks = [...text.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(([, path, code]) => ({ path, code }));

  it('shows every example', () => {
    const names = ['deliveries', 'follow', 'graphql-ws', 'event-source', 'urql', 'apollo', 'relay'];
    expect(blocks.map(({ path }) => path)).toEqual(names.map((name) => `examples/live/${name}.ts`));
  });

  it.each(blocks)('has $path to the letter', ({ path, code }) => {
    expect(code).toBe(readFileSync(new URL(path as string, root), 'utf8'));
  });
});
