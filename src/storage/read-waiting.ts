import type { Pool } from 'pg';
import { NONE_WAITING, type Waiting, WHOLE_ENVIRONMENT_ID } from '../domain/delivery-stats.ts';

const STATUSES = ['PENDING', 'RETRYING', 'HELD'];

/** Of an environment, by an index that has the status before the ID: so each status is looked up. */
const OLDEST_OF_STATUS = STATUSES.map(
  (status) => `(select d.created_at from deliveries d
    where d.environment_id = g.environment_id and d.status = '${status}' order by d.id limit 1)`,
);

/**
 * Expressions on `delivery_gauges g`: how many deliveries wait, and since when the oldest does. It is looked for only where
 * something waits: an index in which much was deleted is long to walk.
 */
export const WAITING = 'greatest(g.pending + g.retrying + g.held, 0)';
export const OLDEST_WAITING_AT = `
  case when g.pending + g.retrying + g.held <= 0 then null
  when g.endpoint_id = '${WHOLE_ENVIRONMENT_ID}' then least(${OLDEST_OF_STATUS.join(', ')})
  else (
    select d.created_at from deliveries d
    where d.endpoint_id = g.endpoint_id and d.status in ('PENDING', 'RETRYING', 'HELD') order by d.id limit 1
  ) end`;

/**
 * Reads how many deliveries of an environment wait.
 *
 * @param endpointId null: of the whole environment
 */
export async function readWaiting(pool: Pool, environmentId: string, endpointId: string | null): Promise<Waiting> {
  const { rows } = await pool.query({
    name: 'read-waiting',
    text: `select ${WAITING}::float8 as waiting, ${OLDEST_WAITING_AT} as "oldestWaitingAt"
      from delivery_gauges g where g.environment_id = $1 and g.endpoint_id = $2`,
    values: [environmentId, endpointId ?? WHOLE_ENVIRONMENT_ID],
  });
  return rows[0] ?? NONE_WAITING;
}
