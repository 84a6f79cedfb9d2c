import { setTimeout as sleep } from 'node:timers/promises';
import { type Databases, withClient } from './databases.ts';
import { startPosthorn } from './processes.ts';
import { type Receiver, type ReceiverReport, waitUntilReceived } from './receiving.ts';
import { mean } from './statistics.ts';
import { addUsages, startMeter, type Usage } from './usage.ts';

const POLL_MS = 100;
const TIME_MAX_MS = 120_000;

export interface DrainOptions {
  databases: Databases;
  databaseUrl: string;
  /** Is reset before. */
  receiver: Receiver;
  /** How many wait. */
  deliveries: number;
}

export interface Drained {
  /** Deliveries a second, from the beginning of the first attempt to the record of the last one. */
  rate: number;
  usage: Usage;
  report: ReceiverReport;
}

/** Several runs as one: rates are averaged, all else is added up. */
export function addDrained(runs: Drained[]): Drained {
  const sum = (of: (report: ReceiverReport) => number) => runs.reduce((total, { report }) => total + of(report), 0);
  return {
    rate: mean(runs.map(({ rate }) => rate)),
    usage: addUsages(runs.map(({ usage }) => usage)),
    report: {
      requests: sum(({ requests }) => requests),
      distinct: sum(({ distinct }) => distinct),
      latenciesMs: runs.flatMap(({ report }) => report.latenciesMs),
    },
  };
}

/** Starts a worker on a backlog and waits until it is delivered. */
export async function drain({ databases, databaseUrl, receiver, deliveries }: DrainOptions): Promise<Drained> {
  await receiver.reset();
  const since = new Date();
  const worker = await startPosthorn(databaseUrl, 'worker');
  try {
    const readUsage = startMeter([worker], databases);
    await waitUntilReceived(receiver, deliveries);
    const { first, last } = await waitUntilRecorded({ databaseUrl, deliveries, since, receiver });
    const rate = (deliveries * 1_000) / (last.getTime() - first.getTime());
    return { rate, usage: readUsage(), report: await receiver.report() };
  } finally {
    await worker.stop();
  }
}

export interface RecordedOptions {
  databaseUrl: string;
  deliveries: number;
  /** Attempts that began before are not of these deliveries. */
  since: Date;
  /** Nor are those to another one. */
  receiver: Receiver;
}

const RECORDED = `
select count(*)::int as count, min(a.created_at) as first, max(d.updated_at) as last
from delivery_attempts a join deliveries d on d.id = a.delivery_id and d.last_attempt_id = a.id
where a.created_at >= $1 and starts_with(a.request_url, $2) and a.status = 'SUCCEEDED' and d.status = 'DELIVERED'`;

export interface Recorded {
  /** When the first attempt began. */
  first: Date;
  /** When the last outcome was recorded. */
  last: Date;
}

/** Waits until all outcomes are on record. */
export async function waitUntilRecorded(options: RecordedOptions): Promise<Recorded> {
  const { databaseUrl, deliveries, since, receiver } = options;
  return withClient(databaseUrl, async (client) => {
    const deadline = Date.now() + TIME_MAX_MS;
    while (Date.now() < deadline) {
      const { rows } = await client.query(RECORDED, [since, receiver.url]);
      if (rows[0].count >= deliveries) return rows[0];
      await sleep(POLL_MS);
    }
    throw new Error(`Not all of ${deliveries} deliveries were on record within ${TIME_MAX_MS} ms.`);
  });
}
