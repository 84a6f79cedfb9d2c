import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { until, useTestBed } from './support/posthorn.ts';
import { useProcesses, waitUntilStarted } from './support/processes.ts';

const HOSTS = 400;
const DESCRIPTORS = 256;

const bed = useTestBed({ role: 'api' });
const { spawnOn } = useProcesses();

/** Creates endpoints, 50 a request. */
async function createEndpoints(urls: string[]) {
  for (let start = 0; start < urls.length; start += 50) {
    const fields = urls.slice(start, start + 50).map(
      (url, index) => `e${index}: createEndpoint(input: { url: ${JSON.stringify(url)}, eventTypes: ["all"],
        retryPolicy: { maxRetries: 0 } }) { ... on CreateEndpointPayload { endpoint { id } } }`,
    );
    const { errors } = await bed.graphql(`mutation { ${fields.join('\n')} }`);
    if (errors) throw new Error(JSON.stringify(errors));
  }
}

describe.skipIf(process.platform !== 'linux')('a worker that may open few files', () => {
  it('delivers to more hosts than it has descriptors, each with its first attempt, and its own work goes on', async () => {
    let open = 0;
    let openMost = 0;
    const server = createServer(async (request, response) => {
      request.resume();
      open += 1;
      openMost = Math.max(openMost, open);
      // Long enough that they meet.
      await sleep(100);
      open -= 1;
      response.end();
    }).listen(0, '0.0.0.0');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const urls = Array.from(
      { length: HOSTS },
      (_, index) => `http://127.0.${1 + (index >> 8)}.${index & 255}:${port}/`,
    );
    await createEndpoints(urls);
    const worker = spawnOn(bed.database.url, { POSTHORN_ROLE: 'worker' }, { descriptors: DESCRIPTORS });
    await waitUntilStarted(worker);
    await bed.publish({ type: 'all' });
    const rows = await until(async () => {
      const found = await bed.database.query<{ status: string; attempt_count: number; count: number }>(
        'select status, attempt_count, count(*)::int from deliveries group by 1, 2',
      );
      return found.every(({ status }) => status === 'DELIVERED') && found;
    }, 'all deliveries');
    expect(rows).toEqual([{ status: 'DELIVERED', attempt_count: 1, count: HOSTS }]);
    expect(openMost).toBeGreaterThan(DESCRIPTORS / 8);
    expect(openMost).toBeLessThanOrEqual(DESCRIPTORS / 2);
    expect(worker.stdout()).not.toMatch(/EMFILE|loop\.failed/);
    server.close();
  }, 60_000);
});
