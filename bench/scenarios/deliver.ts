import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Databases } from '../support/databases.ts';
import { ask, createEndpoint } from '../support/graphql.ts';
import { startPosthorn, startWorker } from '../support/processes.ts';
import type { Progress, Report } from '../support/report.ts';

const DELIVERIES = 20_000;
const ENDPOINTS = 50;
const EVENTS_PER_CALL = 100;
const ROUNDS = 2;
const POLL_MS = 20;
const TIME_MAX_MS = 120_000;
const TARGET = 0.5;

const PUBLISH = `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) { __typename } }`;

/**
 * A backlog of 20,000 deliveries to 50 endpoints on a local receiver, drained by a worker, and by the floor's four
 * loops from a copy of the same database.
 */
export async function benchDeliver(databases: Databases, progress: Progress): Promise<Report> {
  const receiver = startWorker<{ port: number }>('support/receiver.ts', []);
  try {
    const { port } = await receiver.next();
    progress(`preparing ${DELIVERIES} deliveries`);
    await prepareBacklog(await databases.create('backlog'), `http://127.0.0.1:${port}/`);
    const rates: number[] = [];
    const floors: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      progress(`round ${round} of ${ROUNDS}: floor`);
      floors.push(await timeFloor(await databases.clone(`floor_${round}`, 'backlog')));
      progress(`round ${round} of ${ROUNDS}: Posthorn`);
      rates.push(await timePosthorn(await databases.clone(`posthorn_${round}`, 'backlog')));
    }
    const best = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
    const details = { deliveries: DELIVERIES, endpoints: ENDPOINTS };
    return { scenario: 'deliver', rate: best(rates), floor: best(floors), target: TARGET, details };
  } finally {
    await receiver.stop();
  }
}

async function prepareBacklog(databaseUrl: string, receiverUrl: string) {
  const server = await startPosthorn(databaseUrl, 'api');
  try {
    for (let index = 0; index < ENDPOINTS; index += 1) {
      await createEndpoint(server.url, { url: `${receiverUrl}${index}` });
    }
    const events = Array.from({ length: EVENTS_PER_CALL }, () => ({
      type: 'bench.event',
      payload: { text: 'x'.repeat(1_000) },
    }));
    for (let sent = 0; sent < DELIVERIES; sent += EVENTS_PER_CALL * ENDPOINTS)
      await ask(server.url, PUBLISH, { events });
  } finally {
    await server.stop();
  }
  await withClient(databaseUrl, (client) => client.query('vacuum analyze'));
}

/** Deliveries a second, from the first attempt on record to the last. */
async function timePosthorn(databaseUrl: string): Promise<number> {
  const worker = await startPosthorn(databaseUrl, 'worker');
  try {
    return await withClient(databaseUrl, async (client) => {
      await waitUntilDelivered(client);
      const { rows } = await client.query(
        `select extract(epoch from max(updated_at) - min(a.created_at))::float8 as seconds
         from deliveries d join delivery_attempts a on a.id = d.last_attempt_id`,
      );
      return DELIVERIES / rows[0].seconds;
    });
  } finally {
    await worker.stop();
  }
}

async function waitUntilDelivered(client: pg.Client) {
  const deadline = Date.now() + TIME_MAX_MS;
  while (Date.now() < deadline) {
    const { rows } = await client.query("select 1 from deliveries where status <> 'DELIVERED' limit 1");
    if (rows.length === 0) return;
    await sleep(POLL_MS * 10);
  }
  throw new Error(`The backlog was not delivered within ${TIME_MAX_MS} ms.`);
}

async function timeFloor(databaseUrl: string): Promise<number> {
  const floor = startWorker<{ delivered: number; seconds: number }>('floor/deliver.ts', [databaseUrl]);
  try {
    const { delivered, seconds } = await floor.next();
    if (delivered !== DELIVERIES) throw new Error(`The floor delivered ${delivered} of ${DELIVERIES}.`);
    return delivered / seconds;
  } finally {
    await floor.stop();
  }
}

async function withClient<T>(databaseUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
