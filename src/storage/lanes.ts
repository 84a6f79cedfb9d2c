import type { ClientBase, Pool } from 'pg';
import { PROBE_REST_SECONDS_MAX } from '../domain/failure-streak.ts';

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

/**
 * Tells that a worker lives, and with it that its lanes are its own.
 *
 * @returns how many lanes are the worker's share: all that are open, over all workers that live
 */
export async function announceWorker(pool: Pool, worker: string, leaseMs: number): Promise<number> {
  const { rows } = await pool.query({
    name: 'announce-worker',
    text: `
      with announced as (
        insert into workers (id, seen_until) values ($1, now() + $2 * interval '1 ms')
        on conflict (id) do update set seen_until = excluded.seen_until
      )
      select ceil((select count(*) from lanes)::float8
        / (1 + (select count(*) from workers where id <> $1 and seen_until > now())))::int as share`,
    values: [worker, leaseMs],
  });
  return rows[0].share;
}

/**
 * Takes workers that died off the list, by which their lanes become nobody's. One that comes back to life at this
 * moment waits for this to end, and then finds that its lanes are its own no more.
 */
export async function buryWorkers(pool: Pool): Promise<void> {
  await pool.query({ name: 'bury-workers', text: 'delete from workers where seen_until < now()' });
}

/** Whether there are lanes that are nobody's. */
export async function hasFreeLanes(pool: Pool): Promise<boolean> {
  const text = 'select exists (select 1 from lanes where leased_by is null) as has';
  const { rows } = await pool.query({ name: 'has-free-lanes', text });
  return rows[0].has;
}

/** Takes lanes that are nobody's, the longest open first. Fails where the worker was buried meanwhile. */
export async function takeLanes(pool: Pool, worker: string, max: number): Promise<void> {
  if (max <= 0) return;
  await pool.query({
    name: 'take-lanes',
    text: `
      with candidates as (
        select endpoint_id from lanes where leased_by is null
        order by opened_at limit $2 for no key update skip locked
      )
      update lanes l set leased_by = $1 from candidates c where l.endpoint_id = c.endpoint_id`,
    values: [worker, max],
  });
}

/** A lane that a worker holds, as it stands. */
export interface HeldLane {
  endpointId: string;
  /** When the rate limit lets the next attempt begin; null: now. */
  nextSlotAt: Date | null;
  /** Null: no limit. */
  rateLimitPerSecond: number | null;
  /** Something waits in it that can be sent, or must be sorted. */
  hasWork: boolean;
  /** What waits is not to be sent as it stands: it must be queued, held or skipped, as fast as it goes. */
  mustSort: boolean;
  /** Its endpoint is failing: one attempt at a time. */
  isBackedOff: boolean;
  /** Nothing waits in it, and its endpoint gives no reason for it: no pause, no rate limit. */
  mayClose: boolean;
}

/** As `isProbeDue` in domain/failure-streak.ts, of `failure_streaks f` at $2. */
const PROBE_IS_DUE = `(f.next_probe_at is null or f.next_probe_at <= $2
  or f.next_probe_at > $2::timestamptz + interval '${PROBE_REST_SECONDS_MAX} seconds')`;

/**
 * Looks at all lanes of a worker at once. What a paused endpoint holds is not walked over. What waits for a backed-off
 * endpoint is no work before the time of its next probe, but for what a person retries.
 */
export async function findLanes(pool: Pool, worker: string): Promise<HeldLane[]> {
  const { rows } = await pool.query({
    name: 'find-lanes',
    text: `
      select l.endpoint_id as "endpointId", l.next_slot_at as "nextSlotAt",
        e.rate_limit_per_second as "rateLimitPerSecond",
        w.has_pending and (${PROBE_IS_DUE} or w.has_manual or s.must_sort)
          or w.has_held and (e.status <> 'PAUSED' or e.deleted_at is not null) as "hasWork",
        w.has_held or s.must_sort as "mustSort", f.next_probe_at is not null as "isBackedOff",
        not w.has_pending and not w.has_held
          and (e.deleted_at is not null or e.status <> 'PAUSED' and e.rate_limit_per_second is null) as "mayClose"
      from lanes l join endpoints e on e.id = l.endpoint_id left join failure_streaks f on f.endpoint_id = e.id
      cross join lateral (select e.status <> 'ACTIVE' or e.deleted_at is not null as must_sort) s
      cross join lateral (select
        exists (
          select 1 from deliveries d where d.in_lane and d.endpoint_id = l.endpoint_id and d.status = 'PENDING'
        ) as has_pending,
        exists (
          select 1 from deliveries d
          where d.in_lane and d.endpoint_id = l.endpoint_id and d.queued_trigger = 'MANUAL' and d.status = 'PENDING'
        ) as has_manual,
        exists (
          select 1 from deliveries d where d.in_lane and d.endpoint_id = l.endpoint_id and d.status = 'HELD'
        ) as has_held
      ) w
      where l.leased_by = $1`,
    values: [worker, new Date()],
  });
  return rows;
}

/** Writes down when rate limits let the next attempts begin, for whoever holds the lanes later. */
export async function saveLaneSlots(
  pool: Pool,
  worker: string,
  lanes: { endpointId: string; nextSlotAt: Date }[],
): Promise<void> {
  if (lanes.length === 0) return;
  await pool.query({
    name: 'save-lane-slots',
    text: `update lanes l set next_slot_at = i.next_slot_at
      from unnest($2::uuid[], $3::timestamptz[]) as i(endpoint_id, next_slot_at)
      where l.endpoint_id = i.endpoint_id and l.leased_by = $1`,
    values: [worker, lanes.map((lane) => lane.endpointId), lanes.map((lane) => lane.nextSlotAt)],
  });
}

/** Gives lanes of a worker free, so that others need not wait for its end. */
export async function releaseLanes(pool: Pool, worker: string, endpointIds: string[]): Promise<void> {
  if (endpointIds.length === 0) return;
  await pool.query('update lanes set leased_by = null where leased_by = $1 and endpoint_id = any($2)', [
    worker,
    endpointIds,
  ]);
}

/** Takes a worker that ends off the list, by which its lanes become nobody's. */
export async function dismissWorker(pool: Pool, worker: string): Promise<void> {
  await pool.query('delete from workers where id = $1', [worker]);
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
