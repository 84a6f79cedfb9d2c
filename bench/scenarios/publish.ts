import type { Databases } from '../support/databases.ts';
import { createEndpoint } from '../support/graphql.ts';
import { type LoadResult, runLoad } from '../support/load.ts';
import { ROOT_KEY, startPosthorn } from '../support/processes.ts';
import type { Progress, Report } from '../support/report.ts';

const CONNECTIONS = 32;
const ROUNDS = 3;
const ROUND_SECONDS = 3;
const WARM_UP_SECONDS = 2;
const TARGET = 0.3;

const PAYLOAD = { text: 'x'.repeat(1_000) };
const PUBLISH = `mutation ($input: PublishEventInput!) {
  publishEvent(input: $input) { __typename ... on PublishEventPayload { duplicate event { id } } } }`;

/**
 * Single `publishEvent` mutations of 1 KB with one matching endpoint, against `{ __typename }` on the same server,
 * in turns.
 */
export async function benchPublish(databases: Databases, progress: Progress): Promise<Report> {
  const server = await startPosthorn(await databases.create('publish'), 'api');
  try {
    await createEndpoint(server.url, { url: 'http://127.0.0.1:9/' });
    const base = { url: server.url, key: ROOT_KEY, connections: CONNECTIONS };
    const floorLoad = { ...base, body: '{"query":"{ __typename }"}', expected: '"Query"' };
    const body = JSON.stringify({ query: PUBLISH, variables: { input: { type: 'bench.event', payload: PAYLOAD } } });
    const publishLoad = { ...base, body, expected: '"PublishEventPayload"' };
    progress('warming up');
    await runLoad({ ...floorLoad, seconds: WARM_UP_SECONDS });
    await runLoad({ ...publishLoad, seconds: WARM_UP_SECONDS });
    const floors: LoadResult[] = [];
    const rates: LoadResult[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      progress(`round ${round} of ${ROUNDS}`);
      floors.push(await runLoad({ ...floorLoad, seconds: ROUND_SECONDS }));
      rates.push(await runLoad({ ...publishLoad, seconds: ROUND_SECONDS }));
    }
    const p50Ms = mean(rates.map((result) => result.p50Ms));
    const p99Ms = mean(rates.map((result) => result.p99Ms));
    return {
      scenario: 'publish',
      rate: mean(rates.map((result) => result.rate)),
      floor: mean(floors.map((result) => result.rate)),
      target: TARGET,
      details: { connections: CONNECTIONS, p50Ms, p99Ms },
    };
  } finally {
    await server.stop();
  }
}

const mean = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
