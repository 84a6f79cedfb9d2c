import type { ClientBase } from 'pg';

/** A row of `events`, as the publisher makes it and as Prisma reads it. */
export interface EventRow {
  id: string;
  organizationId: string;
  environmentId: string;
  type: string;
  sourceKey: string | null;
  workflowId: string | null;
  runId: string | null;
  nodeId: string | null;
  idempotencyKey: string | null;
  contentHash: Uint8Array<ArrayBuffer> | null;
  body: Uint8Array<ArrayBuffer>;
  contentType: string;
  endpointCount: number;
  createdAt: Date;
}

const SQL = `
with inserted as (
  insert into events (
    id, organization_id, environment_id, type, source_key, workflow_id, run_id, node_id, idempotency_key,
    content_hash, body, content_type, endpoint_count, created_at)
  select id, "organizationId", "environmentId", type, "sourceKey", "workflowId", "runId", "nodeId", "idempotencyKey",
    decode("contentHash", 'base64'), coalesce(convert_to(text, 'UTF8'), decode(bytes, 'base64')), "contentType",
    "endpointCount", "createdAt"
  from json_to_recordset($1::json) as x(
    id uuid, "organizationId" uuid, "environmentId" uuid, type text, "sourceKey" text, "workflowId" text, "runId" text,
    "nodeId" text, "idempotencyKey" text, "contentHash" text, text text, bytes text, "contentType" text,
    "endpointCount" int, "createdAt" timestamptz)
  on conflict (environment_id, idempotency_key) where idempotency_key is not null do nothing
  returning id, environment_id, created_at
), published as (
  insert into publications (environment_id, events, published_at)
  select environment_id, count(*), max(created_at) from inserted group by environment_id
)
select id from inserted`;

/**
 * Stores events, once in a transaction, and how many they are, for statistics. Where an idempotency key is taken, also
 * by a transaction that commits meanwhile, the event is left out. Rows go in by key, so that two transactions with the same keys wait for each other instead of deadlocking.
 *
 * @returns IDs of the events stored
 */
export async function insertEvents(client: ClientBase, events: EventRow[]): Promise<Set<string>> {
  const rows = events.toSorted((a, b) => compareKeys(a, b)).map(toJson);
  const result = await client.query({ name: 'insert-events', text: SQL, values: [JSON.stringify(rows)] });
  return new Set(result.rows.map((row) => row.id));
}

/** A body goes as text, which is half as long as bytes in hex. Only one with a NUL in it, which no text of Postgres has, goes as bytes. */
function toJson({ body, contentHash, ...row }: EventRow) {
  const bytes = asBuffer(body);
  return {
    ...row,
    contentHash: contentHash && asBuffer(contentHash).toString('base64'),
    ...(bytes.includes(0) ? { bytes: bytes.toString('base64') } : { text: bytes.toString('utf8') }),
  };
}

const compareKeys = (a: EventRow, b: EventRow) => {
  const left = `${a.environmentId} ${a.idempotencyKey ?? ''}`;
  const right = `${b.environmentId} ${b.idempotencyKey ?? ''}`;
  return left < right ? -1 : left > right ? 1 : 0;
};

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
