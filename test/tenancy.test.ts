import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

/** What one environment has: a key, and an ID of every type. */
interface World {
  key: string;
  org: string;
  env: string;
  apiKey: string;
  ep: string;
  rt: string;
  evt: string;
  dlv: string;
  att: string;
}

type Kind = Exclude<keyof World, 'key'>;

const PREFIXES: Record<Kind, string> = {
  org: 'org',
  env: 'env',
  apiKey: 'key',
  ep: 'ep',
  rt: 'rt',
  evt: 'evt',
  dlv: 'dlv',
  att: 'att',
};
/** IDs that are well-formed and name nothing. */
const NOTHING = Object.fromEntries(
  Object.entries(PREFIXES).map(([kind, prefix]) => [kind, `${prefix}_01h455vb4pex5vsknk084sn02q`]),
) as Record<Kind, string>;

let own: World;
let foreign: World;
let sibling: World;

beforeAll(async () => {
  const [mine, other] = [await bed.createTenant('mine'), await bed.createTenant('other')];
  own = await furnish(mine.organizationId, mine.environmentId, mine.key);
  foreign = await furnish(other.organizationId, other.environmentId, other.key);
  const made = await bed.ask(
    `mutation ($id: ID!) { createEnvironment(input: { organizationId: $id, name: "test" }) {
      ... on CreateEnvironmentPayload { environment { id } } } }`,
    { id: mine.organizationId },
    { key: own.key },
  );
  sibling = await furnish(mine.organizationId, made.environment.id, await bed.createKey(made.environment.id));
});

/** Delivers an event in an environment, and makes a second key in it. */
async function furnish(org: string, env: string, key: string): Promise<World> {
  const { id: ep } = await bed.createEndpoint({ url: receiver.url('/tenancy'), name: 'secret name' }, { key });
  const { id: evt, deliveryIds } = await bed.publish(
    { type: 'tenancy', sourceKey: 'same', idempotencyKey: 'same' },
    { key },
  );
  const dlv = deliveryIds[0] as string;
  const delivery = await until(async () => {
    const read = await bed.ask(
      `query ($id: ID!) { delivery(id: $id) { lastAttempt { id status } route { id } } }`,
      { id: dlv },
      { key },
    );
    return read.lastAttempt?.status === 'SUCCEEDED' && read;
  }, 'the delivery');
  const made = await bed.ask(
    `mutation ($env: ID!) { createApiKey(input: { environmentId: $env, name: "x", scopes: [EVENTS_PUBLISH] }) {
      ... on CreateApiKeyPayload { apiKey { id } } } }`,
    { env },
    { key },
  );
  return { key, org, env, apiKey: made.apiKey.id, ep, rt: delivery.route.id, evt, dlv, att: delivery.lastAttempt.id };
}

describe.each([
  ['of another organization', () => foreign],
  ['of another environment of the same organization', () => sibling],
])('an ID %s is like one that does not exist', (_, world) => {
  it.each([
    ['eventId', 'evt'],
    ['endpointId', 'ep'],
    ['deliveryId', 'dlv'],
  ] as const)("for a feed's filter on %s", async (name, kind) => {
    const after = await findCursor(own);
    const filter = { [name]: world()[kind] };
    const theirs = await openFeed(world(), { after: await findCursor(world()), filter });
    const filtered = await openFeed(own, { after, filter });
    const absent = await openFeed(own, { after, filter: { [name]: NOTHING[kind] } });
    const unfiltered = await openFeed(own, { after });
    await bed.ask(
      'mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) { __typename } }',
      { id: world().dlv },
      { key: world().key },
    );
    await until(
      () => theirs.batches.some(({ changes }) => changes.some(({ status }) => status === 'DELIVERED')),
      'their change',
    );
    const { deliveryIds } = await bed.publish({ type: 'feed.end' }, { key: own.key });
    const isLast = (id: string, status: string) => id === deliveryIds[0] && status === 'DELIVERED';
    await until(
      () =>
        unfiltered.batches.some(({ changes }) => changes.some(({ delivery, status }) => isLast(delivery.id, status))),
      'the last change',
    );
    const seen = unfiltered.batches.flatMap(({ changes }) => changes.map(({ delivery }) => delivery.environment.id));
    await until(() => filtered.text.includes('"errors"') && absent.text.includes('"errors"'), 'the refusals');
    const withoutRequest = (text: string) => text.replace(/"requestId":"[^"]*"/, '');
    expect(withoutRequest(filtered.text)).toBe(withoutRequest(absent.text));
    expect(filtered.text).toContain('"BAD_USER_INPUT"');
    expect(filtered.batches).toEqual([]);
    expect(new Set(seen)).toEqual(new Set([own.env]));
  });
});

interface Change {
  status: string;
  delivery: { id: string; environment: { id: string } };
}

/** A `deliveryChanges` subscription over SSE. */
class Feed {
  text = '';
  readonly #controller = new AbortController();
  #reading: Promise<void> = Promise.resolve();

  async open(key: string, variables: object) {
    const response = await fetch(`${bed.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${key}` },
      body: JSON.stringify({
        query: `subscription ($filter: DeliveryChangeFilter, $after: String) { deliveryChanges(filter: $filter, after: $after) {
          cursor changes { status delivery { id environment { id } } } } }`,
        variables,
      }),
      signal: this.#controller.signal,
    });
    this.#reading = this.#read(response);
  }

  async #read(response: Response) {
    try {
      const chunks = response.body as unknown as AsyncIterable<Uint8Array>;
      for await (const chunk of chunks) this.text += Buffer.from(chunk).toString();
    } catch {
      // Closed from here, or with the server: what came before is in the text.
    }
  }

  get batches(): { cursor: string; changes: Change[] }[] {
    const blocks = this.text.split('\n\n').slice(0, -1);
    return blocks.flatMap((block) => {
      const data = block.match(/^data: *(\{.*)$/m)?.[1];
      const batch = data && JSON.parse(data).data?.deliveryChanges;
      return batch ? [batch] : [];
    });
  }

  async close() {
    this.#controller.abort();
    await this.#reading;
  }
}

const feeds: Feed[] = [];
afterEach(async () => {
  for (const feed of feeds.splice(0)) await feed.close();
});

async function openFeed(world: World, variables: object): Promise<Feed> {
  const feed = new Feed();
  feeds.push(feed);
  await feed.open(world.key, variables);
  return feed;
}

/** Publishes until a feed tells of it: from then on it is known to be under way. */
async function findCursor(world: World): Promise<string> {
  const feed = await openFeed(world, {});
  return until(async () => {
    await bed.publish({ type: 'feed.start' }, { key: world.key });
    return feed.batches[0]?.cursor;
  }, 'a first change');
}

describe('lists', () => {
  const LISTS: [field: string, kind: Kind][] = [
    ['endpoints', 'ep'],
    ['events', 'evt'],
    ['deliveries', 'dlv'],
    ['deliveryAttempts', 'att'],
  ];

  it.each(LISTS)('%s have what is of the own environment, and nothing else', async (field) => {
    const document = `{ ${field}(first: 100) { edges { node { id } } } }`;
    const ids = async (world: World) => {
      const list = await bed.ask(document, {}, { key: world.key });
      return list.edges.map(({ node }: { node: { id: string } }) => node.id) as string[];
    };
    const [mine, theirs, others] = [await ids(own), await ids(foreign), await ids(sibling)];
    for (const list of [mine, theirs, others]) expect(list.length).toBeGreaterThan(0);
    expect(new Set([...mine, ...theirs, ...others]).size).toBe(mine.length + theirs.length + others.length);
  });

  it.each(LISTS)("another tenant's cursor of %s is a place, and shows nothing of theirs", async (field) => {
    const document = `query ($after: String, $before: String) { ${field}(first: 100, after: $after, before: $before) {
      edges { cursor node { id } } } }`;
    const mine = (await bed.ask(document, {}, { key: own.key })).edges;
    const theirs = (await bed.ask(document, {}, { key: foreign.key })).edges;
    const known = new Set(mine.map(({ node }: { node: { id: string } }) => node.id));
    for (const { cursor, node: place } of theirs) {
      const behind = (await bed.ask(document, { after: cursor }, { key: own.key })).edges;
      const ahead = (await bed.ask(document, { before: cursor }, { key: own.key })).edges;
      expect([...ahead, ...behind]).toEqual(mine);
      for (const { node } of behind) expect(known.has(node.id) && node.id < place.id).toBe(true);
    }
  });

  it('filters that fit rows of all tenants give the own ones', async () => {
    const answer = await bed.graphql(
      `{ events(filter: { sourceKey: "same" }) { edges { node { id } } }
        deliveries(filter: { eventTypes: ["tenancy"], responseStatus: 200 }) { edges { node { id } } }
        deliveryAttempts(filter: { statuses: [SUCCEEDED], triggers: [INITIAL], eventId: "${own.evt}" }) { edges { node { id } } }
        endpoints(filter: { eventType: "tenancy" }) { edges { node { id } } } }`,
      {},
      { key: own.key },
    );
    expect(answer.data).toEqual({
      events: { edges: [{ node: { id: own.evt } }] },
      deliveries: { edges: [{ node: { id: own.dlv } }] },
      deliveryAttempts: { edges: [{ node: { id: own.att } }] },
      endpoints: { edges: [{ node: { id: own.ep } }] },
    });
  });
});

describe('publishing', () => {
  it("an idempotency key is the environment's own", async () => {
    expect(new Set([own.evt, foreign.evt, sibling.evt]).size).toBe(3);
    const publish = (world: World, body: string) =>
      bed.ask(
        `mutation ($body: String!) { publishEvent(input: { type: "walled", body: $body, idempotencyKey: "walled" }) {
          __typename ... on PublishEventPayload { duplicate event { id environment { id } } } } }`,
        { body },
        { key: world.key },
      );
    const answers = await Promise.all([publish(own, 'a'), publish(foreign, 'b'), publish(sibling, 'c')]);
    expect(answers.map(({ event, duplicate }) => [duplicate, event?.environment.id])).toEqual([
      [false, own.env],
      [false, foreign.env],
      [false, sibling.env],
    ]);
  });

  it('an event goes to endpoints of its own environment only', async () => {
    const { deliveryIds } = await bed.publish({ type: 'anything' }, { key: own.key });
    expect(deliveryIds).toHaveLength(1);
    const read = await bed.ask(
      'query ($id: ID!) { delivery(id: $id) { endpoint { id } environment { id } organization { id } } }',
      { id: deliveryIds[0] },
      { key: own.key },
    );
    expect(read).toEqual({ endpoint: { id: own.ep }, environment: { id: own.env }, organization: { id: own.org } });
  });

  it('retryEvent without an endpoint goes to endpoints of the own environment only', async () => {
    const retried = await bed.ask(
      `mutation ($id: ID!) { retryEvent(input: { eventId: $id }) {
        ... on RetryEventPayload { endpointCount deliveries { endpoint { id } } } } }`,
      { id: own.evt },
      { key: own.key },
    );
    expect(retried).toEqual({ endpointCount: 1, deliveries: [{ endpoint: { id: own.ep } }] });
  });
});

describe('an organization', () => {
  it('sees itself and all its environments', async () => {
    for (const id of [own.org, own.env, sibling.env]) {
      expect(await bed.ask('query ($id: ID!) { node(id: $id) { id } }', { id }, { key: own.key })).toEqual({ id });
    }
  });

  it("the operator's key sees every organization, environment and key", async () => {
    for (const id of [own.org, foreign.org, sibling.env, foreign.env, own.apiKey, foreign.apiKey]) {
      expect(await bed.ask('query ($id: ID!) { node(id: $id) { id } }', { id })).toEqual({ id });
    }
  });
});
