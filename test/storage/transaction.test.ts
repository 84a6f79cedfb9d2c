import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createLog } from '../../src/log.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { inTwoSteps } from '../../src/storage/transaction.ts';
import { useTestBed } from '../support/posthorn.ts';

const bed = useTestBed({ role: 'api' });

it('work that failed by a deadlock is made again, also where a statement sent behind it is heard first', async () => {
  await bed.database.query('create sequence tries');
  await bed.database.query(
    `create function fail_once() returns void language plpgsql as $$
     begin if nextval('tries') = 1 then raise exception using errcode = '40P01'; end if; end $$`,
  );
  const database = openDatabase(bed.database.url, createLog('silent'));
  try {
    const done = inTwoSteps(database.pool, {
      read: async () => null,
      write: async (client) => {
        const failing = client.query('select fail_once()');
        const behind = client.query('select 1');
        const heardLate = failing.catch(async (error) => {
          await behind.catch(nextTurn);
          throw error;
        });
        return { done: Promise.all([heardLate, behind]).then(() => 'done') };
      },
    });
    await expect(done).resolves.toBe('done');
  } finally {
    await database.close();
  }
});
