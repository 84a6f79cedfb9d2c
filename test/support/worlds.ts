import { decodeId, encodeId, type IdKind, kindOfId } from '../../src/domain/ids.ts';
import { type TestBed, until } from './posthorn.ts';
import type { Receiver } from './receiver.ts';

/** What belongs together and to nobody else: an endpoint with its events, and the tenant around it. */
export interface World {
  /** Of the environment, with all scopes. */
  key: string;
  /** Stands in every text of the world. */
  marker: string;
  /** The key that its producer gave its own event: as source key, and as idempotency key. */
  producerKey: string;
  ids: Record<WorldKind, string>;
  /** A place of the environment's live feed before anything happened. */
  cursor: string;
  /** Everything that nobody else may see. */
  secrets: string[];
}

export type WorldKind = 'org' | 'env' | 'key' | 'ep' | 'sig' | 'rt' | 'evt' | 'dlv' | 'att';

/** IDs that are well-formed and name nothing. */
export const nothingOf = (kind: WorldKind): string => `${kind}_01h455vb4pex5vsknk084sn02q`;

/** The ID of nothing that stands in lists right beside a thing. */
export function besideOf(id: string): string {
  const kind = kindOfId(id) as IdKind;
  const uuid = decodeId(kind, id) as string;
  return encodeId(kind, `${uuid.slice(0, -1)}${(Number.parseInt(uuid.slice(-1), 16) ^ 1).toString(16)}`);
}

/** Attempts of a world: of the event of all, of its own, and of the one that fails. */
const ATTEMPTS_PER_WORLD = 3;

/** Answers a world's deliveries with what they bring, and fails those of types that end with `failing`. */
export function answerWorlds(receiver: Receiver): void {
  receiver.answer = ({ body, path }) => ({
    status: body.includes('failing') ? 500 : 200,
    body: `answer of ${path}`,
    headers: { 'x-answer': path },
  });
}

export interface Tenancy {
  organizationId: string;
  environmentId: string;
  key: string;
}

/**
 * Fills an environment with worlds, one endpoint each. All endpoints get one event together, which is the event of each
 * world; and each has an event of its own, and one whose delivery fails and waits for its retry.
 */
export async function furnish(bed: TestBed, receiver: Receiver, tenant: Tenancy, markers: string[]): Promise<World[]> {
  const { key, organizationId: org, environmentId: env } = tenant;
  const cursor = await bed.ask('{ liveCursor }', {}, { key });
  const endpoints = [];
  for (const marker of markers) endpoints.push(await makeEndpoint(bed, receiver, { marker, key }));
  const shared = await bed.publish({ type: 'shared.one' }, { key });
  const worlds: World[] = [];
  for (const [index, { id: ep }] of endpoints.entries()) {
    const marker = markers[index] as string;
    const [own, failing] = [await publish(bed, marker, 'own', key), await publish(bed, marker, 'failing', key)];
    const made = await bed.ask(
      `mutation ($env: ID!, $name: String!) { createApiKey(input: { environmentId: $env, name: $name, scopes: [EVENTS_PUBLISH] }) {
        ... on CreateApiKeyPayload { apiKey { id } secret } } }`,
      { env, name: marker },
      { key },
    );
    const attempts = await waitForAttempts(bed, ep, key);
    const ofShared = attempts.find(({ event }) => event.id === shared.id) as Attempt;
    const isAlone = endpoints.length === 1;
    const evt = index === 0 || isAlone ? shared.id : own;
    const first = attempts.find(({ event }) => event.id === evt) as Attempt;
    const [{ id: sig }] = (
      await bed.ask('query ($id: ID!) { endpoint(id: $id) { signingKeys { id } } }', { id: ep }, { key })
    ).signingKeys;
    const ids = {
      ...{ org, env, key: made.apiKey.id, ep, sig, rt: first.route.id, evt },
      dlv: first.delivery.id,
      att: first.id,
    };
    const secrets = [
      ...[
        marker,
        made.secret,
        made.apiKey.id,
        ep,
        sig,
        first.route.id,
        own,
        failing,
        ofShared.delivery.id,
        ofShared.id,
      ],
      ...attempts.flatMap(({ id, delivery }) => [id, delivery.id]),
    ];
    worlds.push({ key, marker, producerKey: producerKeyOf(marker), ids, cursor, secrets });
  }
  return worlds;
}

async function makeEndpoint(bed: TestBed, receiver: Receiver, { marker, key }: { marker: string; key: string }) {
  return bed.createEndpoint(
    {
      url: receiver.url(`/${marker}`),
      name: `name ${marker}`,
      description: `description ${marker}`,
      headers: { [`x-${marker}`]: 'value' },
      eventTypes: [`${marker}.*`, 'shared.*'],
      retryPolicy: { delaysSeconds: [3_600] },
    },
    { key },
  );
}

async function publish(bed: TestBed, marker: string, name: string, key: string): Promise<string> {
  const isOwn = name === 'own';
  const { id } = await bed.publish(
    {
      type: `${marker}.${name}`,
      payload: { marker, name },
      source: { workflowId: marker, runId: marker, nodeId: marker },
      ...(isOwn && { sourceKey: producerKeyOf(marker), idempotencyKey: producerKeyOf(marker) }),
    },
    { key },
  );
  return id;
}

/** Says nothing of the marker: who asks with it may be told of it. */
const producerKeyOf = (marker: string) => `producer ${[...marker].reverse().join('')}`;

interface Attempt {
  id: string;
  delivery: { id: string };
  event: { id: string };
  route: { id: string };
}

/** Waits until statistics have counted what happened. */
export async function waitUntilCounted(bed: TestBed, { key, ids }: World): Promise<void> {
  await until(async () => {
    const query = 'query ($id: ID!) { deliveryStats(endpointId: $id) { total { attempts } } }';
    const { total } = await bed.ask(query, { id: ids.ep }, { key });
    return total.attempts === ATTEMPTS_PER_WORLD;
  }, 'statistics');
}

/** Waits until all attempts are made. */
async function waitForAttempts(bed: TestBed, endpointId: string, key: string): Promise<Attempt[]> {
  return until(async () => {
    const { edges } = await bed.ask(
      `query ($id: ID!) { deliveryAttempts(filter: { endpointId: $id }) {
        edges { node { id delivery { id } event { id } route { id } } } } }`,
      { id: endpointId },
      { key },
    );
    return edges.length === ATTEMPTS_PER_WORLD && edges.map(({ node }: { node: Attempt }) => node);
  }, 'three attempts');
}
