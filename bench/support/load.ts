import { Pool } from 'undici';

export interface LoadResult {
  /** Requests a second. */
  rate: number;
  p50Ms: number;
  p99Ms: number;
}

export interface LoadOptions {
  url: string;
  key: string;
  connections: number;
  seconds: number;
  /** Body of the next request. */
  makeBody: () => string;
  /** Throws where an answer is not what it must be. */
  check: (body: string) => void;
}

/** Sends GraphQL requests over keep-alive connections, one at a time on each, for some seconds. */
export async function runLoad({ url, key, connections, seconds, makeBody, check }: LoadOptions): Promise<LoadResult> {
  const pool = new Pool(url, { connections, pipelining: 1 });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const latencies: number[] = [];
  const start = performance.now();
  const end = start + seconds * 1_000;
  const loop = async () => {
    while (performance.now() < end) {
      const began = performance.now();
      const response = await pool.request({ path: '/graphql', method: 'POST', headers, body: makeBody() });
      check(await response.body.text());
      latencies.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: connections }, loop));
  const elapsed = (performance.now() - start) / 1_000;
  await pool.close();
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor((latencies.length - 1) * share)] ?? 0;
  return { rate: latencies.length / elapsed, p50Ms: at(0.5), p99Ms: at(0.99) };
}
