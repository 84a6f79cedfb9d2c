import type { Pool } from 'pg';
import type { DeliveryStatus } from '../domain/delivery.ts';

/** More than this is not rare: a walk from the newest event on finds a page of them soon. */
const RARE_MAX = 2_000;

export interface RareEvents {
  environmentId: string;
  /** Events that have a delivery with one of these statuses… */
  statuses: DeliveryStatus[];
  /** …and those that have none at all. */
  withoutDeliveries: boolean;
}

/**
 * Finds all such events where they are few, so that nobody has to walk over the many that are not.
 *
 * @returns their IDs; null: they are many
 */
export async function findRareEvents(pool: Pool, events: RareEvents): Promise<string[] | null> {
  const { rows } = await pool.query({
    // Without a name: how rare a status is has to be known when the statement is planned.
    text: `
      (select event_id as id from deliveries where environment_id = $1 and status = any($2::delivery_status[])
       limit ${RARE_MAX + 1})
      union all
      (select id from events where environment_id = $1 and endpoint_count = 0 and $3 limit ${RARE_MAX + 1})`,
    values: [events.environmentId, events.statuses, events.withoutDeliveries],
  });
  return rows.length > RARE_MAX ? null : [...new Set(rows.map((row) => row.id))];
}
