import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { dueBetween, Scheduler } from '../../src/deliver/scheduler.ts';
import { decodeId } from '../../src/domain/ids.ts';
import { createLog } from '../../src/log.ts';
import { openPool } from '../../src/storage/database.ts';
import { lockDeliveries } from '../../src/storage/lock-deliveries.ts';
import { until, useTestBed } from '../support/posthorn.ts';

const BATCH = 500;
const BEGINNING = new Date(0);

/** An API alone: nothing schedules retries but the test. */
const bed = useTestBed({ role: 'api' });
let pool: pg.Pool;
let endpointId: string;

beforeAll(async () => {
  pool = openPool(bed.database.url, createLog('silent'), { walksIndexes: true });
  const { id } = await bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: ['due.event'] });
  endpointId = decodeId('Endpoint', id) as string;
});

afterAll(() => pool.end());

beforeEach(() => bed.database.query('truncate deliveries, delivery_changes'));

/** Stores retries, each due a second before the one stored before, so that the order of due times is not that of IDs. */
async function insertDue(count: number) {
  await bed.database.query(
    `insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, status, max_retries,
       queued_trigger, next_attempt_at)
     select ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, organization_id, environment_id, gen_random_uuid(), id, 'due.event',
       'RETRYING', 9, 'RETRY', now() - interval '1 hour' - i * interval '1 second'
     from endpoints, generate_series(1, $2::int) as i where id = $1`,
    [endpointId, count],
  );
}

/** The statement that locks a batch of due retries, as the scheduler sends it. */
async function captureStatement() {
  const sent: { text: string; values: unknown[] }[] = [];
  const client = {
    query: async (query: (typeof sent)[number]) => {
      sent.push(query);
      return { rows: [] };
    },
  };
  await lockDeliveries(client as unknown as pg.ClientBase, dueBetween(BEGINNING, new Date()));
  return sent[0] as (typeof sent)[number];
}

interface Plan {
  'Node Type': string;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  'Actual Rows': number;
  Plans?: Plan[];
}

const flatten = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(flatten)];

/** Runs the statement. @returns the pages that it touched, and the most rows that any of its steps had */
async function measure() {
  const { text, values } = await captureStatement();
  const client = await pool.connect();
  try {
    await client.query('begin');
    const { rows } = await client.query(`explain (analyze, buffers, format json) ${text}`, values);
    const plan: Plan = rows[0]['QUERY PLAN'][0].Plan;
    return {
      pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'],
      rows: Math.max(...flatten(plan).map((step) => step['Actual Rows'])),
    };
  } finally {
    await client.query('rollback');
    client.release();
  }
}

describe('the scheduler', () => {
  it('reads as many rows and pages for a batch of due retries with 40,000 of them as with 2,000', async () => {
    await insertDue(2_000);
    const small = await measure();
    await bed.database.query('truncate deliveries');
    await insertDue(40_000);
    const large = await measure();
    expect(small.rows).toBe(BATCH);
    expect(large.rows).toBe(BATCH);
    expect(large.pages / small.pages).toBeLessThan(2);
  });

  it('locks due retries in order of due time, whatever their IDs are', async () => {
    await insertDue(1_500);
    const client = await pool.connect();
    try {
      await client.query('begin');
      const locked = await lockDeliveries(client, dueBetween(BEGINNING, new Date()));
      const dueAt = locked.map(({ nextAttemptAt }) => Number(nextAttemptAt));
      expect(dueAt).toEqual(dueAt.toSorted((a, b) => a - b));
      const [earliest] = await bed.database.query<{ at: Date }>('select min(next_attempt_at) as at from deliveries');
      expect(dueAt[0]).toBe(Number(earliest?.at));
    } finally {
      await client.query('rollback');
      client.release();
    }
  });

  it('queues every due retry once, also those that another transaction had locked when their batch was taken', async () => {
    await insertDue(2_600);
    const holder = new pg.Client({ connectionString: bed.database.url });
    await holder.connect();
    await holder.query('begin');
    await holder.query('select 1 from deliveries order by next_attempt_at limit 100 for update');
    const queued: string[] = [];
    const queue = {
      add: async (_: unknown, jobs: { deliveryId: string }[]) => {
        queued.push(...jobs.map(({ deliveryId }) => deliveryId));
      },
    };
    const signals = { send: () => {} };
    // biome-ignore lint/suspicious/noExplicitAny: of the queue and the signals, one method each is used
    const scheduler = new Scheduler({ pool, queue: queue as any, signals: signals as any, log: createLog('silent') });
    scheduler.start();
    try {
      await until(() => queued.length === 2_500, 'all unlocked retries to be queued');
      await holder.query('commit');
      await until(() => queued.length === 2_600, 'the retries that were locked to be queued');
      expect(new Set(queued).size).toBe(2_600);
    } finally {
      await scheduler.stop();
      await holder.end();
    }
  });
});
