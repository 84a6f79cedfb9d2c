import type { ClientBase } from 'pg';
import type { DeliveryState } from '../domain/delivery.ts';
import type { Tenant } from '../domain/tenant.ts';
import { ENDPOINT_COLUMNS, type EndpointColumns } from './endpoint-columns.ts';

/** A delivery as its next transition needs it, locked until the transaction ends. */
export interface LockedDelivery extends DeliveryState, EndpointColumns {
  id: string;
  environmentId: string;
  eventId: string;
  endpointId: string;
  url: string;
  method: string;
}

/** Select list of a delivery's state, from `deliveries d`. */
export const DELIVERY_STATE_COLUMNS = `
  d.status, d.retry_count as "retryCount", d.max_retries as "maxRetries", d.plan,
  d.queued_trigger as "queuedTrigger", d.fallback_status as "fallbackStatus", d.in_lane as "inLane",
  d.next_attempt_at as "nextAttemptAt", d.delivered_at as "deliveredAt", d.dead_lettered_at as "deadLetteredAt"`;

/** Which deliveries to lock: a condition on `deliveries d`, with its parameters from $1 on. */
export interface LockCondition {
  /** Name of the prepared statement. */
  name: string;
  where: string;
  values: unknown[];
  /** Locks at most so many, and skips those that another transaction has locked, so that it never waits for one. */
  batch?: number;
  /** Order in which a batch is taken: a column that an index on the condition is sorted by. @default 'd.id' */
  batchOrder?: 'd.next_attempt_at';
}

/** The delivery with an ID, where it is the tenant's. */
export const ownDelivery = ({ environmentId, endpointId }: Tenant, deliveryId: string): LockCondition => ({
  name: 'own',
  where: 'd.id = $1 and d.environment_id = $2 and ($3::uuid is null or d.endpoint_id = $3)',
  values: [deliveryId, environmentId, endpointId],
});

/**
 * Locks deliveries in order of ID, and the lanes of their endpoints against closing.
 * Waits for deliveries that another transaction has locked and reads them again. A batch skips them instead: as it never
 * waits for a delivery, it may take them in another order without a deadlock.
 */
export async function lockDeliveries(client: ClientBase, condition: LockCondition): Promise<LockedDelivery[]> {
  const locked = await client.query({
    name: `lock-deliveries-${condition.name}`,
    text: `select d.id, d.environment_id as "environmentId", d.event_id as "eventId", d.endpoint_id as "endpointId",
      ${DELIVERY_STATE_COLUMNS} from deliveries d where ${condition.where}
      order by ${condition.batchOrder ?? 'd.id'} ${condition.batch ? `limit ${condition.batch}` : ''}
      for update of d ${condition.batch ? 'skip locked' : ''}`,
    values: condition.values,
  });
  const deliveries = locked.rows as LockedDelivery[];
  if (deliveries.length === 0) return [];
  const endpoints = await lockEndpoints(client, [...new Set(deliveries.map((delivery) => delivery.endpointId))]);
  return deliveries.map((delivery) => ({
    ...delivery,
    ...(endpoints.get(delivery.endpointId) as LockedEndpoint),
  }));
}

interface LockedEndpoint extends EndpointColumns {
  url: string;
  method: string;
}

async function lockEndpoints(client: ClientBase, endpointIds: string[]): Promise<Map<string, LockedEndpoint>> {
  const { rows } = await client.query({
    name: 'lock-endpoints',
    text: `
      with open_lanes as materialized (
        select endpoint_id from lanes where endpoint_id = any($1) order by endpoint_id for key share
      )
      select e.id, e.url, e.method, ${ENDPOINT_COLUMNS},
        exists (select 1 from open_lanes l where l.endpoint_id = e.id) as "hasLane"
      from endpoints e where e.id = any($1)`,
    values: [endpointIds],
  });
  return new Map(rows.map(({ id, ...endpoint }) => [id, endpoint]));
}
