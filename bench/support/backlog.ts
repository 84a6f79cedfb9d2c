import { withClient } from './databases.ts';
import { createEndpoint, type EndpointInput, type EventInput, PAYLOAD, publishEvents } from './graphql.ts';
import { startPosthorn } from './processes.ts';

/** Deliveries of one `publishEvents`: as many events as make so many, and at least one. */
const DELIVERIES_PER_CALL = 1_000;
/** Endpoints that are made at once. */
const CREATING_MAX = 16;

export interface Backlog {
  /** Of an empty database. */
  databaseUrl: string;
  /** Without a path. */
  receiverUrl: string;
  endpoints: number;
  events: number;
  /** Query of the endpoints' URLs, for the receiver. @default none */
  query?: string;
  /** Folder of the version that prepares it. @default this one */
  root?: string;
}

/** Publishes events of 1 KB, each to every endpoint, and leaves their deliveries waiting: no worker runs. */
export async function prepareBacklog({ databaseUrl, receiverUrl, endpoints, events, query = '', root }: Backlog) {
  const server = await startPosthorn(databaseUrl, 'api', root);
  try {
    const urls = Array.from({ length: endpoints }, (_, index) => `${receiverUrl}/ok/${index}${query}`);
    await createEndpoints(
      server.url,
      urls.map((url) => ({ url })),
    );
    const perCall = Math.max(1, Math.floor(DELIVERIES_PER_CALL / endpoints));
    await publishAll(server.url, Array(events).fill({ type: 'bench.event', payload: PAYLOAD }), perCall);
  } finally {
    await server.stop();
  }
  await vacuum(databaseUrl);
}

export async function createEndpoints(serverUrl: string, inputs: EndpointInput[]): Promise<void> {
  for (let made = 0; made < inputs.length; made += CREATING_MAX) {
    await Promise.all(inputs.slice(made, made + CREATING_MAX).map((input) => createEndpoint(serverUrl, input)));
  }
}

/** Publishes events, so many with each call. */
export async function publishAll(serverUrl: string, events: EventInput[], perCall: number): Promise<void> {
  for (let sent = 0; sent < events.length; sent += perCall) {
    await publishEvents(serverUrl, events.slice(sent, sent + perCall));
  }
}

/** Gives Postgres the statistics that autovacuum would have gathered, and takes that work out of what is measured. */
export const vacuum = (databaseUrl: string): Promise<void> =>
  withClient(databaseUrl, async (client) => void (await client.query('vacuum analyze')));
