import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { PgBoss } from 'pg-boss';

/**
 * The least honest work that stores events in bulk: four loops of transactions, each with 500 events, their deliveries,
 * the changes that tell of them, and the jobs. No HTTP, no GraphQL, nothing checked, no endpoints matched, and each
 * statement once its predecessor is answered. Works for `seconds` when a message asks for it.
 */

const LOOPS = 4;
const BATCH = 500;
const QUEUE = 'deliveries';

const databaseUrl = process.argv[2] as string;
const pool = new pg.Pool({ connectionString: databaseUrl, max: LOOPS });
const boss = new PgBoss({
  db: { executeSql: (text, values) => pool.query(text, values) },
  schedule: false,
  supervise: false,
  migrate: false,
});
await boss.start();

const { rows } = await pool.query('select organization_id, environment_id, id from endpoints');
const endpoint = rows[0];

const INSERT_EVENTS = `
insert into events (id, organization_id, environment_id, type, body, content_type, endpoint_count)
select id, $3, $4, 'bench.event', convert_to(body, 'UTF8'), 'application/json', 1
from unnest($1::uuid[], $2::text[]) as x(id, body)`;

const INSERT_DELIVERIES = `
insert into deliveries (id, event_id, organization_id, environment_id, endpoint_id, event_type, status, max_retries,
  queued_trigger)
select id, event_id, $3, $4, $5, 'bench.event', 'PENDING', 9, 'INITIAL' from unnest($1::uuid[], $2::uuid[]) as x(id, event_id)`;

const INSERT_CHANGES = `
insert into delivery_changes (delivery_id, event_id, environment_id, endpoint_id, status, changed_at)
select id, event_id, $3, $4, 'PENDING', now() from unnest($1::uuid[], $2::uuid[]) as x(id, event_id)`;

const BODY = JSON.stringify({ text: 'x'.repeat(1_000) });

async function store(client: pg.PoolClient) {
  const events = Array.from({ length: BATCH }, () => randomUUID());
  const deliveries = events.map(() => randomUUID());
  const { organization_id, environment_id, id } = endpoint;
  const run = (name: string, text: string, values: unknown[]) => client.query({ name, text, values });
  await client.query('begin');
  await run('events', INSERT_EVENTS, [events, events.map(() => BODY), organization_id, environment_id]);
  await run('deliveries', INSERT_DELIVERIES, [deliveries, events, organization_id, environment_id, id]);
  await run('changes', INSERT_CHANGES, [deliveries, events, environment_id, id]);
  const jobs = deliveries.map((deliveryId) => ({ data: { deliveryId, plan: 1 } }));
  await boss.insert(QUEUE, jobs, { db: { executeSql: (text, values) => run('jobs', text, values ?? []) } });
  await client.query('commit');
}

async function work(seconds: number) {
  const start = performance.now();
  let events = 0;
  const loop = async () => {
    const client = await pool.connect();
    while (performance.now() < start + seconds * 1_000) {
      await store(client);
      events += BATCH;
    }
    client.release();
  };
  await Promise.all(Array.from({ length: LOOPS }, loop));
  process.send?.({ rate: (events / (performance.now() - start)) * 1_000 });
}

process.on('message', ({ seconds }: { seconds: number }) => void work(seconds));
process.on('disconnect', () => process.exit());
process.send?.({});
