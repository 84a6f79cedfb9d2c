import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { createLog } from '../../src/log.ts';
import { migrateCompletely } from '../../src/storage/migrations/migrate-completely.ts';
import { describeSchema } from '../support/old-migrations.ts';
import { useTestBed } from '../support/posthorn.ts';

/** Makes no attempts. */
const bed = useTestBed({ role: 'api' });
const log = createLog('silent');
const complete = () => migrateCompletely(bed.database.url, { log });

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function findByType(eventTypes: string[]) {
  const query = 'query ($filter: DeliveryFilter) { deliveries(filter: $filter) { edges { node { id } } } }';
  const { edges } = await bed.ask(query, { filter: { eventTypes } });
  return edges.map(({ node }: { node: { id: string } }) => node.id);
}

it('deliveries that were stored before they had event types are found by the types of their events', async () => {
  await bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: ['old.*'] });
  const paid = await bed.publish({ type: 'old.paid', sourceKey: 'order-1' });
  const sent = await bed.publish({ type: 'old.sent' });
  const schema = await describeSchema(bed.database.query);
  await bed.database.query('alter table deliveries drop column event_type, drop column source_key');
  await bed.database.query(
    "delete from _prisma_migrations where migration_name in ('20261128100000_source_keys', '20261130100000_event_types')",
  );
  await complete();
  expect(await findByType(['old.paid'])).toEqual(paid.deliveryIds);
  expect(await findByType(['old.paid', 'old.sent'])).toEqual([...sent.deliveryIds, ...paid.deliveryIds]);
  expect(await findByType(['old'])).toEqual([]);
  const keys = await bed.database.query('select source_key from deliveries where source_key is not null');
  expect(keys).toEqual([{ source_key: 'order-1' }]);
  expect(await describeSchema(bed.database.query)).toEqual(schema);
});

it('deliveries that an older process stores during the upgrade are completed later', async () => {
  await bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: ['late.*'] });
  const late = await bed.publish({ type: 'late.paid', sourceKey: 'order-2' });
  await bed.database.query("update deliveries set event_type = null, source_key = null where event_type like 'late.%'");
  expect(await findByType(['late.paid'])).toEqual([]);
  await complete();
  expect(await findByType(['late.paid'])).toEqual(late.deliveryIds);
});

it('an invalid index that was left by a killed process is built again', async () => {
  const schema = await describeSchema(bed.database.query);
  const name = 'deliveries_environment_id_event_type_id_idx';
  await bed.database.query('update pg_index set indisvalid = false where indexrelid = to_regclass($1)', [name]);
  expect(await describeSchema(bed.database.query)).not.toEqual(schema);
  await complete();
  expect(await describeSchema(bed.database.query)).toEqual(schema);
});

it('an index that a backend is still building is waited for and not dropped', async () => {
  const name = 'deliveries_environment_id_event_type_id_idx';
  const [{ oid } = {}] = await bed.database.query('select to_regclass($1)::oid as oid', [name]);
  await bed.database.query('update pg_index set indisvalid = false where indexrelid = $1', [oid]);
  const builder = new pg.Client({ connectionString: bed.database.url, application_name: 'builder' });
  await builder.connect();
  cleanUps.push(() => builder.end());
  await builder.query('begin; lock table deliveries in share update exclusive mode');
  const lines: string[] = [];
  const spy = Object.assign(createLog('silent'), { info: (_: object, event: string) => void lines.push(event) });
  const completed = migrateCompletely(bed.database.url, { log: spy });
  await expect.poll(() => lines, { timeout: 10_000 }).toContain('migrations.busy_elsewhere');
  await builder.query('update pg_index set indisvalid = true where indexrelid = to_regclass($1)', [name]);
  await builder.query('commit');
  await completed;
  expect(await bed.database.query('select to_regclass($1)::oid as oid', [name])).toEqual([{ oid }]);
});

it('processes that start at the same time build an index one after the other', async () => {
  const name = 'deliveries_environment_id_event_type_id_idx';
  const schema = await describeSchema(bed.database.query);
  await bed.database.query(`drop index ${name}`);
  const other = new pg.Client({ connectionString: bed.database.url, application_name: 'other' });
  await other.connect();
  cleanUps.push(() => other.end());
  await other.query('begin; lock table deliveries in share update exclusive mode');
  const countBuilders = async () => {
    const rows = await bed.database.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
         and query like 'create index concurrently%'`,
    );
    return rows.length;
  };
  const first = complete();
  await expect.poll(countBuilders, { timeout: 10_000 }).toBe(1);
  const lines: string[] = [];
  const spy = Object.assign(createLog('silent'), { info: (_: object, event: string) => void lines.push(event) });
  const second = migrateCompletely(bed.database.url, { log: spy });
  // If both built, each would wait for the other: for the lock of the table, and for the end of all snapshots.
  const isDecided = async () => lines.includes('migrations.busy_elsewhere') || (await countBuilders()) > 1;
  await expect.poll(isDecided, { timeout: 10_000 }).toBe(true);
  await other.query('commit');
  await Promise.all([first, second]);
  expect(await describeSchema(bed.database.query)).toEqual(schema);
  expect(lines).toContain('migrations.busy_elsewhere');
});
