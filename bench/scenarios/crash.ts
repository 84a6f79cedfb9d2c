import { setTimeout as sleep } from 'node:timers/promises';
import { decodeId } from '../../src/domain/ids.ts';
import { prepareBacklog } from '../support/backlog.ts';
import { withClient } from '../support/databases.ts';
import { type RecordedOptions, waitUntilRecorded } from '../support/delivering.ts';
import { type PosthornProcess, startPosthorn } from '../support/processes.ts';
import { type Receiver, toCountColumns, withReceiver } from '../support/receiving.ts';
import { makeRow, type Row } from '../support/report.ts';
import type { Bench } from '../support/scenario.ts';
import { readPeakMemoryMb } from '../support/usage.ts';

const ENDPOINTS = 50;
/** 50,000 deliveries, so that several kills find some under way. */
const EVENTS = 1_000;
const EVENTS_FULL = 10_000;
/** Keeps attempts in flight, for kills to hit. */
const ANSWER_MS = 20;
const WORKERS = 2;
/** The first kill comes while the backlog is big, also on a fast machine. */
const FIRST_KILL_MS = 1_000;
const KILL_INTERVAL_MS = 3_000;
/** Time for what the killed worker had sent to Postgres, `commit` included, to be done. */
const SETTLE_MS = 300;
const TIME_MAX_MS = 120_000;

/**
 * A backlog of 50,000 drained by two workers, of which one after the other is killed with SIGKILL every 3 seconds and
 * started again, with one restart of Postgres in the middle. Nothing may be lost, and repeated only what was in flight
 * at a kill: sent, and not on record.
 */
export const benchCrash = (bench: Bench): Promise<Row[]> =>
  withReceiver(async (receiver) => {
    const { databases, progress, isFull } = bench;
    const events = isFull ? EVENTS_FULL : EVENTS;
    const deliveries = ENDPOINTS * events;
    progress(`preparing ${deliveries} deliveries`);
    const databaseUrl = await databases.create('crash');
    const query = `?delayMs=${ANSWER_MS}`;
    await prepareBacklog({ databaseUrl, receiverUrl: receiver.url, endpoints: ENDPOINTS, events, query });
    const crashes = new Crashes({ bench, receiver, databaseUrl, deliveries });
    try {
      const since = new Date();
      const isComplete = await crashes.run();
      const rate = isComplete ? await timeRecorded({ databaseUrl, deliveries, since, receiver }) : null;
      // For those that were on their way a second time.
      await sleep(SETTLE_MS);
      const counts = toCountColumns(await receiver.report(), deliveries);
      return [toRow(crashes, { rate, counts, deliveries })];
    } finally {
      await crashes.stop();
    }
  });

/** @returns deliveries a second */
async function timeRecorded(options: RecordedOptions): Promise<number> {
  const { first, last } = await waitUntilRecorded(options);
  return (options.deliveries * 1_000) / (last.getTime() - first.getTime());
}

interface CrashOptions {
  bench: Bench;
  receiver: Receiver;
  databaseUrl: string;
  deliveries: number;
}

/** Two workers that are killed in turns. */
class Crashes {
  readonly #options: CrashOptions;
  #workers: PosthornProcess[] = [];
  kills = 0;
  restarts = 0;
  /** Requests that the killed workers had sent and not put on record. */
  inFlight = 0;
  peakMemoryMb = 0;

  constructor(options: CrashOptions) {
    this.#options = options;
  }

  /** Goes on until everything was received. @returns false where the time ran out before */
  async run(): Promise<boolean> {
    const { bench, receiver, deliveries } = this.#options;
    while (this.#workers.length < WORKERS) this.#workers.push(await this.#start());
    const deadline = Date.now() + TIME_MAX_MS;
    await sleep(FIRST_KILL_MS);
    for (;;) {
      const count = await receiver.count();
      if (count >= deliveries) return true;
      if (Date.now() > deadline) return false;
      const next = sleep(KILL_INTERVAL_MS);
      await this.#killNext();
      if (this.restarts === 0 && count >= deliveries / 3) await this.#restartPostgres();
      bench.progress(`${count} of ${deliveries} received, killed ${this.kills}, ${this.inFlight} were in flight`);
      await next;
    }
  }

  async stop(): Promise<void> {
    this.#noteMemory();
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }

  #start = () => startPosthorn(this.#options.databaseUrl, 'worker');

  /** The oldest one, and puts another at the end of the line. */
  async #killNext() {
    const { receiver } = this.#options;
    this.#noteMemory();
    // Connections that closed before were idle, and not the killed worker's.
    await receiver.takeClosedKeys();
    await this.#workers.shift()?.kill();
    this.kills += 1;
    await sleep(SETTLE_MS);
    this.inFlight += await this.#countUnrecorded(await receiver.takeClosedKeys());
    this.#workers.push(await this.#start());
  }

  async #restartPostgres() {
    this.#options.bench.progress('restarting Postgres');
    await this.#options.bench.databases.restart();
    this.restarts += 1;
  }

  /** Deliveries with no attempt on record. @param keys path of the endpoint, a space, and `webhook-id` */
  async #countUnrecorded(keys: string[]): Promise<number> {
    const pairs = [...new Set(keys)].map((key) => key.split(' ') as [string, string]);
    return withClient(this.#options.databaseUrl, async (client) => {
      const { rows } = await client.query(
        `select count(*)::int as count from unnest($1::text[], $2::uuid[]) as k(url, event_id)
         join endpoints e on e.url = k.url join deliveries d on d.event_id = k.event_id and d.endpoint_id = e.id
         where d.attempt_count = 0`,
        [pairs.map(([path]) => this.#options.receiver.url + path), pairs.map(([, id]) => decodeId('Event', id))],
      );
      return rows[0].count;
    });
  }

  #noteMemory() {
    this.peakMemoryMb = Math.max(this.peakMemoryMb, readPeakMemoryMb(this.#workers).worker ?? 0);
  }
}

interface Outcome {
  /** Deliveries a second; null: not all came. */
  rate: number | null;
  counts: { lost: number; repeated: number };
  deliveries: number;
}

function toRow(crashes: Crashes, { rate, counts, deliveries }: Outcome): Row {
  return makeRow({
    scenario: 'crash',
    variant: `${deliveries} to ${ENDPOINTS}`,
    rate,
    peakMemoryMb: crashes.peakMemoryMb > 0 ? { worker: crashes.peakMemoryMb } : {},
    ...counts,
    bars: [
      { name: 'lost', value: counts.lost, atMost: 0 },
      { name: 'repeated', value: counts.repeated, atMost: crashes.inFlight },
    ],
    note: `${crashes.kills} kills, ${crashes.restarts} Postgres restart`,
  });
}
