import type { Pool, QueryConfig } from 'pg';
import type { DeliveryState } from '../domain/delivery.ts';
import { ENDPOINT_COLUMNS, type EndpointColumns } from './endpoint-columns.ts';
import { BACK_OFF_COLUMNS, type BackOffColumns } from './failure-streaks.ts';
import { DELIVERY_STATE_COLUMNS } from './lock-deliveries.ts';

/** Everything that an attempt of a delivery needs. */
export interface OutgoingDelivery extends DeliveryState, EndpointColumns, BackOffColumns {
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
  clientCertificateSealed: Buffer | null;
  caCertificate: string | null;
  /** Every secret that signs now, newest first. */
  secretsSealed: Buffer[];
  timeoutMs: number;
  rateLimitPerSecond: number | null;
}

const DELIVERY_COLUMNS = `
  d.id, d.organization_id as "organizationId", d.environment_id as "environmentId", d.event_id as "eventId",
  d.endpoint_id as "endpointId", ${DELIVERY_STATE_COLUMNS}, v.type as "eventType", v.body,
  v.content_type as "contentType"`;

const OUTGOING_ENDPOINT_COLUMNS = `
  e.id as "endpointId", e.url, e.method, e.headers_sealed as "headersSealed", e.timeout_ms as "timeoutMs",
  e.rate_limit_per_second as "rateLimitPerSecond", e.client_certificate_sealed as "clientCertificateSealed",
  e.ca_certificate as "caCertificate", ${ENDPOINT_COLUMNS}, ${BACK_OFF_COLUMNS},
  exists (select 1 from lanes l where l.endpoint_id = e.id) as "hasLane",
  array_to_json(array(
    select encode(s.sealed, 'hex') from endpoint_secrets s
    where s.endpoint_id = e.id and (s.expires_at is null or s.expires_at > now()) order by s.created_at desc
  )) as "secretsInHex"`;

const OUTGOING_ENDPOINTS = 'endpoints e left join failure_streaks f on f.endpoint_id = e.id';

/** Reads deliveries for their attempts. Takes no lock: the plan is checked when the outcome is written. */
export async function loadOutgoing(pool: Pool, ids: string[]): Promise<OutgoingDelivery[]> {
  const deliveries = {
    name: 'load-outgoing',
    text: `select ${DELIVERY_COLUMNS} from deliveries d join events v on v.id = d.event_id where d.id = any($1)`,
    values: [ids],
  };
  const endpoints = {
    name: 'load-outgoing-endpoints',
    text: `select ${OUTGOING_ENDPOINT_COLUMNS} from ${OUTGOING_ENDPOINTS}
      where e.id in (select endpoint_id from deliveries where id = any($1))`,
    values: [ids],
  };
  return loadTogether(pool, deliveries, endpoints);
}

/** Some of what waits in a lane, in its own walk along an index. @param rank what comes first */
const oldestInLane = (rank: number, condition: string) => `
  (select id, ${rank} as rank from deliveries d
   where d.in_lane and d.endpoint_id = $1 and d.id <> all($2) and ${condition} order by id limit $3)`;

/** Those retried by hand, for which a person waits, then the oldest. */
const WAITING_IN_LANE = [
  oldestInLane(0, `d.status = 'PENDING' and d.queued_trigger = 'MANUAL'`),
  oldestInLane(1, `d.status = 'PENDING'`),
  oldestInLane(
    1,
    `d.status = 'HELD' and exists (
      select 1 from endpoints e where e.id = $1 and (e.status <> 'PAUSED' or e.deleted_at is not null))`,
  ),
].join(' union all ');

/**
 * Reads deliveries that wait in an endpoint's own lane, in the order in which they are to go, without those named, and
 * without those that are held already while the endpoint is paused.
 */
export async function loadLane(
  pool: Pool,
  lane: { endpointId: string; except: string[]; limit: number },
): Promise<OutgoingDelivery[]> {
  const deliveries = {
    name: 'load-lane',
    text: `
      with first as (
        select id, min(rank) as rank from (${WAITING_IN_LANE}) waiting group by id order by rank, id limit $3
      )
      select ${DELIVERY_COLUMNS} from first f join deliveries d on d.id = f.id join events v on v.id = d.event_id
      order by f.rank, d.id`,
    values: [lane.endpointId, lane.except, lane.limit],
  };
  const endpoints = {
    name: 'load-lane-endpoint',
    text: `select ${OUTGOING_ENDPOINT_COLUMNS} from ${OUTGOING_ENDPOINTS} where e.id = $1`,
    values: [lane.endpointId],
  };
  return loadTogether(pool, deliveries, endpoints);
}

/** What many deliveries have in common is read once for all of them, in the same round trip. */
async function loadTogether(pool: Pool, deliveries: QueryConfig, endpoints: QueryConfig): Promise<OutgoingDelivery[]> {
  const client = await pool.connect();
  try {
    const [found, common] = await Promise.all([client.query(deliveries), client.query(endpoints)]);
    const byId = new Map(common.rows.map((row) => [row.endpointId, toEndpoint(row)]));
    return found.rows.map((row) => ({ ...row, ...byId.get(row.endpointId) }));
  } finally {
    client.release();
  }
}

/** Secrets come as JSON: `pg` takes 20 µs to read one of them in an array of bytes, and every batch reads those of all its endpoints. */
function toEndpoint({ secretsInHex, ...row }: { secretsInHex: string[] }) {
  return { ...row, secretsSealed: secretsInHex.map((hex) => Buffer.from(hex, 'hex')) };
}
