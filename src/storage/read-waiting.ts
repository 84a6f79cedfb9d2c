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
  const [waiting] = await readWaitingOf(pool, environmentId, [endpointId]);
  return waiting as Waiting;
}

/** As {@link readWaiting}, of many with one statement, in their order. */
export async function readWaitingOf(
  pool: Pool,
  environmentId: string,
  endpointIds: readonly (string | null)[],
): Promise<Waiting[]> {
  const ids = endpointIds.map((id) => id ?? WHOLE_ENVIRONMENT_ID);
  const { rows } = await pool.query({
    name: 'read-waiting',
    text: `select g.endpoint_id as "endpointId", ${WAITING}::float8 as waiting, ${OLDEST_WAITING_AT} as "oldestWaitingAt"
      from delivery_gauges g where g.environment_id = $1 and g.endpoint_id = any($2)`,
    values: [environmentId, ids],
  });
  const found = new Map(rows.map(({ endpointId, ...waiting }) => [endpointId, waiting]));
  return ids.map((id) => found.get(id) ?? NONE_WAITING);
}
