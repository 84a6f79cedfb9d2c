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
insert into events (
  id, organization_id, environment_id, type, source_key, workflow_id, run_id, node_id, idempotency_key,
  content_hash, body, content_type, endpoint_count, created_at)
select * from unnest(
  $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
  $10::bytea[], $11::bytea[], $12::text[], $13::int[], $14::timestamptz[])
on conflict (environment_id, idempotency_key) where idempotency_key is not null do nothing
returning id`;

/**
 * Stores events. Where an idempotency key is taken, also by a transaction that commits meanwhile, the event is left
 * out. Rows go in by key, so that two transactions with the same keys wait for each other instead of deadlocking.
 *
 * @returns IDs of the events stored
 */
export async function insertEvents(client: ClientBase, events: EventRow[]): Promise<Set<string>> {
  const rows = events.toSorted((a, b) => compareKeys(a, b));
  const column = <K extends keyof EventRow>(name: K) => rows.map((row) => row[name]);
  const bytes = (name: 'body' | 'contentHash') => rows.map((row) => row[name] && asBuffer(row[name]));
  const result = await client.query({
    name: 'insert-events',
    text: SQL,
    values: [
      column('id'),
      column('organizationId'),
      column('environmentId'),
      column('type'),
      column('sourceKey'),
      column('workflowId'),
      column('runId'),
      column('nodeId'),
      column('idempotencyKey'),
      bytes('contentHash'),
      bytes('body'),
      column('contentType'),
      column('endpointCount'),
      column('createdAt'),
    ],
  });
  return new Set(result.rows.map((row) => row.id));
}

const compareKeys = (a: EventRow, b: EventRow) => {
  const left = `${a.environmentId} ${a.idempotencyKey ?? ''}`;
  const right = `${b.environmentId} ${b.idempotencyKey ?? ''}`;
  return left < right ? -1 : left > right ? 1 : 0;
};

/** pg writes a Buffer as bytea; a plain Uint8Array inside an array parameter it would not. */
const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
