import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, makeRequest, openConnection } from './connection.ts';

export interface LoadOptions {
  /** Of the server, without a path. */
  url: string;
  connections: number;
  seconds: number;
  /** Body of every request. */
  body: string;
  /** What every answer must have in it. */
  expected: string;
}

export interface LoadResult {
  requests: number;
  /** Requests a second. */
  rate: number;
  latenciesMs: number[];
}

/** Sends a GraphQL request over keep-alive connections, one at a time on each, for some seconds. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { url, body, expected, seconds } = options;
  const connections = await Promise.all(Array.from({ length: options.connections }, () => openConnection(url)));
  const request = makeRequest(url, body);
  const latenciesMs: number[] = [];
  const start = performance.now();
  const end = start + seconds * 1_000;
  const loop = async ({ exchange }: Connection) => {
    while (performance.now() < end) {
      const began = performance.now();
      refuseOther(await exchange(request), expected);
      latenciesMs.push(performance.now() - began);
    }
  };
  try {
    await Promise.all(connections.map(loop));
  } finally {
    for (const connection of connections) connection.close();
  }
  const elapsedSeconds = (performance.now() - start) / 1_000;
  return { requests: latenciesMs.length, rate: latenciesMs.length / elapsedSeconds, latenciesMs };
}

export interface SteadyOptions {
  /** Of the server, without a path. */
  url: string;
  ratePerSecond: number;
  seconds: number;
  /** Makes the body of each request when its time has come. @param index from 0 */
  makeBody: (index: number) => string;
  /** Public ID. @default the default one */
  environmentId?: string;
  /** What every answer must have in it. */
  expected: string;
}

/** Sends GraphQL requests evenly spaced, whether or not earlier ones are answered. @returns how many */
export async function runSteadily(options: SteadyOptions): Promise<number> {
  const { url, ratePerSecond, seconds, makeBody, environmentId, expected } = options;
  const count = ratePerSecond * seconds;
  let free: Connection[] = [];
  const takeConnection = () => {
    free = free.filter((connection) => connection.isOpen());
    // In turns, so that none is idle for so long that the server closes it at just this moment.
    return free.shift() ?? openConnection(url);
  };
  const sendOne = async (index: number) => {
    const connection = await takeConnection();
    refuseOther(await connection.exchange(makeRequest(url, makeBody(index), environmentId)), expected);
    free.push(connection);
  };
  const start = performance.now();
  const sent: Promise<void>[] = [];
  for (let index = 0; index < count; index += 1) {
    await sleepUntil(start + (index * 1_000) / ratePerSecond);
    const one = sendOne(index);
    // Thrown below: until then other requests are still to be sent.
    one.catch(() => {});
    sent.push(one);
  }
  await Promise.all(sent);
  for (const connection of free) connection.close();
  return count;
}

/** @param timeMs of `performance.now()` */
async function sleepUntil(timeMs: number) {
  const leftMs = timeMs - performance.now();
  if (leftMs > 0) await sleep(leftMs);
}

function refuseOther(answer: string, expected: string) {
  if (!answer.includes(expected)) throw new Error(`The server answered ${answer.slice(0, 800)}.`);
}
