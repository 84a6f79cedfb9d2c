import { expect } from 'vitest';
import { decodeId } from '../../src/domain/ids.ts';
import { type GraphqlOptions, type Tenant, type TestBed, until } from './posthorn.ts';

export const COUNT_FIELDS = 'published delivered failed retried attempts';
export const NO_COUNTS = { published: 0, delivered: 0, failed: 0, retried: 0, attempts: 0 };

/** Waits until all that has happened is counted. It must be over. */
export async function untilCounted(bed: TestBed): Promise<void> {
  const sql = `select 1 from (select xid from delivery_changes union all select xid from publications) x, stats_position p
    where x.xid >= p.xid limit 1`;
  await until(async () => (await bed.database.query(sql)).length === 0, 'everything to be counted');
}

/** Waits until no delivery is queued, due soon or in flight, and everything is counted. */
export async function untilQuiet(bed: TestBed): Promise<void> {
  const sql = `select 1 from deliveries where status = 'PENDING' or status = 'RETRYING' limit 1`;
  await until(async () => (await bed.database.query(sql)).length === 0, 'deliveries to end');
  await untilCounted(bed);
}

/** Totals of the last hour. */
export const readTotal = async (bed: TestBed, options: GraphqlOptions, endpointId?: string) =>
  (
    await bed.ask(
      `query ($id: ID) { deliveryStats(endpointId: $id) { total { ${COUNT_FIELDS} } } }`,
      { id: endpointId },
      options,
    )
  ).total;

/** What a tenant's gauges have to say: the deliveries that there are, by endpoint, those of the environment first. */
export async function expectExactGauges(bed: TestBed, { environmentId }: Tenant): Promise<void> {
  const id = decodeId('Environment', environmentId);
  const gauges = await bed.database.query(
    `select endpoint_id::text as id, pending::int, retrying::int, held::int from delivery_gauges
     where environment_id = $1 and pending + retrying + held <> 0 order by 1`,
    [id],
  );
  const present = await bed.database.query(
    `select coalesce(endpoint_id, '00000000-0000-0000-0000-000000000000')::text as id,
       count(*) filter (where status = 'PENDING')::int as pending,
       count(*) filter (where status = 'RETRYING')::int as retrying,
       count(*) filter (where status = 'HELD')::int as held
     from deliveries where environment_id = $1 and status in ('PENDING', 'RETRYING', 'HELD')
     group by grouping sets ((endpoint_id), ()) having count(*) > 0 order by 1`,
    [id],
  );
  expect(gauges).toEqual(present);
}
