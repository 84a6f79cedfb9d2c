import type { ClientBase, Pool } from 'pg';

/**
 * Opens lanes of their own for endpoints, and locks them until the transaction ends, so that none closes over a
 * delivery that is put into it.
 */
export async function openLanes(client: ClientBase, endpointIds: Iterable<string>): Promise<void> {
  const ids = [...new Set(endpointIds)].sort();
  if (ids.length === 0) return;
  await client.query({
    name: 'open-lanes',
    text: `insert into lanes (endpoint_id) select * from unnest($1::uuid[])
      on conflict (endpoint_id) do update set opened_at = lanes.opened_at`,
    values: [ids],
  });
}

export interface LeaseOptions {
  worker: string;
  leaseMs: number;
  /** Lanes that this worker may hold. */
  max: number;
}

export interface LeasedLane {
  endpointId: string;
  /** When the rate limit lets the next attempt begin; null: now. */
  nextSlotAt: Date | null;
}

/**
 * Renews the leases that a worker holds, and takes lanes that nobody holds.
 *
 * @returns lanes that are this worker's until the lease ends
 */
export async function leaseLanes(pool: Pool, { worker, leaseMs, max }: LeaseOptions): Promise<LeasedLane[]> {
  const held = await renewLanes(pool, { worker, leaseMs });
  const { rows } = await pool.query({
    name: 'lease-lanes',
    text: `
      with candidates as (
        select endpoint_id from lanes where leased_until is null or leased_until < now()
        order by opened_at limit $3 for no key update skip locked
      )
      update lanes l set leased_by = $1, leased_until = now() + $2 * interval '1 ms'
      from candidates c where l.endpoint_id = c.endpoint_id
      returning l.endpoint_id as "endpointId", l.next_slot_at as "nextSlotAt"`,
    values: [worker, leaseMs, Math.max(0, max - held.length)],
  });
  return [...held, ...rows];
}

/** Writes down when rate limits let the next attempts begin, for whoever holds the lanes later. */
export async function saveLaneSlots(pool: Pool, worker: string, lanes: LeasedLane[]): Promise<void> {
  if (lanes.length === 0) return;
  await pool.query({
    name: 'save-lane-slots',
    text: `update lanes l set next_slot_at = i.next_slot_at
      from unnest($2::uuid[], $3::timestamptz[]) as i(endpoint_id, next_slot_at)
      where l.endpoint_id = i.endpoint_id and l.leased_by = $1`,
    values: [worker, lanes.map((lane) => lane.endpointId), lanes.map((lane) => lane.nextSlotAt)],
  });
}

/** Renews the leases that a worker holds, and takes no more. @returns its lanes */
export async function renewLanes(pool: Pool, { worker, leaseMs }: Omit<LeaseOptions, 'max'>): Promise<LeasedLane[]> {
  const { rows } = await pool.query({
    name: 'renew-lanes',
    text: `update lanes set leased_until = now() + $2 * interval '1 ms' where leased_by = $1
      returning endpoint_id as "endpointId", next_slot_at as "nextSlotAt"`,
    values: [worker, leaseMs],
  });
  return rows;
}

/** Gives a worker's lanes free at once, so that others need not wait for the leases to end. */
export async function releaseLanes(pool: Pool, worker: string): Promise<void> {
  await pool.query('update lanes set leased_by = null, leased_until = null where leased_by = $1', [worker]);
}

/**
 * Closes an endpoint's lane if nothing waits in it and nothing needs it: no pause, no rate limit. Must run in a
 * transaction: the lock waits for everyone who is just putting a delivery in.
 *
 * @returns whether it is closed
 */
export async function closeLane(client: ClientBase, endpointId: string): Promise<boolean> {
  await client.query('select 1 from lanes where endpoint_id = $1 for update', [endpointId]);
  const { rowCount } = await client.query(
    `delete from lanes l using endpoints e
     where l.endpoint_id = $1 and e.id = l.endpoint_id
       and (e.deleted_at is not null or e.status <> 'PAUSED' and e.rate_limit_per_second is null)
       and not exists (select 1 from deliveries d where d.in_lane and d.endpoint_id = $1)`,
    [endpointId],
  );
  return rowCount === 1;
}
