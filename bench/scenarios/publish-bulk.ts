import type { Databases } from '../support/databases.ts';
import { createEndpoint, PAYLOAD, publishManyBody } from '../support/graphql.ts';
import { type LoadResult, runLoad } from '../support/load.ts';
import { startPosthorn, startWorker, type Worker } from '../support/processes.ts';
import { makeRow, type Row } from '../support/report.ts';
import type { Bench } from '../support/scenario.ts';
import { mean, percentile } from '../support/statistics.ts';
import { addUsages, startMeter, toUsageColumns, type Usage } from '../support/usage.ts';

const EVENTS_PER_CALL = 500;
const CONNECTIONS = 4;
const ROUNDS = 3;
const ROUND_SECONDS = 3;
const WARM_UP_SECONDS = 2;
const RATIO_AT_LEAST = 0.6;

const EVENTS = Array(EVENTS_PER_CALL).fill({ type: 'bench.event', payload: PAYLOAD });
const PUBLISH = {
  body: publishManyBody(EVENTS),
  expected: '"PublishEventsPayload"',
  connections: CONNECTIONS,
};

/**
 * `publishEvents` of 500 events of 1 KB with one matching endpoint, against transactions of hand-written inserts of the
 * same rows and jobs into a database of their own, in turns.
 */
export async function benchPublishBulk({ databases, progress }: Bench): Promise<Row[]> {
  const floorUrl = await prepareFloor(databases);
  const server = await startPosthorn(await databases.clone('publish_bulk', 'publish_bulk_floor'), 'api');
  const floor = startWorker('floor/publish-bulk.ts', [floorUrl]);
  try {
    await floor.next();
    const load = (seconds: number) => runLoad({ ...PUBLISH, url: server.url, seconds });
    progress('warming up');
    await runFloor(floor, WARM_UP_SECONDS);
    await load(WARM_UP_SECONDS);
    const rounds: Round[] = [];
    while (rounds.length < ROUNDS) {
      progress(`round ${rounds.length + 1} of ${ROUNDS}`);
      const floorRate = await runFloor(floor, ROUND_SECONDS);
      const readUsage = startMeter([server], databases);
      rounds.push({ floorRate, load: await load(ROUND_SECONDS), usage: readUsage() });
    }
    return [toRow(rounds)];
  } finally {
    await floor.stop();
    await server.stop();
  }
}

/** @returns connection string of a database with its tables and one endpoint */
async function prepareFloor(databases: Databases): Promise<string> {
  const databaseUrl = await databases.create('publish_bulk_floor');
  const server = await startPosthorn(databaseUrl, 'api');
  try {
    await createEndpoint(server.url, { url: 'http://127.0.0.1:2/' });
  } finally {
    await server.stop();
  }
  return databaseUrl;
}

/** @returns events a second */
const runFloor = async (floor: Worker<unknown>, seconds: number): Promise<number> =>
  (await floor.ask<{ rate: number }>({ seconds })).rate;

interface Round {
  floorRate: number;
  load: LoadResult;
  usage: Usage;
}

function toRow(rounds: Round[]): Row {
  const rate = mean(rounds.map(({ load }) => load.rate)) * EVENTS_PER_CALL;
  const floor = mean(rounds.map(({ floorRate }) => floorRate));
  const latenciesMs = rounds.flatMap(({ load }) => load.latenciesMs);
  return makeRow({
    scenario: 'publish-bulk',
    variant: `${EVENTS_PER_CALL} × ${CONNECTIONS} connections`,
    rate,
    floor,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    ...toUsageColumns(addUsages(rounds.map(({ usage }) => usage)), latenciesMs.length * EVENTS_PER_CALL),
    bars: [{ name: 'ratio', value: rate / floor, atLeast: RATIO_AT_LEAST }],
  });
}
