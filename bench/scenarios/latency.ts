import { createEndpoint, PAYLOAD, publishBody } from '../support/graphql.ts';
import { runSteadily } from '../support/load.ts';
import { type PosthornProcess, startPosthorn } from '../support/processes.ts';
import { type Receiver, toCountColumns, waitUntilReceived, withReceiver } from '../support/receiving.ts';
import { type Bar, makeRow, type Row } from '../support/report.ts';
import type { Bench } from '../support/scenario.ts';
import { percentile } from '../support/statistics.ts';
import { startMeter, toUsageColumns } from '../support/usage.ts';

const RATES_PER_SECOND = [100, 300];
const SECONDS = 10;
const SECONDS_FULL = 60;
const WARM_UP_SECONDS = 3;
/** The rate that has bars; above it, a small machine is busy with making the load. */
const RATE_WITH_BARS = 100;
const P50_MS_AT_MOST = 15;
const P99_MS_AT_MOST = 100;

/** Events of 1 KB published evenly through HTTP: from sending the request until the one endpoint has its webhook. */
export const benchLatency = (bench: Bench): Promise<Row[]> =>
  withReceiver(async (receiver) => {
    const server = await startPosthorn(await bench.databases.create('latency'), 'all');
    try {
      await createEndpoint(server.url, { url: `${receiver.url}/ok/timed/0` });
      const rows: Row[] = [];
      for (const rate of RATES_PER_SECOND) {
        bench.progress(`${rate} events a second`);
        rows.push(await measure({ bench, server, receiver, rate }));
      }
      return rows;
    } finally {
      await server.stop();
    }
  });

interface MeasureOptions {
  bench: Bench;
  server: PosthornProcess;
  receiver: Receiver;
  /** Events a second. */
  rate: number;
}

async function measure({ bench, server, receiver, rate }: MeasureOptions): Promise<Row> {
  const load = { url: server.url, ratePerSecond: rate, makeBody, expected: '"PublishEventPayload"' };
  await waitUntilReceived(receiver, await runSteadily({ ...load, seconds: WARM_UP_SECONDS }));
  await receiver.reset();
  const readUsage = startMeter([server], bench.databases);
  const seconds = bench.isFull ? SECONDS_FULL : SECONDS;
  const count = await runSteadily({ ...load, seconds });
  await waitUntilReceived(receiver, count);
  const usage = readUsage();
  const report = await receiver.report();
  await receiver.reset();
  const p50Ms = percentile(report.latenciesMs, 0.5);
  const p99Ms = percentile(report.latenciesMs, 0.99);
  return makeRow({
    scenario: 'latency',
    variant: `${rate}/s for ${seconds} s`,
    rate,
    p50Ms,
    p99Ms,
    ...toUsageColumns(usage, count),
    ...toCountColumns(report, count),
    bars: rate === RATE_WITH_BARS ? makeBars(p50Ms, p99Ms) : [],
  });
}

const makeBody = () =>
  publishBody({ type: 'bench.event', payload: { sentAtMs: performance.timeOrigin + performance.now(), ...PAYLOAD } });

const makeBars = (p50Ms: number, p99Ms: number): Bar[] => [
  { name: 'p50', value: p50Ms, atMost: P50_MS_AT_MOST },
  { name: 'p99', value: p99Ms, atMost: P99_MS_AT_MOST },
];
