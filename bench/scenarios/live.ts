import { setTimeout as sleep } from 'node:timers/promises';
import { prepareBacklog } from '../support/backlog.ts';
import { drain } from '../support/delivering.ts';
import { createEndpoint, PAYLOAD, publishBody } from '../support/graphql.ts';
import { runLoad } from '../support/load.ts';
import { type PosthornProcess, startPosthorn } from '../support/processes.ts';
import { type Receiver, withReceiver } from '../support/receiving.ts';
import { makeRow, type Row } from '../support/report.ts';
import type { Bench } from '../support/scenario.ts';
import { mean, percentile } from '../support/statistics.ts';
import { startMeter, toUsageColumns } from '../support/usage.ts';
import {
  CHANGES_PER_EVENT,
  createWatched,
  EVENTS_PER_SECOND,
  openClients,
  publishWatched,
} from '../support/watched-environment.ts';
import { startWatchers, toToldColumns, type Watchers, waitUntilTold } from '../support/watching.ts';

const CLIENTS = 1_000;
const SECONDS = 15;
/** What was published to warm up is delivered and told by then. */
const SETTLE_MS = 2_000;
const P99_MS_AT_MOST = 250;
/** Of its rate without clients. */
const RATIO_AT_LEAST = 0.8;
/** Even: every other one goes the other way round, as all gets slower while tables grow. */
const ROUNDS = 4;
const PUBLISH_SECONDS = 4;
const PUBLISH_CONNECTIONS = 32;
const ENDPOINTS = 50;
const EVENTS = 400;

const PUBLISH = { body: publishBody({ type: 'bench.event', payload: PAYLOAD }), expected: '"PublishEventPayload"' };

/** What all parts work with. */
interface Live extends Bench {
  watchers: Watchers;
  /** Of the deliveries that are watched. */
  watched: Receiver;
  /** Of the deliveries that are measured beside them. */
  receiver: Receiver;
}

/**
 * WebSocket clients who all follow one environment with 200 changes a second: how long a change takes to reach them,
 * and what publishing and delivering in another environment keep of their rates.
 */
export const benchLive = (bench: Bench): Promise<Row[]> =>
  withReceiver((watched) =>
    withReceiver(async (receiver) => {
      const watchers = await startWatchers();
      try {
        const live = { ...bench, watchers, watched, receiver };
        return [...(await measureServing(live)), await measureDelivering(live)];
      } finally {
        await watchers.stop();
      }
    }),
  );

async function measureServing(live: Live): Promise<Row[]> {
  const databaseUrl = await live.databases.create('live');
  const server = await startPosthorn(databaseUrl, 'api');
  const worker = await startPosthorn(databaseUrl, 'worker');
  try {
    const environmentId = await createWatched(server, live.watched);
    await createEndpoint(server.url, { url: 'http://127.0.0.1:2/', eventTypes: ['bench.event'] });
    return [
      await measureLatency(live, { server, worker, environmentId }),
      await measurePublishing(live, { server, environmentId }),
    ];
  } finally {
    await worker.stop();
    await server.stop();
  }
}

async function measureLatency(
  { watchers, databases, progress }: Live,
  { server, worker, environmentId }: { server: PosthornProcess; worker: PosthornProcess; environmentId: string },
): Promise<Row> {
  progress(`${CLIENTS} clients connect`);
  await openClients(watchers, { server, environmentId, clients: CLIENTS });
  await publishWatched(server.url, environmentId, 3);
  await sleep(SETTLE_MS);
  await watchers.reset();
  progress(`${EVENTS_PER_SECOND} events a second`);
  const readUsage = startMeter([server, worker], databases);
  const changes = CHANGES_PER_EVENT * (await publishWatched(server.url, environmentId, SECONDS));
  const report = await waitUntilTold(watchers, changes);
  const p99Ms = percentile(report.latenciesMs, 0.99);
  const row = makeRow({
    scenario: 'live',
    variant: `${CLIENTS} clients, ${CHANGES_PER_EVENT * EVENTS_PER_SECOND} changes/s`,
    rate: changes / SECONDS,
    p50Ms: percentile(report.latenciesMs, 0.5),
    p99Ms,
    ...toUsageColumns(readUsage(), changes / CHANGES_PER_EVENT),
    ...toToldColumns(report, changes),
    bars: [{ name: 'p99', value: p99Ms, atMost: P99_MS_AT_MOST }],
  });
  await watchers.close();
  return row;
}

/** In turns without and with clients; the watched environment is as busy without them. */
async function measurePublishing(
  { watchers, progress }: Live,
  { server, environmentId }: { server: PosthornProcess; environmentId: string },
): Promise<Row> {
  const publish = async (seconds: number) => {
    const watched = publishWatched(server.url, environmentId, seconds);
    const load = await runLoad({ ...PUBLISH, url: server.url, connections: PUBLISH_CONNECTIONS, seconds });
    await watched;
    return load.rate;
  };
  const publishBeside = async () => {
    await openClients(watchers, { server, environmentId, clients: CLIENTS });
    const rate = await publish(PUBLISH_SECONDS);
    await watchers.close();
    return rate;
  };
  await publish(2);
  return measureInTurns('publish beside', {
    progress: (round) => progress(`publishing, round ${round} of ${ROUNDS}`),
    alone: () => publish(PUBLISH_SECONDS),
    beside: publishBeside,
  });
}

async function measureDelivering(live: Live): Promise<Row> {
  const { databases, receiver, progress } = live;
  progress('preparing a backlog');
  const databaseUrl = await databases.create('live_backlog');
  await prepareBacklog({ databaseUrl, receiverUrl: receiver.url, endpoints: ENDPOINTS, events: EVENTS });
  return measureInTurns('deliver beside', {
    progress: (round) => progress(`delivering, round ${round} of ${ROUNDS}`),
    alone: async (round) => drainWatched(live, await databases.clone(`live_alone_${round}`, 'live_backlog'), 0),
    beside: async (round) => drainWatched(live, await databases.clone(`live_beside_${round}`, 'live_backlog'), CLIENTS),
  });
}

/** @returns deliveries of the backlog a second, with so many clients on the environment beside it */
async function drainWatched(live: Live, databaseUrl: string, clients: number): Promise<number> {
  const { databases, receiver, watchers } = live;
  const server = await startPosthorn(databaseUrl, 'api');
  try {
    const environmentId = await createWatched(server, live.watched);
    if (clients > 0) await openClients(watchers, { server, environmentId, clients: CLIENTS });
    const drained = new AbortController();
    const publishing = (async () => {
      while (!drained.signal.aborted) await publishWatched(server.url, environmentId, 1);
    })();
    await sleep(500);
    const { rate } = await drain({ databases, databaseUrl, receiver, deliveries: ENDPOINTS * EVENTS });
    drained.abort();
    await publishing;
    if (clients > 0) await watchers.close();
    return rate;
  } finally {
    await server.stop();
  }
}

interface Turns {
  progress: (round: number) => void;
  /** @returns the rate without clients */
  alone: (round: number) => Promise<number>;
  /** @returns the rate with clients */
  beside: (round: number) => Promise<number>;
}

async function measureInTurns(variant: string, { progress, alone, beside }: Turns): Promise<Row> {
  const rates = { alone: [] as number[], beside: [] as number[] };
  const measure = {
    alone: async (round: number) => rates.alone.push(await alone(round)),
    beside: async (round: number) => rates.beside.push(await beside(round)),
  };
  for (let round = 1; round <= ROUNDS; round += 1) {
    progress(round);
    const [first, second] = round % 2 === 1 ? [measure.alone, measure.beside] : [measure.beside, measure.alone];
    await first(round);
    await second(round);
  }
  const rate = mean(rates.beside);
  const floor = mean(rates.alone);
  return makeRow({
    scenario: 'live',
    variant,
    rate,
    floor,
    note: 'floor: without clients',
    bars: [{ name: 'ratio', value: rate / floor, atLeast: RATIO_AT_LEAST }],
  });
}
