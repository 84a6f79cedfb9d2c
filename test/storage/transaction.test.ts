import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { isDatabaseUnavailable } from '../../src/database-errors.ts';
import { createLog } from '../../src/log.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { inTransaction, inTwoSteps, isFaultOfAll } from '../../src/storage/transaction.ts';
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

it('a transaction of a process that stood still is rolled back, which counts as a fault of the database', async () => {
  const database = openDatabase(bed.database.url, createLog('silent'));
  try {
    const error = await inTransaction(database.pool, async (client) => {
      await client.query('create table stood_still ()');
      const ended = new Promise((resolve) => client.once('error', resolve));
      await client.query('set local idle_in_transaction_session_timeout = 20');
      const reason = await ended;
      expect([isDatabaseUnavailable(reason), isFaultOfAll(reason)]).toEqual([true, true]);
      await client.query('select 1');
    }).catch((failure: Error) => failure);
    expect(error).toBeInstanceOf(Error);
    expect([isDatabaseUnavailable(error), isFaultOfAll(error)]).toEqual([true, true]);
    const { rows } = await database.pool.query("select to_regclass('stood_still') as name");
    expect(rows).toEqual([{ name: null }]);
  } finally {
    await database.close();
  }
});
