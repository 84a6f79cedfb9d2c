import { beforeEach, describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { toJobId } from '../src/queue/delivery-queue.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

/** An API alone stores deliveries. Workers come when a test has broken what they are to find. */
const bed = useTestBed({ role: 'api' });
const receiver = useReceiver();

const TABLE = 'pgboss.job';
/** Deliveries are looked at when they were not changed for a while. */
const age = () => bed.database.query(`update deliveries set updated_at = now() - interval '1 minute'`);

beforeEach(async () => {
  await bed.database.query(`delete from ${TABLE}`);
  await bed.database.query('delete from deliveries');
});

let count = 0;

/** Publishes events to an endpoint of their own. */
async function publishMany(amount: number) {
  count += 1;
  const type = `stranded.n${count}`;
  const { id } = await bed.createEndpoint({ url: receiver.url(`/${type}`), eventTypes: [type] });
  const deliveryIds: string[] = [];
  for (let left = amount; left > 0; left -= 1) deliveryIds.push(...(await bed.publish({ type })).deliveryIds);
  await age();
  return { path: `/${type}`, endpointId: decodeId('Endpoint', id) as string, deliveryIds };
}

/** Runs a worker until all deliveries have arrived, and checks that each was sent once. */
async function expectOneAttemptEach({ path, deliveryIds }: { path: string; deliveryIds: string[] }) {
  const worker = await bed.startProcess({ role: 'worker' });
  try {
    for (const id of deliveryIds) {
      const { attempts } = await bed.waitForStatus(id, 'DELIVERED');
      expect(attempts).toHaveLength(1);
    }
    expect(receiver.to(path)).toHaveLength(deliveryIds.length);
    await until(
      async () => (await bed.database.query(`select 1 from ${TABLE} where state <= 'active'`)).length === 0,
      'no job to be left',
    );
  } finally {
    await worker.stop();
  }
}

describe('a delivery in the shared lane is sent once', () => {
  it('if its job was deleted', async () => {
    const published = await publishMany(3);
    await bed.database.query(`delete from ${TABLE}`);
    await expectOneAttemptEach(published);
  });

  it.each(['cancelled', 'completed', 'failed'])('if its job was %s', async (state) => {
    const published = await publishMany(2);
    await bed.database.query(`update ${TABLE} set state = '${state}', completed_on = now()`);
    await expectOneAttemptEach(published);
  });

  it('if its job begins in the future, because the clock of the database was ahead', async () => {
    const published = await publishMany(2);
    await bed.database.query(`update ${TABLE} set start_after = now() + interval '1 year'`);
    await expectOneAttemptEach(published);
  });

  it('if its job has a random ID, as version 0.1.0 gave it', async () => {
    const published = await publishMany(2);
    await bed.database.query(`update ${TABLE} set id = gen_random_uuid()`);
    await expectOneAttemptEach(published);
  });

  it('if the queue was deleted with all its jobs', async () => {
    const published = await publishMany(2);
    await bed.database.query(`delete from ${TABLE}`);
    await bed.database.query('delete from pgboss.queue');
    await expectOneAttemptEach(published);
  });

  it('if the table of the queue was dropped', async () => {
    const published = await publishMany(2);
    const [row] = await bed.database.query<{ name: string }>(
      `select table_name as name from pgboss.queue where name = 'deliveries'`,
    );
    await bed.database.query(`drop table pgboss.${row?.name}`);
    await expectOneAttemptEach(published);
  });
});

describe('a running worker', () => {
  it('notices that the queue was deleted while it runs', async () => {
    const worker = await bed.startProcess({ role: 'worker' });
    try {
      await bed.database.query(`delete from ${TABLE}`);
      await bed.database.query('delete from pgboss.queue');
      // Publishing is refused until the queue is there again.
      const { deliveryIds } = await until(() => publishMany(2).catch(() => null), 'events to be published');
      for (const id of deliveryIds) await bed.waitForStatus(id, 'DELIVERED');
    } finally {
      await worker.stop();
    }
  });

  it('schedules a retry that has no time, opens a lane that was deleted, and sends what an active endpoint holds', async () => {
    const retrying = await publishMany(1);
    const inLane = await publishMany(1);
    const held = await publishMany(1);
    await bed.database.query(`delete from ${TABLE}`);
    const change = (sql: string, { endpointId }: { endpointId: string }) =>
      bed.database.query(`update deliveries set ${sql} where endpoint_id = $1`, [endpointId]);
    await change(`status = 'RETRYING', queued_trigger = null, next_attempt_at = null`, retrying);
    await change('in_lane = true', inLane);
    await change(`status = 'HELD', in_lane = true`, held);
    for (const published of [retrying, inLane, held]) await expectOneAttemptEach(published);
  });
});

it('the job of a delivery has an ID that follows from it and its version', () => {
  const deliveryId = '01890a5d-ac96-774b-bcce-b302099a8057';
  const ids = [0, 1, 2, 255, 2_147_483_647].map((plan) => toJobId({ deliveryId, plan }));
  expect(ids[0]).toBe(deliveryId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^01890a5d-ac96-774b-bcce-b302[0-9a-f]{8}$/);
});
