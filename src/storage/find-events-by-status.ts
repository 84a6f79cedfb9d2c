import type { Pool } from 'pg';
import type { DeliveryStatus, EventStatus } from '../domain/delivery.ts';

/** A status that fewer deliveries have is looked for from there; more are met soon on a walk along the events. */
const RARE_MAX = 2_000;

const WAITING = `('PENDING', 'RETRYING', 'HELD')`;

/** Says with the deliveries of `events e` what `eventStatus` says. */
const CONDITIONS: Record<EventStatus, string> = {
  PENDING: 's.waits',
  FAILED: 'not s.waits and s.failed',
  DELIVERED: 'not s.waits and not s.failed and s.delivered',
  SKIPPED: 'not s.waits and not s.failed and not s.delivered',
};

/** An event with a status has a delivery with one of these; a skipped one may have none. */
const STATUSES_OF_DELIVERIES: Record<EventStatus, DeliveryStatus[]> = {
  PENDING: ['PENDING', 'RETRYING', 'HELD'],
  FAILED: ['FAILED'],
  DELIVERED: ['DELIVERED'],
  SKIPPED: ['SKIPPED', 'CANCELED'],
};

export interface EventSearch {
  environmentId: string;
  /** Only events with a delivery to this endpoint, by what became of that one; null: by all their deliveries. */
  endpointId: string | null;
  statuses: readonly EventStatus[];
  /** Left out: any. */
  types?: readonly string[];
  sourceKey?: string;
  /** Range of IDs, neither end in it. */
  after?: string;
  before?: string;
  /** Range of `created_at`, neither end in it. */
  createdAfter?: Date;
  createdBefore?: Date;
  /** Oldest first instead of newest first. */
  isBackward: boolean;
  limit: number;
}

/** Finds events by what became of their deliveries. @returns IDs, in order */
export async function findEventsByStatus(pool: Pool, search: EventSearch): Promise<string[]> {
  const rare = await findRare(pool, search);
  // Without names: what is rare has to be known when the statements are planned.
  const { rows } = await pool.query({
    text: `
      select e.id from events e cross join lateral (
        select coalesce(bool_or(d.status in ${WAITING}), false) as waits,
          coalesce(bool_or(d.status = 'FAILED'), false) as failed,
          coalesce(bool_or(d.status = 'DELIVERED'), false) as delivered, count(*) > 0 as "isMade"
        from deliveries d where d.event_id = e.id and ($10::uuid is null or d.endpoint_id = $10)
      ) s
      where ($10 is null or s."isMade") and e.environment_id = $1 and ($2::text[] is null or e.type = any($2)) and ($3::text is null or e.source_key = $3)
        and ($4::uuid is null or e.id > $4) and ($5::uuid is null or e.id < $5)
        and ($6::timestamptz is null or e.created_at > $6) and ($7::timestamptz is null or e.created_at < $7)
        and ($8::uuid[] is null or e.id = any($8))
        and (${search.statuses.map((status) => CONDITIONS[status]).join(' or ') || 'false'})
      order by e.id ${search.isBackward ? 'asc' : 'desc'} limit $9`,
    values: [
      search.environmentId,
      search.types,
      search.sourceKey,
      search.after,
      search.before,
      search.createdAfter,
      search.createdBefore,
      rare,
      search.limit,
      search.endpointId,
    ],
  });
  return rows.map((row) => row.id);
}

/** @returns all events that may have the statuses, where they are few; null: they are many */
async function findRare(pool: Pool, { environmentId, endpointId, statuses }: EventSearch): Promise<string[] | null> {
  const { rows } = await pool.query({
    text: `
      (select event_id as id from deliveries where environment_id = $1 and status = any($2::delivery_status[])
         and ($4::uuid is null or endpoint_id = $4)
       limit ${RARE_MAX + 1})
      union all
      (select id from events where environment_id = $1 and endpoint_count = 0 and $3 limit ${RARE_MAX + 1})`,
    values: [
      environmentId,
      statuses.flatMap((status) => STATUSES_OF_DELIVERIES[status]),
      statuses.includes('SKIPPED') && endpointId === null,
      endpointId,
    ],
  });
  return rows.length > RARE_MAX ? null : [...new Set(rows.map((row) => row.id))];
}
