import { afterAll, beforeAll } from 'vitest';
import type { Config } from '../../src/config.ts';
import { createLog, type Log } from '../../src/log.ts';
import { type Posthorn, startPosthorn } from '../../src/main.ts';
import { createTestDatabase, type TestDatabase, type TestDatabaseOptions } from './database.ts';

export const ROOT_KEY = 'root-key-for-tests-0123456789abcdef';
export const ENCRYPTION_KEY = Buffer.alloc(32, 7);

/** A GraphQL answer, as it came over HTTP. */
export interface GraphqlAnswer {
  // biome-ignore lint/suspicious/noExplicitAny: tests pick what they asked for
  data: any;
  errors?: { message: string; path?: string[]; extensions: { code: string; requestId: string } }[];
  status: number;
  headers: Headers;
}

export interface GraphqlOptions {
  /** @default the operator's key; null: none */
  key?: string | null;
  headers?: Record<string, string>;
  /** Where to ask. @default the bed's first process */
  url?: string;
}

/** A Posthorn with a database of its own, and what tests do with it. */
export class TestBed {
  database!: TestDatabase;
  posthorn!: Posthorn;
  readonly #others: Posthorn[] = [];
  readonly #overrides: Partial<Config>;
  readonly #databaseOptions: TestDatabaseOptions;

  constructor(overrides: Partial<Config>, databaseOptions: TestDatabaseOptions = {}) {
    this.#overrides = overrides;
    this.#databaseOptions = databaseOptions;
  }

  get url(): string {
    return this.posthorn.url;
  }

  async start(): Promise<void> {
    this.database = await createTestDatabase(this.#databaseOptions);
    this.posthorn = await this.startProcess();
    this.#others.length = 0;
  }

  /** Stops every process, then drops the database, which fails where something holds on to it. */
  async stop(): Promise<void> {
    for (const other of this.#others.splice(0)) await other.stop();
    await this.posthorn.stop();
    await this.database.drop();
  }

  /** One more Posthorn on the same database, in this process; stopped with the bed. */
  async startProcess(overrides: Partial<Config> = {}, log?: Log): Promise<Posthorn> {
    const config: Config = {
      databaseUrl: this.database?.url ?? null,
      directDatabaseUrl: null,
      databaseWaitMs: 0,
      migrates: true,
      databaseConnections: 12,
      dataDir: '',
      host: '127.0.0.1',
      port: 0,
      rootKey: ROOT_KEY,
      encryptionKey: ENCRYPTION_KEY,
      oldEncryptionKeys: [],
      proxyUrl: null,
      dnsServers: null,
      allowedNetworks: ['127.0.0.0/8'],
      allowedHosts: [],
      deniedPorts: null,
      role: 'all',
      production: false,
      logLevel: 'silent',
      shutdownTimeoutMs: 10_000,
      retentionDays: 30,
      disableFailingAfterMs: null,
      connectionsPerKeyMax: 2_000,
      subscriptionsPerKeyMax: 5_000,
      complexityMax: 50_000,
      operationTimeoutMs: 30_000,
      requestTimeoutMs: 60_000,
      requestsPerSecondMax: 1_000,
      trustedProxies: 0,
      corsOrigins: ['*'],
      embedOrigins: [],
      introspection: true,
      behindTls: false,
      ...this.#overrides,
      ...overrides,
    };
    const posthorn = await startPosthorn(config, log ?? createLog(config.logLevel));
    if (this.posthorn) this.#others.push(posthorn);
    return posthorn;
  }

  /** Runs an operation over HTTP. */
  async graphql(query: string, variables: object = {}, options: GraphqlOptions = {}): Promise<GraphqlAnswer> {
    const key = options.key === undefined ? ROOT_KEY : options.key;
    const response = await fetch(`${options.url ?? this.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...options.headers,
      },
      body: JSON.stringify({ query, variables }),
    });
    const body = (await response.json()) as Pick<GraphqlAnswer, 'data' | 'errors'>;
    return { ...body, status: response.status, headers: response.headers };
  }

  /** Runs an operation that must succeed, and gives the value of its one field. */
  // biome-ignore lint/suspicious/noExplicitAny: tests pick what they asked for
  async ask(query: string, variables: object = {}, options: GraphqlOptions = {}): Promise<any> {
    const { data, errors } = await this.graphql(query, variables, options);
    if (errors) throw new Error(`Unexpected errors: ${JSON.stringify(errors)}`);
    return Object.values(data)[0];
  }

  /** Makes an endpoint. @returns its ID, secret and URL */
  async createEndpoint(
    input: { url: string } & Record<string, unknown>,
    options: GraphqlOptions = {},
  ): Promise<{ id: string; secret: string }> {
    const answer = await this.ask(
      `mutation ($input: CreateEndpointInput!) { createEndpoint(input: $input) {
        ... on CreateEndpointPayload { endpoint { id } secret } ... on InvalidInputError { issues { path message } } } }`,
      { input },
      options,
    );
    if (!answer.endpoint) throw new Error(`No endpoint was made: ${JSON.stringify(answer)}`);
    return { id: answer.endpoint.id, secret: answer.secret };
  }

  /** Publishes an event. @returns its ID, and those of its deliveries, oldest first */
  async publish(
    input: { type?: string } & Record<string, unknown> = {},
    options: GraphqlOptions = {},
  ): Promise<{ id: string; deliveryIds: string[] }> {
    const answer = await this.ask(
      `mutation ($input: PublishEventInput!) { publishEvent(input: $input) {
        ... on PublishEventPayload { event { id deliveries(last: 100) { edges { node { id } } } } }
        ... on Error { message } } }`,
      { input: { type: 'test.event', ...('body' in input ? {} : { payload: { hello: 'world' } }), ...input } },
      options,
    );
    if (!answer.event) throw new Error(`Nothing was published: ${JSON.stringify(answer)}`);
    const ids = answer.event.deliveries.edges.map((edge: { node: { id: string } }) => edge.node.id);
    return { id: answer.event.id, deliveryIds: ids.reverse() };
  }

  /** Waits until a delivery has one of these statuses. @returns it, with its attempts, oldest first */
  async waitForStatus(deliveryId: string, ...statuses: string[]): Promise<DeliveryState> {
    return until(
      async () => {
        const delivery = await this.readDelivery(deliveryId);
        return statuses.includes(delivery.status) ? delivery : null;
      },
      `delivery ${deliveryId} to be ${statuses.join(' or ')}`,
    );
  }

  async readDelivery(deliveryId: string): Promise<DeliveryState> {
    const delivery = await this.ask(
      `query ($id: ID!) { delivery(id: $id) { id status attemptCount retryCount maxRetries nextAttemptAt deliveredAt
        deadLetteredAt createdAt updatedAt attempts(last: 100) { edges { node { id number trigger status
        responseStatus responseBody requestHeaders durationMs error { code message } nextAttemptAt isDeadLetter
        deadLetteredAt createdAt } } } } }`,
      { id: deliveryId },
    );
    const attempts = delivery.attempts.edges.map((edge: { node: unknown }) => edge.node).reverse();
    return { ...delivery, attempts };
  }

  /** An organization of its own with an endpoint-less environment and a key with all scopes. */
  async createTenant(name: string, scopes = ALL_SCOPES, options: GraphqlOptions = {}): Promise<Tenant> {
    const made = await this.ask(
      `mutation ($name: String!) { createOrganization(input: { name: $name }) {
        ... on CreateOrganizationPayload { organization { id } environment { id } } } }`,
      { name },
      options,
    );
    const key = await this.createKey(made.environment.id, scopes, options);
    return { organizationId: made.organization.id, environmentId: made.environment.id, key };
  }

  async createKey(environmentId: string, scopes = ALL_SCOPES, options: GraphqlOptions = {}): Promise<string> {
    const made = await this.ask(
      `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { ... on CreateApiKeyPayload { secret } } }`,
      { input: { environmentId, name: 'test', scopes } },
      options,
    );
    return made.secret;
  }
}

export const ALL_SCOPES = [
  'EVENTS_PUBLISH',
  'DELIVERIES_READ',
  'DELIVERIES_RETRY',
  'ENDPOINTS_MANAGE',
  'API_KEYS_MANAGE',
];

export interface Tenant {
  organizationId: string;
  environmentId: string;
  key: string;
}

export interface AttemptState {
  id: string;
  number: number;
  trigger: string;
  status: string;
  responseStatus: number | null;
  responseBody: string | null;
  requestHeaders: Record<string, string | null>;
  durationMs: number | null;
  error: { code: string; message: string } | null;
  nextAttemptAt: string | null;
  isDeadLetter: boolean;
  deadLetteredAt: string | null;
  createdAt: string;
}

export interface DeliveryState {
  id: string;
  status: string;
  attemptCount: number;
  retryCount: number;
  maxRetries: number;
  nextAttemptAt: string | null;
  deliveredAt: string | null;
  deadLetteredAt: string | null;
  createdAt: string;
  updatedAt: string;
  attempts: AttemptState[];
}

/** Waits until a look gives something, at most 15 s. */
export async function until<T>(
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  what: string,
): Promise<T> {
  const deadline = Date.now() + 15_000;
  while (Date.now() < deadline) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Waited in vain for ${what}.`);
}

/** A bed for all tests of a file. */
export function useTestBed(overrides: Partial<Config> = {}, databaseOptions: TestDatabaseOptions = {}): TestBed {
  const bed = new TestBed(overrides, databaseOptions);
  beforeAll(() => bed.start());
  afterAll(() => bed.stop());
  return bed;
}
