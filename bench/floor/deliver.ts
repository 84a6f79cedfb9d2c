import { createHmac, randomUUID } from 'node:crypto';
import pg from 'pg';
import { type Job, PgBoss } from 'pg-boss';
import { Agent, request } from 'undici';

/**
 * The least honest work that delivers a backlog: fetch 100 jobs, read what they are about, sign, POST, write attempts
 * and states with one statement, complete the jobs; four loops. No retries, no lanes, no changes, no addresses checked.
 */

const LOOPS = 4;
const BATCH = 100;
const QUEUE = 'deliveries';

const databaseUrl = process.argv[2] as string;
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
const agent = new Agent({ connections: 128 });
const boss = new PgBoss({
  db: { executeSql: (text, values) => pool.query(text, values) },
  schedule: false,
  supervise: false,
  migrate: false,
});
await boss.start();

interface Row {
  id: string;
  event_id: string;
  url: string;
  body: Buffer;
}

const READ = `select d.id, d.event_id, e.url, v.body from deliveries d
  join events v on v.id = d.event_id join endpoints e on e.id = d.endpoint_id where d.id = any($1)`;

const WRITE = `with attempted as (
  insert into delivery_attempts (id, organization_id, environment_id, delivery_id, event_id, endpoint_id, number,
    trigger, status, request_url, request_method, request_headers, request_body_size, response_status, response_body,
    duration_ms, created_at)
  select i.attempt_id, d.organization_id, d.environment_id, d.id, d.event_id, d.endpoint_id, 1, 'INITIAL', 'SUCCEEDED',
    i.url, 'POST', i.headers::jsonb, i.size, i.status, i.body, i.ms, i.at
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::int[], $7::text[], $8::int[],
    $9::timestamptz[]) as i(id, attempt_id, url, headers, size, status, body, ms, at)
  join deliveries d on d.id = i.id)
update deliveries d set status = 'DELIVERED', attempt_count = 1, last_attempt_id = i.attempt_id,
  last_response_status = i.status, delivered_at = now(), updated_at = now()
from unnest($1::uuid[], $2::uuid[], $6::int[]) as i(id, attempt_id, status) where d.id = i.id`;

const SECRET = Buffer.alloc(32, 9);

async function send(row: Row) {
  const at = new Date();
  const seconds = Math.floor(at.getTime() / 1_000);
  const signature = createHmac('sha256', SECRET)
    .update(`${row.event_id}.${seconds}.`)
    .update(row.body)
    .digest('base64');
  const headers = {
    'content-type': 'application/json',
    'webhook-id': row.event_id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': `v1,${signature}`,
  };
  const response = await request(row.url, { dispatcher: agent, method: 'POST', headers, body: row.body });
  const body = await response.body.text();
  return { row, headers, at, body, status: response.statusCode, ms: Date.now() - at.getTime() };
}

async function deliver(jobs: Job<{ deliveryId: string }>[]) {
  const { rows } = await pool.query<Row>({
    name: 'read',
    text: READ,
    values: [jobs.map((job) => job.data.deliveryId)],
  });
  const sent = await Promise.all(rows.map(send));
  const values = [
    sent.map(({ row }) => row.id),
    sent.map(() => randomUUID()),
    sent.map(({ row }) => row.url),
    sent.map(({ headers }) => JSON.stringify(headers)),
    sent.map(({ row }) => row.body.length),
    sent.map(({ status }) => status),
    sent.map(({ body }) => body),
    sent.map(({ ms }) => ms),
    sent.map(({ at }) => at),
  ];
  await pool.query({ name: 'write', text: WRITE, values });
  await boss.complete(
    QUEUE,
    jobs.map((job) => job.id),
  );
}

let delivered = 0;
async function loop() {
  for (;;) {
    const jobs = await boss.fetch<{ deliveryId: string }>(QUEUE, { batchSize: BATCH });
    if (jobs.length === 0) return;
    await deliver(jobs);
    delivered += jobs.length;
  }
}

const start = performance.now();
await Promise.all(Array.from({ length: LOOPS }, loop));
process.send?.({ delivered, seconds: (performance.now() - start) / 1_000 });
process.on('disconnect', () => process.exit());
