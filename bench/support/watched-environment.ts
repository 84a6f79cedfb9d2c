import { createEndpoint, createEnvironment, PAYLOAD, publishBody } from './graphql.ts';
import { runSteadily } from './load.ts';
import type { PosthornProcess } from './processes.ts';
import type { Receiver } from './receiving.ts';
import { type Watchers, waitUntilTold } from './watching.ts';

/** Events in the environment that clients follow. */
export const EVENTS_PER_SECOND = 100;
/** The delivery is queued, and delivered. */
export const CHANGES_PER_EVENT = 2;

const BODY = publishBody({ type: 'bench.event', payload: PAYLOAD });

/** Creates an environment with one endpoint. @returns its public ID */
export async function createWatched(server: PosthornProcess, watched: Receiver): Promise<string> {
  const environmentId = await createEnvironment(server.url, 'watched');
  await createEndpoint(server.url, { url: `${watched.url}/ok/watched` }, environmentId);
  return environmentId;
}

/** Publishes {@link EVENTS_PER_SECOND} events a second. @returns how many */
export const publishWatched = (url: string, environmentId: string, seconds: number): Promise<number> =>
  runSteadily({
    url,
    ratePerSecond: EVENTS_PER_SECOND,
    seconds,
    environmentId,
    makeBody: () => BODY,
    expected: '"PublishEventPayload"',
  });

interface Following {
  server: PosthornProcess;
  environmentId: string;
  clients: number;
}

/**
 * Opens all clients and publishes until each has received an event, so that the cost of subscribing is over. On a busy
 * machine, the last clients subscribe only after the events of the first second.
 */
export async function openClients(watchers: Watchers, { server, environmentId, clients }: Following) {
  await watchers.open(server.url, environmentId, clients);
  const publish = async () => void (await publishWatched(server.url, environmentId, 1));
  await waitUntilTold(watchers, 1, publish);
}
