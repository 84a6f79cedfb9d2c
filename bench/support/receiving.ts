import { setTimeout as sleep } from 'node:timers/promises';
import { startWorker } from './processes.ts';

/** A message to the receiver's process. */
export interface ReceiverRequest {
  ask: 'reset' | 'report' | 'count' | 'takeClosedKeys';
}

/** What came since the last reset. */
export interface ReceiverReport {
  requests: number;
  /** Deliveries among them: pairs of path and `webhook-id`. */
  distinct: number;
  /** From `sentAtMs` in the body to the end of the request, where the path asks for it. */
  latenciesMs: number[];
}

/** The process that takes the webhooks. */
export interface Receiver {
  /** Without a path. */
  url: string;
  /** Forgets everything. */
  reset(): Promise<void>;
  report(): Promise<ReceiverReport>;
  /** Deliveries that came. */
  count(): Promise<number>;
  /** What came over connections that have closed since the last call: path, a space, and `webhook-id`. */
  takeClosedKeys(): Promise<string[]>;
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const worker = startWorker<{ port: number }>('support/receiver.ts', []);
  const { port } = await worker.next();
  const ask = <Answer>(request: ReceiverRequest) => worker.ask<Answer>(request);
  return {
    url: `http://127.0.0.1:${port}`,
    reset: async () => void (await ask({ ask: 'reset' })),
    report: () => ask({ ask: 'report' }),
    count: async () => (await ask<{ distinct: number }>({ ask: 'count' })).distinct,
    takeClosedKeys: async () => (await ask<{ keys: string[] }>({ ask: 'takeClosedKeys' })).keys,
    stop: () => worker.stop(),
  };
}

/** Runs work with a receiver, and stops it. */
export async function withReceiver<T>(work: (receiver: Receiver) => Promise<T>): Promise<T> {
  const receiver = await startReceiver();
  try {
    return await work(receiver);
  } finally {
    await receiver.stop();
  }
}

const POLL_MS = 100;
const TIME_MAX_MS = 120_000;

/** The receiver is asked rather than the database: counting rows would take from what is measured. */
export async function waitUntilReceived(receiver: Receiver, deliveries: number): Promise<void> {
  const deadline = Date.now() + TIME_MAX_MS;
  while ((await receiver.count()) < deliveries) {
    if (Date.now() > deadline) {
      throw new Error(`Of ${deliveries} deliveries ${await receiver.count()} came within ${TIME_MAX_MS} ms.`);
    }
    await sleep(POLL_MS);
  }
}

/** The columns of a row that tell what came twice or not at all. */
export const toCountColumns = ({ requests, distinct }: ReceiverReport, expected: number) => ({
  lost: expected - distinct,
  repeated: requests - distinct,
});
