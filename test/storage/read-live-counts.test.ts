import pg from 'pg';
import { expect, it } from 'vitest';
import { decodeId } from '../../src/domain/ids.ts';
import { readLiveCounts } from '../../src/storage/read-live-counts.ts';
import { until, useTestBed } from '../support/posthorn.ts';

const bed = useTestBed({ role: 'api' });

it('the position is that of a change that is there: transaction IDs behind it may be given out again after a crash', async () => {
  const tenant = await bed.createTenant('counted');
  const environmentId = decodeId('Environment', tenant.environmentId) as string;
  await bed.createEndpoint({ url: 'http://127.0.0.1:2/' }, { key: tenant.key });
  await bed.publish({}, { key: tenant.key });
  // As a transaction does that a crash ends.
  for (let left = 3; left > 0; left -= 1) await bed.database.query('select pg_current_xact_id()');
  const [row] = await bed.database.query<{ last: string }>(
    'select max(xid::text::bigint)::text as last from publications',
  );
  const pool = new pg.Pool({ connectionString: bed.database.url, max: 1, application_name: 'test' });
  const read = (from: bigint | null) =>
    readLiveCounts(pool, { environmentId, from, since: new Date(0), waitingIds: [] });
  try {
    const counts = await until(async () => {
      const found = await read(null);
      return found.environment.published === 1 && found;
    }, 'the event to be counted');
    expect(counts.until).toBe(BigInt(row?.last ?? 0) + 1n);
    // And it stays where nothing new came.
    expect(await read(counts.until)).toMatchObject({ until: counts.until, environment: { published: 0 } });
  } finally {
    await pool.end();
  }
});
