import type { ClientBase, Pool } from 'pg';

/** A delivery that waits in the shared lane, with the version that its job must carry. */
export interface QueuedDelivery {
  deliveryId: string;
  plan: number;
}

/** Where a walk over the queued deliveries has got to. UUIDs. */
export interface QueuedPosition {
  environmentId: string;
  deliveryId: string;
}

/** Before the first delivery. */
export const FIRST_QUEUED: QueuedPosition = {
  environmentId: '00000000-0000-0000-0000-000000000000',
  deliveryId: '00000000-0000-0000-0000-000000000000',
};

/** Deliveries that were changed just now are skipped: most of them are in flight. */
const SETTLED_SECONDS = 10;
/** Rows of one repair. */
const REPAIR_MAX = 500;

/**
 * Reads a batch of the deliveries that wait in the shared lane and were not changed lately, environment by environment.
 * Deliveries that are held or scheduled are not walked over.
 *
 * @returns them, and where to continue. `null`: there are no more
 */
export async function findQueued(
  pool: Pool,
  after: QueuedPosition,
  max: number,
): Promise<{ deliveries: QueuedDelivery[]; next: QueuedPosition | null }> {
  const { rows } = await pool.query({
    name: 'find-queued',
    text: `
      select e.id as "environmentId", d.id as "deliveryId", d.plan,
        not d.in_lane and not d.updated_at between now() - $4 * interval '1 second' and now() + $4 * interval '1 second' as "isQueued"
      from environments e cross join lateral (
        select id, plan, in_lane, updated_at from deliveries
        where environment_id = e.id and status = 'PENDING'
          and id > case when e.id = $1 then $2::uuid else '${FIRST_QUEUED.deliveryId}' end
        order by id limit $3) d
      where e.id >= $1 order by e.id, d.id limit $3`,
    values: [after.environmentId, after.deliveryId, max, SETTLED_SECONDS],
  });
  const last = rows.at(-1);
  return {
    deliveries: rows.filter(({ isQueued }) => isQueued).map(({ deliveryId, plan }) => ({ deliveryId, plan })),
    next: last && rows.length === max ? { environmentId: last.environmentId, deliveryId: last.deliveryId } : null,
  };
}

/** Locks those of the deliveries that still wait in the shared lane with the same version. Skips locked ones. */
export async function lockQueued(client: ClientBase, deliveries: QueuedDelivery[]): Promise<QueuedDelivery[]> {
  const { rows } = await client.query({
    name: 'lock-queued',
    text: `select d.id as "deliveryId", d.plan from deliveries d join unnest($1::uuid[], $2::int[]) as i(id, plan) on i.id = d.id
      where d.plan = i.plan and d.status = 'PENDING' and not d.in_lane order by d.id for update of d skip locked`,
    values: [deliveries.map(({ deliveryId }) => deliveryId), deliveries.map(({ plan }) => plan)],
  });
  return rows;
}

/** Makes retries due that have no time at which they would be. @returns how many */
export async function scheduleTimeless(pool: Pool): Promise<number> {
  const { rowCount } = await pool.query({
    name: 'schedule-timeless',
    text: `update deliveries set next_attempt_at = $1 where id = any(array(
      select id from deliveries where status = 'RETRYING' and next_attempt_at is null
      order by next_attempt_at limit ${REPAIR_MAX} for update skip locked))`,
    values: [new Date()],
  });
  return rowCount ?? 0;
}

/**
 * Finds endpoints with deliveries in a lane that is not open. One look into an index for each endpoint with a lane, however
 * many deliveries wait there.
 *
 * @returns UUIDs of endpoints
 */
export async function findClosedLanes(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query({
    name: 'find-closed-lanes',
    text: `
      with recursive filled as (
        (select endpoint_id as id from deliveries where in_lane order by endpoint_id limit 1)
        union all
        select (select d.endpoint_id from deliveries d where d.in_lane and d.endpoint_id > f.id order by d.endpoint_id limit 1)
        from filled f where f.id is not null)
      select e.id from filled f join endpoints e on e.id = f.id
      where not exists (select from lanes l where l.endpoint_id = f.id) limit ${REPAIR_MAX}`,
  });
  return rows.map(({ id }) => id);
}
