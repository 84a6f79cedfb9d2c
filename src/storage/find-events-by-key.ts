import type { ClientBase } from 'pg';
import type { EventRow } from './insert-events.ts';

/** An event without its body. Equal hashes mean that the body is the one that the caller sent. */
export type KeyedEvent = Omit<EventRow, 'body'>;

const SQL = `
select v.id, v.organization_id as "organizationId", v.environment_id as "environmentId", v.type,
  v.source_key as "sourceKey", v.workflow_id as "workflowId", v.run_id as "runId", v.node_id as "nodeId",
  v.idempotency_key as "idempotencyKey", v.content_hash as "contentHash", v.content_type as "contentType",
  v.endpoint_count as "endpointCount", v.created_at as "createdAt"
from unnest($1::uuid[], $2::text[]) as k(environment_id, key)
join events v on v.environment_id = k.environment_id and v.idempotency_key = k.key`;

/** Reads the events that hold idempotency keys, by `environmentId` and key, joined by a space. */
export async function findEventsByKey(
  client: ClientBase,
  keys: Pick<EventRow, 'environmentId' | 'idempotencyKey'>[],
): Promise<Map<string, KeyedEvent>> {
  const values = [keys.map((key) => key.environmentId), keys.map((key) => key.idempotencyKey)];
  const { rows } = await client.query({ name: 'find-events-by-key', text: SQL, values });
  return new Map(rows.map((row) => [`${row.environmentId} ${row.idempotencyKey}`, row]));
}
