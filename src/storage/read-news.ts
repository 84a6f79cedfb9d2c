import type { ClientBase } from 'pg';
import { OPERATIONAL_PREFIX } from '../domain/event-type.ts';
import type { Tenant } from '../domain/tenant.ts';
import type { EndpointChangeKind, EndpointStatus } from '../generated/prisma/enums.ts';
import type { UnreadRange } from './log-position.ts';

/** What every piece of news tells. IDs are UUIDs. */
interface EndpointNews extends Tenant {
  at: Date;
  endpointId: string;
  endpointName: string;
  endpointUrl: string;
}

/** An attempt made its delivery a dead letter. */
export interface DeadLetter extends EndpointNews {
  deliveryId: string;
  eventId: string;
  eventType: string;
  attemptCount: number;
  errorCode: string | null;
  errorMessage: string | null;
  responseStatus: number | null;
}

/** Something was done to an endpoint. */
export interface ChangedEndpoint extends EndpointNews {
  kind: EndpointChangeKind;
  status: EndpointStatus;
  reason: string | null;
}

export interface News {
  deadLetters: DeadLetter[];
  changedEndpoints: ChangedEndpoint[];
}

const ABOUT_ENDPOINT = `
  e.organization_id as "organizationId", e.environment_id as "environmentId", e.id as "endpointId",
  e.name as "endpointName", e.url as "endpointUrl", c.changed_at as at`;

/** Where somebody listens: in the other environments there is no news. */
const IN_RANGE = `c.xid >= $1::xid8 and c.xid < $2::xid8
  and c.environment_id in (select environment_id from routes where event_types && $3::text[])`;

/**
 * Reads what operational events are to tell: dead letters, but for those of operational events themselves, and changes
 * of endpoints.
 *
 * @param patterns of routes that ask for operational events
 */
export async function readNews(client: ClientBase, { from, until }: UnreadRange, patterns: string[]): Promise<News> {
  const values = [String(from), String(until), patterns];
  const [deadLetters, changedEndpoints] = await Promise.all([
    client.query({
      name: 'read-dead-letters',
      text: `
        select ${ABOUT_ENDPOINT}, c.delivery_id as "deliveryId", c.event_id as "eventId", v.type as "eventType",
          a.number as "attemptCount", a.error_code as "errorCode", a.error_message as "errorMessage",
          a.response_status as "responseStatus"
        from delivery_changes c join delivery_attempts a on a.id = c.attempt_id join events v on v.id = c.event_id
        join endpoints e on e.id = c.endpoint_id
        where ${IN_RANGE} and c.status = 'FAILED' and a.dead_lettered_at is not null
          and not starts_with(v.type, '${OPERATIONAL_PREFIX}')
        order by c.xid, c.id`,
      values,
    }),
    client.query({
      name: 'read-changed-endpoints',
      text: `
        select ${ABOUT_ENDPOINT}, c.kind, c.status, c.reason
        from endpoint_changes c join endpoints e on e.id = c.endpoint_id where ${IN_RANGE} order by c.xid, c.id`,
      values,
    }),
  ]);
  return { deadLetters: deadLetters.rows, changedEndpoints: changedEndpoints.rows };
}
