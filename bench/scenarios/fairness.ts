import { setTimeout as sleep } from 'node:timers/promises';
import { createEndpoints, publishAll } from '../support/backlog.ts';
import { waitUntilRecorded } from '../support/delivering.ts';
import { createEndpoint, type EndpointInput, PAYLOAD, publishBody, publishEvents } from '../support/graphql.ts';
import { runSteadily } from '../support/load.ts';
import { type PosthornProcess, startPosthorn } from '../support/processes.ts';
import {
  type Receiver,
  type ReceiverReport,
  toCountColumns,
  waitUntilReceived,
  withReceiver,
} from '../support/receiving.ts';
import { makeRow, type Row } from '../support/report.ts';
import type { Bench } from '../support/scenario.ts';
import { percentile } from '../support/statistics.ts';
import { startMeter, toUsageColumns, type Usage } from '../support/usage.ts';

const HEALTHY = 40;
const BACKLOG_EVENTS = 250;
const BACKLOG = HEALTHY * BACKLOG_EVENTS;
const BAD_DELIVERIES = 20_000;
const BAD_EVENTS_PER_CALL = 500;
const NOTICE_SECONDS = 5;
const STEADY_PER_SECOND = 200;
const STEADY_SECONDS = 5;
const RATE_RATIO_AT_LEAST = 0.9;
const P99_RATIO_AT_MOST = 2;

/** @param url of a receiver that only the bad endpoint uses */
const makeBadEndpoints = (url: string): [variant: string, endpoint: Omit<EndpointInput, 'eventTypes'>][] => [
  ['never answers', { url: `${url}/never/` }],
  ['answers 500', { url: `${url}/500/` }],
  ['limited to 10/s', { url: `${url}/ok/`, rateLimitPerSecond: 10 }],
];

/**
 * What 40 healthy endpoints feel of a bad one that 20,000 older deliveries wait for: the rate at which 10,000
 * deliveries to them are drained, and how long an event takes to reach them at 200 events a second. Each against the
 * same without the bad endpoint. Before either is measured, the worker has 5 seconds to find out what the bad one is
 * like, and delivers a first backlog to the healthy ones: the first seconds of a new failure are not in these figures.
 */
export const benchFairness = (bench: Bench): Promise<Row[]> =>
  withReceiver((receiver) =>
    withReceiver(async (badReceiver) => {
      await prepareHealthy(bench, receiver);
      const measureOne = (variant: string, bad: EndpointInput | null) => measure({ bench, receiver, variant, bad });
      const alone = await measureOne('no bad endpoint', null);
      const rows = [toRow(alone, null)];
      for (const [variant, bad] of makeBadEndpoints(badReceiver.url)) {
        rows.push(toRow(await measureOne(variant, bad), alone));
      }
      return rows;
    }),
  );

/** Each takes the events of the backlog, and a type that it alone takes. */
async function prepareHealthy({ databases }: Bench, receiver: Receiver) {
  const server = await startPosthorn(await databases.create('fairness'), 'api');
  try {
    const endpoints = Array.from({ length: HEALTHY }, (_, index) => ({
      url: `${receiver.url}/ok/timed/${index}`,
      eventTypes: ['backlog', `steady.${index}`],
    }));
    await createEndpoints(server.url, endpoints);
  } finally {
    await server.stop();
  }
}

interface MeasureOptions {
  bench: Bench;
  /** Of the healthy endpoints. */
  receiver: Receiver;
  variant: string;
  /** Null: there is none. */
  bad: EndpointInput | null;
}

interface Measured {
  variant: string;
  /** Deliveries to healthy endpoints a second. */
  rate: number;
  /** Of the drain alone. */
  usage: Usage;
  /** Of drain and steady load. */
  report: ReceiverReport;
}

async function measure({ bench, receiver, variant, bad }: MeasureOptions): Promise<Measured> {
  const name = `fairness_${variant.replaceAll(/\W/g, '_')}`;
  const databaseUrl = await bench.databases.clone(name, 'fairness');
  await receiver.reset();
  const processes = [await startPosthorn(databaseUrl, 'api')];
  const { url } = processes[0] as PosthornProcess;
  try {
    bench.progress(`${variant}: publishing`);
    if (bad) await publishBad(url, bad);
    processes.push(await startPosthorn(databaseUrl, 'worker'));
    await Promise.all([sleep(NOTICE_SECONDS * 1_000), publishBacklog(url)]);
    await waitUntilReceived(receiver, BACKLOG);
    await receiver.reset();
    bench.progress(`${variant}: measuring`);
    const readUsage = startMeter(processes, bench.databases);
    const rate = await timeBacklog({ url, databaseUrl, receiver });
    const usage = readUsage();
    await runSteadily({ url, ratePerSecond: STEADY_PER_SECOND, seconds: STEADY_SECONDS, makeBody, expected: EXPECTED });
    await waitUntilReceived(receiver, EXPECTED_IN_ALL);
    return { variant, rate, usage, report: await receiver.report() };
  } finally {
    // Not stopped: that would wait for the attempts that are never answered.
    await Promise.all(processes.map((process) => process.kill()));
  }
}

const EXPECTED_IN_ALL = BACKLOG + STEADY_PER_SECOND * STEADY_SECONDS;
const EXPECTED = '"PublishEventPayload"';

async function publishBad(url: string, bad: EndpointInput) {
  await createEndpoint(url, { ...bad, eventTypes: ['bad'] });
  await publishAll(url, Array(BAD_DELIVERIES).fill({ type: 'bad', payload: PAYLOAD }), BAD_EVENTS_PER_CALL);
}

const publishBacklog = (url: string) =>
  publishEvents(url, Array(BACKLOG_EVENTS).fill({ type: 'backlog', payload: PAYLOAD }));

/** One call, so one transaction: all of the backlog is there at once. @returns deliveries a second, from then on */
async function timeBacklog(options: { url: string; databaseUrl: string; receiver: Receiver }): Promise<number> {
  const since = new Date();
  await publishBacklog(options.url);
  const publishedMs = Date.now();
  await waitUntilReceived(options.receiver, BACKLOG);
  const { last } = await waitUntilRecorded({ ...options, deliveries: BACKLOG, since });
  return (BACKLOG * 1_000) / (last.getTime() - publishedMs);
}

const makeBody = (index: number) =>
  publishBody({
    type: `steady.${index % HEALTHY}`,
    payload: { sentAtMs: performance.timeOrigin + performance.now(), ...PAYLOAD },
  });

/** @param alone what was measured without a bad endpoint; null: this is it */
function toRow({ variant, rate, usage, report }: Measured, alone: Measured | null): Row {
  const p99Ms = percentile(report.latenciesMs, 0.99);
  const bars = alone && [
    { name: 'ratio', value: rate / alone.rate, atLeast: RATE_RATIO_AT_LEAST },
    { name: 'p99', value: p99Ms / percentile(alone.report.latenciesMs, 0.99), atMost: P99_RATIO_AT_MOST },
  ];
  return makeRow({
    scenario: 'fairness',
    variant,
    rate,
    floor: alone?.rate ?? null,
    p50Ms: percentile(report.latenciesMs, 0.5),
    p99Ms,
    ...toUsageColumns(usage, BACKLOG),
    ...toCountColumns(report, EXPECTED_IN_ALL),
    bars: bars ?? [],
  });
}
