import type { ClientBase, Pool } from 'pg';
import type { DeliveryState } from '../domain/delivery.ts';
import { ENDPOINT_COLUMNS, type EndpointColumns } from './endpoint-columns.ts';
import { DELIVERY_STATE_COLUMNS } from './lock-deliveries.ts';

/** Everything that an attempt of a delivery needs. */
export interface OutgoingDelivery extends DeliveryState, EndpointColumns {
  id: string;
  organizationId: string;
  environmentId: string;
  eventId: string;
  eventType: string;
  endpointId: string;
  url: string;
  method: string;
  contentType: string;
  body: Buffer;
  headersSealed: Buffer | null;
  /** Every secret that signs now, newest first. */
  secretsSealed: Buffer[];
  timeoutMs: number;
  rateLimitPerSecond: number | null;
}

const COLUMNS = `
  d.id, d.organization_id as "organizationId", d.environment_id as "environmentId", d.event_id as "eventId",
  ${DELIVERY_STATE_COLUMNS}, v.type as "eventType", v.body, v.content_type as "contentType",
  e.id as "endpointId", e.url, e.method, e.headers_sealed as "headersSealed", e.timeout_ms as "timeoutMs",
  e.rate_limit_per_second as "rateLimitPerSecond", ${ENDPOINT_COLUMNS},
  exists (select 1 from lanes l where l.endpoint_id = e.id) as "hasLane",
  array(
    select s.sealed from endpoint_secrets s
    where s.endpoint_id = e.id and (s.expires_at is null or s.expires_at > now()) order by s.created_at desc
  ) as "secretsSealed"`;

const JOINS = 'join events v on v.id = d.event_id join endpoints e on e.id = d.endpoint_id';

/** Reads deliveries for their attempts. Takes no lock: the plan is checked when the outcome is written. */
export async function loadOutgoing(db: ClientBase | Pool, ids: string[]): Promise<OutgoingDelivery[]> {
  const { rows } = await db.query({
    name: 'load-outgoing',
    text: `select ${COLUMNS} from deliveries d ${JOINS} where d.id = any($1)`,
    values: [ids],
  });
  return rows;
}

/**
 * Reads the oldest deliveries that wait in an endpoint's own lane, without those named, and without those that are
 * held already while the endpoint is paused.
 */
export async function loadLane(
  db: ClientBase | Pool,
  lane: { endpointId: string; except: string[]; limit: number },
): Promise<OutgoingDelivery[]> {
  const { rows } = await db.query({
    name: 'load-lane',
    text: `select ${COLUMNS} from deliveries d ${JOINS}
      where d.in_lane and d.endpoint_id = $1 and d.id <> all($2)
        and not (d.status = 'HELD' and e.status = 'PAUSED' and e.deleted_at is null)
      order by d.id limit $3`,
    values: [lane.endpointId, lane.except, lane.limit],
  });
  return rows;
}
