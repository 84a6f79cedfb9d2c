import { expect, it } from 'vitest';
import { newId } from '../../src/domain/ids.ts';
import { createLog } from '../../src/log.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { findQueued } from '../../src/storage/find-stranded.ts';
import { openMigrationConnection } from '../../src/storage/migrations/migration-connection.ts';
import { useTestBed } from '../support/posthorn.ts';

const bed = useTestBed({ role: 'api' });

it.each([
  { isPooled: false, prepared: ['known'] },
  { isPooled: true, prepared: [] },
])('statements are prepared by name only where connections are its own: %o', async ({ isPooled, prepared }) => {
  const database = openDatabase(bed.database.url, createLog('silent'), { isPooled });
  const client = await database.pool.connect();
  try {
    const answer = await client.query({ name: 'known', text: 'select $1::int as number', values: [7] });
    expect(answer.rows).toEqual([{ number: 7 }]);
    const { rows } = await client.query('select name from pg_prepared_statements');
    expect(rows.map(({ name }) => name)).toEqual(prepared);
  } finally {
    client.release();
    await database.close();
  }
});

it('a page that nearly all rows fit does not walk past those that are newer and do not', async () => {
  const database = openDatabase(bed.database.url, createLog('silent'));
  const environmentId = newId();
  // So few that the primary key has as many levels as the others.
  await bed.database.query(
    `insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, status, max_retries, last_response_status)
     select uuidv7(), gen_random_uuid(), $1, gen_random_uuid(), gen_random_uuid(), kind.type, kind.status, 9, kind.response_status
     from (values (12000, 'old.event', 'DELIVERED'::delivery_status, 200), (300, 'new.event', 'PENDING', null)) as kind(count, type, status, response_status),
       generate_series(1, kind.count)`,
    [environmentId],
  );
  await bed.database.query('vacuum analyze deliveries');
  const explain = async (filter: string) => {
    const page = `select * from deliveries where environment_id = '${environmentId}' and ${filter} order by id desc limit 21`;
    const { rows } = await database.pool.query(`explain ${page}`);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  };
  try {
    expect(await explain("event_type = 'old.event'")).toContain('deliveries_environment_id_event_type_id_idx');
    expect(await explain("status = 'DELIVERED'")).toContain('deliveries_environment_id_status_id_idx');
    expect(await explain('last_response_status = 200')).toContain('deliveries_last_response_status_idx');
  } finally {
    await database.close();
  }
});

it('Postgres ends sessions of a machine that vanished, and transactions of a process that stands still, within half a minute', async () => {
  const database = openDatabase(bed.database.url, createLog('silent'));
  const migrations = await openMigrationConnection(bed.database.url);
  const names = ['tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count', 'tcp_user_timeout'];
  const sql =
    'select current_setting(name) as value from unnest($1::text[]) with ordinality as n(name, place) order by place';
  const valuesOf = (rows: { value: string }[]) => rows.map(({ value }) => value);
  try {
    const transactions = 'idle_in_transaction_session_timeout';
    const pooled = await database.pool.query(sql, [[...names, transactions]]);
    expect(valuesOf(pooled.rows)).toEqual(['10', '5', '3', '25000', '30s']);
    expect(valuesOf((await migrations.query(sql, [names])).rows)).toEqual(['10', '5', '3', '25000']);
  } finally {
    await migrations.end();
    await database.close();
  }
});

it('the search for stranded deliveries reads on where it was, and none of the rows before', async () => {
  const database = openDatabase(bed.database.url, createLog('silent'), { isPooled: false });
  const [{ id: environmentId } = { id: '' }] = await bed.database.query<{ id: string }>(
    'select id from environments limit 1',
  );
  await bed.database.query(
    `insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, status, max_retries)
     select uuidv7(), gen_random_uuid(), $1, gen_random_uuid(), gen_random_uuid(), 'queued', 'PENDING', 9
     from generate_series(1, 5000)`,
    [environmentId],
  );
  await bed.database.query('vacuum analyze deliveries');
  const [{ id: deliveryId } = { id: '' }] = await bed.database.query<{ id: string }>(
    `select id from deliveries where environment_id = $1 and status = 'PENDING' order by id desc offset 100 limit 1`,
    [environmentId],
  );
  const plans: string[] = [];
  const explaining = {
    query: async ({ text, values }: { text: string; values: unknown[] }) => {
      const { rows } = await database.pool.query(`explain (analyze, costs off, timing off) ${text}`, values);
      plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
      return { rows: [] };
    },
  };
  try {
    await findQueued(explaining as never, { environmentId, deliveryId }, 2_000);
    expect(plans[0]).toContain('deliveries_environment_id_status_id_idx');
    expect(plans[0]).toMatch(/deliveries .*\(actual rows=100(\.00)? loops=1\)/);
    expect(plans[0]).not.toMatch(/Rows Removed by Filter: \d{3}/);
  } finally {
    await database.close();
  }
});
