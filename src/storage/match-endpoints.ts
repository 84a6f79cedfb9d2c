import type { ClientBase } from 'pg';
import { patternsFor } from '../domain/event-type.ts';
import { ENDPOINT_COLUMNS, type EndpointColumns } from './endpoint-columns.ts';

export interface EventTypeOfEnvironment {
  environmentId: string;
  type: string;
}

export interface MatchedEndpoint extends EndpointColumns, EventTypeOfEnvironment {
  endpointId: string;
  routeId: string;
}

const SQL = `
with matched as materialized (
  select distinct on (t.environment_id, t.type, r.endpoint_id)
    t.environment_id, t.type, r.endpoint_id, r.id as route_id
  from json_to_recordset($1::json) as t(environment_id uuid, type text, patterns json)
  join routes r on r.environment_id = t.environment_id
    and r.event_types && array(select json_array_elements_text(t.patterns))
  order by t.environment_id, t.type, r.endpoint_id, r.id
), open_lanes as materialized (
  select l.endpoint_id from lanes l where l.endpoint_id in (select endpoint_id from matched)
  order by l.endpoint_id for key share
)
select m.environment_id as "environmentId", m.type, m.endpoint_id as "endpointId", m.route_id as "routeId",
  ${ENDPOINT_COLUMNS}, exists (select 1 from open_lanes l where l.endpoint_id = m.endpoint_id) as "hasLane"
from matched m join endpoints e on e.id = m.endpoint_id
where e.deleted_at is null`;

/**
 * Finds the endpoints that want events of given types, each once, with the first of its routes that matches.
 * Their lanes are locked until the transaction ends, so that none closes over a delivery that is put into it.
 */
export async function matchEndpoints(client: ClientBase, types: EventTypeOfEnvironment[]): Promise<MatchedEndpoint[]> {
  const input = types.map(({ environmentId, type }) => ({
    environment_id: environmentId,
    type,
    patterns: patternsFor(type),
  }));
  const { rows } = await client.query({ name: 'match-endpoints', text: SQL, values: [JSON.stringify(input)] });
  return rows;
}
