import { setTimeout as sleep } from 'node:timers/promises';
import { encodeId } from '../../src/domain/ids.ts';
import { encodeCursor } from '../../src/live/cursor.ts';
import { Follower } from '../support/feed-clients.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { Endpoints, OPERATOR } from './endpoints.ts';
import { Machine, type MachineOptions, ROOT_KEY } from './machine.ts';
import { Publishers } from './publishers.ts';

/** How Posthorn's processes reach their database. */
export interface Connection {
  databaseUrl: string;
  env?: Record<string, string>;
}

/** Undone in reverse when a run ends, whatever happened. */
export type CleanUps = (() => unknown)[];

/** One way for a machine to fail, ready to strike once. */
export interface Disaster {
  /** @default a Postgres in a folder of its own */
  makeCluster?: () => Promise<ClusterOptions>;
  /** Another kind of database, removed when the run ends. @default a {@link Cluster} */
  openCluster?: () => Promise<Cluster>;
  /** An endpoint receives operational events, which are compared with what happened. @default false */
  hasOperationalEvents?: boolean;
  /** @default directly */
  connect?: (cluster: Cluster) => Promise<Connection>;
  /** For the processes of Posthorn. */
  env?: Record<string, string>;
  /** Posthorn as it runs when the disaster begins. @default one API and workers of this code */
  startMachines?: (start: (options: Pick<MachineOptions, 'role' | 'root'>) => Promise<Machine>) => Promise<Machine[]>;
  /** Breaks things, and mends them again, while publishers and workers go on. */
  strike: (scene: Scene) => Promise<void>;
}

/** The one that the first start makes. */
const ENVIRONMENT_ID = '00000000-0000-7000-8000-000000000002';
/** The short form shares two processors with other tests. */
const WORKERS = { long: 2, short: 1 };
const WARM_UP_MS = 500;
const FLOW_MS_MAX = 20_000;
/** Time for what killed workers had sent, to endpoints and to Postgres, to be taken. */
const SETTLE_MS = 500;
const SETTLE_LOOKS_MAX = 50;

/** Everything that runs while a disaster strikes. */
export class Scene {
  /** The long form, with outages as long as they are in life. */
  readonly isLong: boolean;
  cluster: Cluster;
  readonly hasOperationalEvents: boolean;
  readonly endpoints: Endpoints;
  readonly publishers: Publishers;
  readonly machines: Machine[] = [];
  /** Requests that workers had sent and not recorded when they were killed, by `NAME webhook-id`: these may be repeated. */
  readonly unrecorded = new Map<string, number>();
  follower!: Follower;
  readonly #connection: Connection;
  readonly #env: Record<string, string>;

  constructor(options: {
    isLong: boolean;
    cluster: Cluster;
    endpoints: Endpoints;
    connection: Connection;
    env: Record<string, string>;
    hasOperationalEvents: boolean;
  }) {
    this.isLong = options.isLong;
    this.cluster = options.cluster;
    this.hasOperationalEvents = options.hasOperationalEvents;
    this.endpoints = options.endpoints;
    this.#connection = options.connection;
    this.#env = options.env;
    let turn = 0;
    this.publishers = new Publishers(() => {
      const apis = this.of('api');
      return apis[turn++ % apis.length]?.url ?? '';
    });
  }

  of(role: Machine['role']): Machine[] {
    return this.machines.filter((machine) => machine.role === role);
  }

  readonly startMachine = async (options: Pick<MachineOptions, 'role' | 'root'>): Promise<Machine> => {
    const { databaseUrl, env } = this.#connection;
    const machine = await Machine.start({ ...options, databaseUrl, env: { ...env, ...this.#env } });
    this.machines.push(machine);
    return machine;
  };

  /** After a restore, the follower's cursor must be refused, and a new one is told everything that is kept. */
  async restartFollower(): Promise<void> {
    const deadline = performance.now() + FLOW_MS_MAX;
    const isExpired = () =>
      this.follower.errors.some(({ result }) =>
        result.errors?.some(({ extensions }) => extensions.code === 'CURSOR_EXPIRED'),
      );
    const isReady = () =>
      fetch(`${this.of('api')[0]?.url}/readyz`).then(
        (response) => response.ok,
        () => false,
      );
    while (!isExpired() || !(await isReady())) {
      if (performance.now() > deadline) throw new Error('The feed did not end with CURSOR_EXPIRED after the restore.');
      await sleep(50);
    }
    this.follower.stop();
    this.follower = follow(this);
  }

  /** Kills all workers at this moment, and starts them again. */
  async killWorkers(): Promise<void> {
    await Promise.all(this.of('worker').map((worker) => worker.kill()));
    await this.#waitUntilStill();
    await this.#noteUnrecorded();
    await Promise.all(this.of('worker').map((worker) => worker.start()));
  }

  /** What the dead had sent may still be on its way, to endpoints and to Postgres: on a busy machine for longer. */
  async #waitUntilStill(): Promise<void> {
    const count = async () => {
      const seen = [...this.endpoints.seen.values()].reduce((sum, requests) => sum + requests.length, 0);
      const [row] = await this.cluster.query<{ attempts: number }>(
        'select count(*)::int as attempts from delivery_attempts',
      );
      return `${seen} ${row?.attempts}`;
    };
    let before = '';
    for (let looks = 0; looks < SETTLE_LOOKS_MAX; looks += 1) {
      await sleep(SETTLE_MS);
      const now = await count();
      if (now === before) return;
      before = now;
    }
  }

  /** While no worker lives, nothing is sent or recorded. */
  async #noteUnrecorded() {
    const rows = await this.cluster.query<{ name: string; eventId: string; attempts: number }>(
      `select e.name, d.event_id as "eventId", d.attempt_count as attempts
       from deliveries d join endpoints e on e.id = d.endpoint_id`,
    );
    for (const { name, eventId, attempts } of rows) {
      const key = `${name} ${encodeId('Event', eventId)}`;
      const surplus = (this.endpoints.seen.get(key)?.length ?? 0) - attempts;
      if (surplus > 0) this.unrecorded.set(key, surplus);
    }
  }

  /** Waits until an event that is published from now on has come to the shared lane's and an own lane's endpoint. */
  async waitForFlow(): Promise<void> {
    const before = this.publishers.calls.length;
    const deadline = performance.now() + FLOW_MS_MAX;
    while (performance.now() < deadline) {
      const ids = this.publishers.calls.slice(before).flatMap(({ acknowledged }) => acknowledged ?? []);
      if (['good', 'limited'].every((name) => ids.some((id) => this.endpoints.seen.has(`${name} ${id}`)))) return;
      await sleep(50);
    }
    const waiting = await this.cluster.query(
      `select e.name, d.status::text, d.in_lane as "inLane", count(*)::int from deliveries d
       join endpoints e on e.id = d.endpoint_id where d.status in ('PENDING', 'HELD') group by 1, 2, 3`,
    );
    throw new Error(`What was published while the fault lasted did not arrive: ${JSON.stringify(waiting)}`);
  }
}

export interface SceneOptions {
  disaster: Disaster;
  isLong: boolean;
  hasBadEndpoints: boolean;
  cleanUps: CleanUps;
}

/** Sets everything up and lets it run. */
export async function openScene({ disaster, isLong, hasBadEndpoints, cleanUps }: SceneOptions): Promise<Scene> {
  const cluster = await (disaster.openCluster?.() ?? startCluster(disaster));
  cleanUps.push(() => cluster.remove());
  const connection = (await disaster.connect?.(cluster)) ?? { databaseUrl: cluster.url };
  const endpoints = new Endpoints({ withBad: hasBadEndpoints });
  await endpoints.start();
  cleanUps.push(() => endpoints.stop());
  const scene = new Scene({
    isLong,
    cluster,
    endpoints,
    connection,
    env: disaster.env ?? {},
    hasOperationalEvents: disaster.hasOperationalEvents === true,
  });
  cleanUps.push(() => Promise.all(scene.machines.map((machine) => machine.kill())));
  const startMachines = disaster.startMachines ?? startDefaultMachines(isLong ? WORKERS.long : WORKERS.short);
  await startMachines(scene.startMachine);
  await createEndpoints(scene);
  scene.follower = follow(scene);
  cleanUps.push(() => scene.follower.stop());
  cleanUps.push(() => scene.publishers.abandon());
  scene.publishers.start();
  await sleep(WARM_UP_MS);
  return scene;
}

const startCluster = async ({ makeCluster }: Disaster) => Cluster.start(await makeCluster?.());

const startDefaultMachines =
  (workers: number): NonNullable<Disaster['startMachines']> =>
  (start) =>
    Promise.all([start({ role: 'api' }), ...Array.from({ length: workers }, () => start({ role: 'worker' }))]);

async function createEndpoints(scene: Scene) {
  for (const [name, { input }] of Object.entries(scene.endpoints.behaviours)) {
    await ask(scene, `mutation ($input: CreateEndpointInput!) { createEndpoint(input: $input) { __typename } }`, {
      input: { name, url: scene.endpoints.url(name), eventTypes: ['fault.*'], ...input },
    });
  }
  if (!scene.hasOperationalEvents) return;
  await ask(scene, `mutation ($input: CreateEndpointInput!) { createEndpoint(input: $input) { __typename } }`, {
    input: { name: OPERATOR, url: scene.endpoints.url(OPERATOR), eventTypes: ['posthorn.delivery.dead_lettered'] },
  });
}

/** Tells everything from the first change on. */
function follow(scene: Scene): Follower {
  const after = encodeCursor({ environmentId: ENVIRONMENT_ID, xid: 0n, id: 0n, at: new Date() });
  const transport = Math.random() < 0.5 ? 'SSE' : 'WebSocket';
  return new Follower({ transport, key: ROOT_KEY, nextUrl: () => scene.of('api').at(-1)?.url ?? '', after });
}

async function ask(scene: Scene, query: string, variables: object = {}): Promise<unknown> {
  const response = await fetch(`${scene.of('api')[0]?.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ROOT_KEY}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: Record<string, unknown>; errors?: object[] };
  if (errors) throw new Error(`Unexpected errors: ${JSON.stringify(errors)}`);
  return Object.values(data)[0];
}

/** `deliveryCount` of a filter. */
export const askCount = (scene: Scene, filter: object): Promise<number> =>
  ask(scene, 'query ($filter: DeliveryFilter) { deliveryCount(filter: $filter) }', { filter }) as Promise<number>;
