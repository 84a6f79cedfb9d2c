import { setTimeout as sleep } from 'node:timers/promises';
import { prepareBacklog } from '../support/backlog.ts';
import { waitUntilRecorded } from '../support/delivering.ts';
import { createEndpoint, PAYLOAD, publishBody } from '../support/graphql.ts';
import { runLoad, runSteadily } from '../support/load.ts';
import { type PosthornProcess, startPosthorn } from '../support/processes.ts';
import { waitUntilReceived } from '../support/receiving.ts';
import { percentile } from '../support/statistics.ts';
import { startMeter } from '../support/usage.ts';
import {
  CHANGES_PER_EVENT,
  createWatched,
  EVENTS_PER_SECOND,
  openClients,
  publishWatched,
} from '../support/watched-environment.ts';
import { waitUntilTold } from '../support/watching.ts';
import type { Comparison, Sample, Turn } from './sides.ts';

const PUBLISH_CONNECTIONS = 32;
const PUBLISH_SECONDS = 5;
const PUBLISH_WARM_UP_SECONDS = 3;

const DELIVER_ENDPOINTS = 50;
const DELIVER_EVENTS = 400;

const LATENCY_PER_SECOND = 100;
const LATENCY_SECONDS = 7;
const LATENCY_WARM_UP_SECONDS = 2;

const LIVE_CLIENTS = 1_000;
const LIVE_SECONDS = 6;
const LIVE_WARM_UP_SECONDS = 2;
/** The events of the warm-up are delivered and received by then. */
const LIVE_SETTLE_MS = 1_000;

const PUBLISH = { body: publishBody({ type: 'bench.event', payload: PAYLOAD }), expected: '"PublishEventPayload"' };

/** The comparisons by the name of their scenario. */
export const COMPARISONS: Record<string, Comparison> = {
  publish: {
    operation: 'event',
    prepare: (turn) => createFirstEndpoint(turn, 'http://127.0.0.1:2/'),
    measure: measurePublish,
  },
  deliver: {
    operation: 'delivery',
    prepare: ({ databaseUrl, receiver, side }) =>
      prepareBacklog({
        databaseUrl,
        receiverUrl: receiver.url,
        endpoints: DELIVER_ENDPOINTS,
        events: DELIVER_EVENTS,
        root: side.root,
      }),
    measure: measureDeliver,
  },
  latency: {
    operation: 'event',
    prepare: (turn) => createFirstEndpoint(turn, `${turn.receiver.url}/ok/timed/0`),
    measure: measureLatency,
  },
  live: { operation: 'event', prepare: migrateOnly, measure: measureLive },
};

async function migrateOnly({ databaseUrl, side }: Turn) {
  const server = await startPosthorn(databaseUrl, 'api', side.root);
  await server.stop();
}

async function createFirstEndpoint({ databaseUrl, side }: Turn, url: string) {
  const server = await startPosthorn(databaseUrl, 'api', side.root);
  try {
    await createEndpoint(server.url, { url });
  } finally {
    await server.stop();
  }
}

/** Runs work with a process of the turn's side, and stops it. */
async function withPosthorn<T>(
  { databaseUrl, side }: Turn,
  role: PosthornProcess['role'],
  work: (posthorn: PosthornProcess) => Promise<T>,
): Promise<T> {
  const posthorn = await startPosthorn(databaseUrl, role, side.root);
  try {
    return await work(posthorn);
  } finally {
    await posthorn.stop();
  }
}

const toLatency = (latenciesMs: number[]) => ({
  p50Ms: percentile(latenciesMs, 0.5),
  p99Ms: percentile(latenciesMs, 0.99),
});

/** Single mutations over keep-alive connections, as fast as they are answered. */
function measurePublish(turn: Turn): Promise<Sample> {
  return withPosthorn(turn, 'api', async (server) => {
    const load = { ...PUBLISH, url: server.url, connections: PUBLISH_CONNECTIONS };
    await runLoad({ ...load, seconds: PUBLISH_WARM_UP_SECONDS });
    const readUsage = startMeter([server], turn.databases);
    const { requests, rate, latenciesMs } = await runLoad({ ...load, seconds: PUBLISH_SECONDS });
    return {
      ratePerSecond: rate,
      operations: requests,
      cpuSeconds: readUsage().cpuSecondsOf,
      latency: toLatency(latenciesMs),
    };
  });
}

/** A backlog that a worker delivers. CPU counts from the moment when the worker is ready. */
async function measureDeliver(turn: Turn): Promise<Sample> {
  const { databaseUrl, databases, receiver } = turn;
  const deliveries = DELIVER_ENDPOINTS * DELIVER_EVENTS;
  await receiver.reset();
  const since = new Date();
  return withPosthorn(turn, 'worker', async (worker) => {
    const readUsage = startMeter([worker], databases);
    const before = await receiver.count();
    await waitUntilReceived(receiver, deliveries);
    const { first, last } = await waitUntilRecorded({ databaseUrl, deliveries, since, receiver });
    return {
      ratePerSecond: (deliveries * 1_000) / (last.getTime() - first.getTime()),
      operations: deliveries - before,
      cpuSeconds: readUsage().cpuSecondsOf,
      latency: null,
    };
  });
}

const makeTimedBody = () =>
  publishBody({ type: 'bench.event', payload: { sentAtMs: performance.timeOrigin + performance.now(), ...PAYLOAD } });

/** Events evenly spaced, from the producer's call until the receiver has the webhook. */
function measureLatency(turn: Turn): Promise<Sample> {
  const { receiver, databases } = turn;
  return withPosthorn(turn, 'all', async (posthorn) => {
    const load = {
      url: posthorn.url,
      ratePerSecond: LATENCY_PER_SECOND,
      makeBody: makeTimedBody,
      expected: PUBLISH.expected,
    };
    await receiver.reset();
    await waitUntilReceived(receiver, await runSteadily({ ...load, seconds: LATENCY_WARM_UP_SECONDS }));
    await receiver.reset();
    const readUsage = startMeter([posthorn], databases);
    const began = performance.now();
    const count = await runSteadily({ ...load, seconds: LATENCY_SECONDS });
    await waitUntilReceived(receiver, count);
    const seconds = (performance.now() - began) / 1_000;
    const cpuSeconds = readUsage().cpuSecondsOf;
    const { latenciesMs } = await receiver.report();
    return { ratePerSecond: count / seconds, operations: count, cpuSeconds, latency: toLatency(latenciesMs) };
  });
}

/** Clients that follow an environment, from the time of a change until a client has received it. */
function measureLive(turn: Turn): Promise<Sample> {
  const { watchers, receiver, databases } = turn;
  return withPosthorn(turn, 'api', (server) =>
    withPosthorn(turn, 'worker', async (worker) => {
      const environmentId = await createWatched(server, receiver);
      await openClients(watchers, { server, environmentId, clients: LIVE_CLIENTS });
      try {
        await publishWatched(server.url, environmentId, LIVE_WARM_UP_SECONDS);
        await sleep(LIVE_SETTLE_MS);
        await watchers.reset();
        const readUsage = startMeter([server, worker], databases);
        const began = performance.now();
        const events = await publishWatched(server.url, environmentId, LIVE_SECONDS);
        const { latenciesMs } = await waitUntilTold(watchers, CHANGES_PER_EVENT * events);
        const seconds = (performance.now() - began) / 1_000;
        return {
          ratePerSecond: Math.min(EVENTS_PER_SECOND, events / seconds),
          operations: events,
          cpuSeconds: readUsage().cpuSecondsOf,
          latency: toLatency(latenciesMs),
        };
      } finally {
        await watchers.close();
      }
    }),
  );
}
