import type { ClientBase } from 'pg';
import { ENDPOINT_COLUMNS, type EndpointColumns } from './endpoint-columns.ts';

/** An endpoint that an event names, by the environment that it must be in. UUIDs. */
export interface EndpointName {
  environmentId: string;
  endpointId: string;
}

/** An endpoint that was named, as a delivery to it needs it. */
export interface NamedEndpoint extends EndpointColumns, EndpointName {
  /** No route led there. */
  routeId: null;
}

const SQL = `
with open_lanes as materialized (
  select endpoint_id from lanes where endpoint_id = any($2) order by endpoint_id for key share
)
select e.environment_id as "environmentId", e.id as "endpointId", null as "routeId", ${ENDPOINT_COLUMNS},
  exists (select 1 from open_lanes l where l.endpoint_id = e.id) as "hasLane"
from unnest($1::uuid[], $2::uuid[]) as n(environment_id, endpoint_id)
join endpoints e on e.id = n.endpoint_id and e.environment_id = n.environment_id
where e.deleted_at is null`;

/** The key of a name in the answer of {@link findNamedEndpoints}. */
export const keyOfName = ({ environmentId, endpointId }: EndpointName): string => `${environmentId} ${endpointId}`;

/**
 * Finds endpoints by name, without those that were deleted. Their lanes are locked until the transaction ends, so that
 * none closes over a delivery that is put into it.
 */
export async function findNamedEndpoints(
  client: ClientBase,
  names: EndpointName[],
): Promise<Map<string, NamedEndpoint>> {
  const values = [names.map((name) => name.environmentId), names.map((name) => name.endpointId)];
  const { rows } = await client.query({ name: 'find-named-endpoints', text: SQL, values });
  return new Map(rows.map((row) => [keyOfName(row), row]));
}
