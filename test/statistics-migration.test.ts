import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { expect, it } from 'vitest';
import { StatsKeeper } from '../src/deliver/stats-keeper.ts';
import { createLog } from '../src/log.ts';
import { useTestBed } from './support/posthorn.ts';
import { expectExactGauges, untilCounted } from './support/statistics.ts';

const MIGRATION = join(import.meta.dirname, '../prisma/migrations/20261122120000_statistics/migration.sql');

/** Makes no attempts and counts nothing: a database as it was before there were statistics. */
const bed = useTestBed({ role: 'api' });

it('begins with what waits already, also while transactions are under way', async () => {
  const tenant = await bed.createTenant('migrated');
  const key = { key: tenant.key };
  const ids = [];
  for (const type of ['a', 'b', 'c']) {
    ids.push((await bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: [type, 'all'] }, key)).id);
  }
  const pause = 'mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }';
  await bed.ask(pause, { id: ids[2] }, key);
  const cancel = 'mutation ($id: ID!) { cancelDelivery(input: { deliveryId: $id }) { __typename } }';
  const publishSome = async () => {
    for (const type of ['a', 'b', 'c', 'all']) {
      const { deliveryIds } = await bed.publish({ type }, key);
      await bed.publish({ type }, key);
      await bed.ask(cancel, { id: deliveryIds[0] }, key);
    }
  };
  await publishSome();
  const pool = new pg.Pool({ connectionString: bed.database.url, max: 3, application_name: 'migration' });
  const keeper = new StatsKeeper({ pool, log: createLog('silent') });
  try {
    // Holds back what is settled: what comes behind it is stored, and not counted yet.
    const client = await pool.connect();
    await client.query('begin');
    await client.query('select pg_current_xact_id()');
    await publishSome();
    await bed.database.query('delete from delivery_gauges');
    await bed.database.query('delete from stats_position');
    await bed.database.query(`WITH "start"${readFileSync(MIGRATION, 'utf8').split('WITH "start"')[1]}`);
    await publishSome();
    await client.query('commit');
    client.release();
    keeper.start();
    await untilCounted(bed);
    await expectExactGauges(bed, tenant);
    const [{ waiting } = {}] = await bed.database.query(
      'select sum(pending + held)::int as waiting from delivery_gauges',
    );
    expect(waiting).toBe(2 * 3 * (3 + 5));
  } finally {
    await keeper.stop();
    await pool.end();
  }
});
