import type { Databases } from '../support/databases.ts';
import { createEndpoint, PAYLOAD, publishBody } from '../support/graphql.ts';
import { type LoadResult, runLoad } from '../support/load.ts';
import { type PosthornProcess, startPosthorn, startWorker } from '../support/processes.ts';
import { makeRow, type Row } from '../support/report.ts';
import type { Bench } from '../support/scenario.ts';
import { mean, percentile } from '../support/statistics.ts';
import { addUsages, startMeter, toUsageColumns, type Usage } from '../support/usage.ts';

/** By the number of connections: the more calls share a transaction, the less each has to carry of it. */
const RATIOS_AT_LEAST = new Map([
  [32, 0.4],
  [128, 0.6],
]);
const ROUNDS = 3;
const ROUND_SECONDS = 3;
const WARM_UP_SECONDS = 4;

const TYPENAME = { body: '{"query":"{ __typename }"}', expected: '"Query"' };
const PUBLISH = { body: publishBody({ type: 'bench.event', payload: PAYLOAD }), expected: '"PublishEventPayload"' };

/**
 * Single `publishEvent` mutations of 1 KB with one matching endpoint, against `{ __typename }` on the same server, in
 * turns; and, to show what a Yoga costs as it comes, `{ __typename }` there.
 */
export async function benchPublish({ databases, progress }: Bench): Promise<Row[]> {
  const server = await startPosthorn(await databases.create('publish'), 'api');
  const yoga = startWorker<{ port: number }>('floor/yoga.ts', []);
  try {
    const stockUrl = `http://127.0.0.1:${(await yoga.next()).port}`;
    await createEndpoint(server.url, { url: 'http://127.0.0.1:2/' });
    const rows: Row[] = [];
    for (const [connections, atLeast] of RATIOS_AT_LEAST) {
      progress(`${connections} connections`);
      rows.push(await measureStock(stockUrl, connections));
      const rounds = await measureInTurns(server, databases, connections);
      rows.push(toRow(rounds, connections, atLeast));
    }
    return rows;
  } finally {
    await yoga.stop();
    await server.stop();
  }
}

async function measureStock(url: string, connections: number): Promise<Row> {
  await runLoad({ ...TYPENAME, url, connections, seconds: 1 });
  const { rate, latenciesMs } = await runLoad({ ...TYPENAME, url, connections, seconds: ROUND_SECONDS });
  const note = '{ __typename } of a stock Yoga';
  return makeRow({ scenario: 'publish', variant: `stock, ${connections}`, rate, ...toLatencies(latenciesMs), note });
}

interface Round {
  floor: LoadResult;
  load: LoadResult;
  usage: Usage;
}

async function measureInTurns(server: PosthornProcess, databases: Databases, connections: number): Promise<Round[]> {
  const base = { url: server.url, connections };
  await runLoad({ ...base, ...TYPENAME, seconds: 1 });
  await runLoad({ ...base, ...PUBLISH, seconds: WARM_UP_SECONDS });
  const rounds: Round[] = [];
  while (rounds.length < ROUNDS) {
    const floor = await runLoad({ ...base, ...TYPENAME, seconds: ROUND_SECONDS });
    const readUsage = startMeter([server], databases);
    const load = await runLoad({ ...base, ...PUBLISH, seconds: ROUND_SECONDS });
    rounds.push({ floor, load, usage: readUsage() });
  }
  return rounds;
}

function toRow(rounds: Round[], connections: number, atLeast: number): Row {
  const rate = mean(rounds.map(({ load }) => load.rate));
  const floor = mean(rounds.map((round) => round.floor.rate));
  const published = rounds.reduce((sum, { load }) => sum + load.requests, 0);
  return makeRow({
    scenario: 'publish',
    variant: `${connections} connections`,
    rate,
    floor,
    ...toLatencies(rounds.flatMap(({ load }) => load.latenciesMs)),
    ...toUsageColumns(addUsages(rounds.map(({ usage }) => usage)), published),
    bars: [{ name: 'ratio', value: rate / floor, atLeast }],
  });
}

const toLatencies = (latenciesMs: number[]) => ({
  p50Ms: percentile(latenciesMs, 0.5),
  p99Ms: percentile(latenciesMs, 0.99),
});
