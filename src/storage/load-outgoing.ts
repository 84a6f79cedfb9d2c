import { LRUCache } from 'lru-cache';
import type { Pool } from 'pg';
import type { DeliveryState } from '../domain/delivery.ts';
import { ENDPOINT_COLUMNS, type EndpointColumns } from './endpoint-columns.ts';
import { BACK_OFF_COLUMNS, type BackOffColumns } from './failure-streaks.ts';
import { DELIVERY_STATE_COLUMNS } from './lock-deliveries.ts';

/** Endpoints that are kept at hand. */
const ENDPOINTS_MAX = 4_096;
/** Their bytes: headers and certificates may be large. */
const ENDPOINTS_BYTES_MAX = 67_108_864;
/** About what an endpoint takes without those. */
const ENDPOINT_BYTES = 2_048;
/** After so long they are read anew in any case: a secret that is sealed anew leaves the endpoint's row as it is. */
const ENDPOINTS_KEPT_MS = 10_000;

/** What an attempt needs of its delivery, and of what changes with every attempt to the endpoint. */
interface DeliveryRow extends DeliveryState, BackOffColumns {
  id: string;
  organizationId: string;
  environmentId: string;
  eventId: string;
  eventType: string;
  endpointId: string;
  contentType: string;
  body: Buffer;
  hasLane: boolean;
  endpointVersion: string;
}

/** What an attempt needs of its endpoint. */
interface EndpointRow extends Omit<EndpointColumns, 'hasLane'> {
  url: string;
  method: string;
  headersSealed: Buffer | null;
  clientCertificateSealed: Buffer | null;
  caCertificate: string | null;
  timeoutMs: number;
  rateLimitPerSecond: number | null;
}

/** An encrypted secret. */
export interface SealedSecret {
  /** UUID of its row. */
  id: string;
  sealed: Buffer;
}

/** Everything that an attempt of a delivery needs. */
export interface OutgoingDelivery extends Omit<DeliveryRow, 'endpointVersion'>, EndpointRow {
  /** Every secret that signs now, newest first. The same secret is the same object while its endpoint stays at hand. */
  secretsSealed: SealedSecret[];
}

/**
 * The transaction that wrote an endpoint's row as it is. Whoever changes anything of an endpoint writes the row anew, for
 * its secrets too.
 */
const VERSION = 'e.xmin::text';

const DELIVERY_COLUMNS = `
  d.id, d.organization_id as "organizationId", d.environment_id as "environmentId", d.event_id as "eventId",
  d.endpoint_id as "endpointId", ${DELIVERY_STATE_COLUMNS}, v.type as "eventType", v.body,
  v.content_type as "contentType", ${VERSION} as "endpointVersion", ${BACK_OFF_COLUMNS},
  exists (select 1 from lanes l where l.endpoint_id = d.endpoint_id) as "hasLane"`;

const DELIVERY_TABLES = `
  deliveries d join events v on v.id = d.event_id join endpoints e on e.id = d.endpoint_id
  left join failure_streaks f on f.endpoint_id = d.endpoint_id`;

const ENDPOINTS = `
  select e.id, ${VERSION} as version, e.url, e.method, e.headers_sealed as "headersSealed", e.timeout_ms as "timeoutMs",
    e.rate_limit_per_second as "rateLimitPerSecond", e.client_certificate_sealed as "clientCertificateSealed",
    e.ca_certificate as "caCertificate", ${ENDPOINT_COLUMNS},
    array_to_json(array(
      select json_build_array(s.id, encode(s.sealed, 'hex'), extract(epoch from s.expires_at) * 1000) from endpoint_secrets s
      where s.endpoint_id = e.id and (s.expires_at is null or s.expires_at > now()) order by s.created_at desc
    )) as secrets
  from endpoints e where e.id = any($1)`;

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

/** An endpoint as it was in one version. */
interface EndpointAtHand {
  version: string;
  columns: EndpointRow;
  /** `endsAt` is in milliseconds since 1970; null: it signs until it is rotated out. */
  secrets: { secret: SealedSecret; endsAt: number | null }[];
}

/**
 * Reads deliveries for their attempts. Takes no lock: the plan is checked when the outcome is written. Endpoints are kept
 * at hand, and read anew when their rows have changed, which each reading of deliveries looks at.
 */
export class OutgoingReader {
  readonly #pool: Pool;
  readonly #endpoints = new LRUCache<string, EndpointAtHand>({
    max: ENDPOINTS_MAX,
    maxSize: ENDPOINTS_BYTES_MAX,
    sizeCalculation: sizeOf,
    ttl: ENDPOINTS_KEPT_MS,
  });

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** @returns those that there are, in any order */
  async load(ids: readonly string[]): Promise<OutgoingDelivery[]> {
    const { rows } = await this.#pool.query<DeliveryRow>({
      name: 'load-outgoing',
      text: `select ${DELIVERY_COLUMNS} from ${DELIVERY_TABLES} where d.id = any(array(select unnest($1::uuid[])))`,
      values: [ids],
    });
    return this.#withEndpoints(rows);
  }

  /**
   * Reads deliveries that wait in an endpoint's own lane, in the order in which they are to go, without those named, and
   * without those that are held already while the endpoint is paused.
   */
  async loadLane(lane: { endpointId: string; except: string[]; limit: number }): Promise<OutgoingDelivery[]> {
    const { rows } = await this.#pool.query<DeliveryRow>({
      name: 'load-lane',
      text: `
        with first as (
          select id, min(rank) as rank from (${WAITING_IN_LANE}) waiting group by id order by rank, id limit $3
        )
        select ${DELIVERY_COLUMNS} from first join ${DELIVERY_TABLES} on d.id = first.id order by first.rank, d.id`,
      values: [lane.endpointId, lane.except, lane.limit],
    });
    return this.#withEndpoints(rows);
  }

  async #withEndpoints(rows: DeliveryRow[]): Promise<OutgoingDelivery[]> {
    const endpoints = new Map<string, EndpointAtHand>();
    const changed = new Set<string>();
    for (const { endpointId, endpointVersion } of rows) {
      if (endpoints.has(endpointId) || changed.has(endpointId)) continue;
      const known = this.#endpoints.get(endpointId);
      if (known?.version === endpointVersion) endpoints.set(endpointId, known);
      else changed.add(endpointId);
    }
    if (changed.size > 0) for (const [id, endpoint] of await this.#read([...changed])) endpoints.set(id, endpoint);
    const now = Date.now();
    return rows.map((row) => {
      const { columns, secrets } = endpoints.get(row.endpointId) as EndpointAtHand;
      const valid = secrets.filter(({ endsAt }) => endsAt === null || endsAt > now);
      return { ...row, ...columns, secretsSealed: valid.map(({ secret }) => secret) };
    });
  }

  async #read(ids: string[]): Promise<Map<string, EndpointAtHand>> {
    const { rows } = await this.#pool.query({ name: 'load-outgoing-endpoints', text: ENDPOINTS, values: [ids] });
    const endpoints = new Map(rows.map(({ id, ...row }) => [id, toEndpoint(row)]));
    for (const [id, endpoint] of endpoints) this.#endpoints.set(id, endpoint);
    return endpoints;
  }
}

const sizeOf = ({ columns: { headersSealed, clientCertificateSealed, caCertificate } }: EndpointAtHand): number =>
  ENDPOINT_BYTES +
  [headersSealed, clientCertificateSealed, caCertificate].reduce((sum, one) => sum + (one?.length ?? 0), 0);

/** Secrets come as JSON: `pg` takes 20 µs to read one of them in an array of bytes. */
function toEndpoint({
  version,
  secrets,
  ...columns
}: EndpointRow & { version: string; secrets: [string, string, number | null][] }): EndpointAtHand {
  return {
    version,
    columns,
    secrets: secrets.map(([id, hex, endsAt]) => ({ secret: { id, sealed: Buffer.from(hex, 'hex') }, endsAt })),
  };
}
