import { expect, it } from 'vitest';
import { createLog } from '../../src/log.ts';
import { openDatabase } from '../../src/storage/database.ts';
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
