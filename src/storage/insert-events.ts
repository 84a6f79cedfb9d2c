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

const toSql = (onConflict: string) => `
with inserted as (
  insert into events (
    id, organization_id, environment_id, type, source_key, workflow_id, run_id, node_id, idempotency_key,
    content_hash, content_type, endpoint_count, created_at, body)
  select a, b, c, d, e, f, g, h, i, j, k, l, m, coalesce(convert_to(text, 'UTF8'), bytes)
  from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::bytea[], $11::text[], $12::int[], $13::timestamptz[], $14::text[], $15::bytea[]
  ) as x(a, b, c, d, e, f, g, h, i, j, k, l, m, text, bytes)
  ${onConflict}
  returning id, environment_id, created_at
), published as (
  insert into publications (environment_id, events, published_at)
  select environment_id, count(*), max(created_at) from inserted group by environment_id
)
select id from inserted`;

const KEYED_SQL = toSql('on conflict (environment_id, idempotency_key) where idempotency_key is not null do nothing');
/** Looking out for conflicts costs a record more in the log of Postgres, and a fifteenth of the statement. */
const KEYLESS_SQL = toSql('');

/**
 * Stores events, once in a transaction, and how many they are, for statistics. Where an idempotency key is taken, also
 * by a transaction that commits meanwhile, the event is left out. Rows go in by key, so that two transactions with the same keys wait for each other instead of deadlocking.
 *
 * @returns IDs of the events stored
 */
export async function insertEvents(client: ClientBase, events: EventRow[]): Promise<Set<string>> {
  const isKeyed = events.some((event) => event.idempotencyKey !== null);
  const { rows } = await client.query({
    name: isKeyed ? 'insert-keyed-events' : 'insert-events',
    text: isKeyed ? KEYED_SQL : KEYLESS_SQL,
    values: toColumns(isKeyed ? events.toSorted(compareKeys) : events),
  });
  return new Set(rows.map((row) => row.id));
}

/** Columns as arrays, which Postgres reads faster than rows as JSON. */
function toColumns(events: EventRow[]): unknown[] {
  const texts = events.map(({ body }) => toText(body));
  return [
    events.map((event) => event.id),
    events.map((event) => event.organizationId),
    events.map((event) => event.environmentId),
    events.map((event) => event.type),
    events.map((event) => event.sourceKey),
    events.map((event) => event.workflowId),
    events.map((event) => event.runId),
    events.map((event) => event.nodeId),
    events.map((event) => event.idempotencyKey),
    events.map((event) => event.contentHash),
    events.map((event) => event.contentType),
    events.map((event) => event.endpointCount),
    events.map((event) => event.createdAt),
    texts,
    events.map(({ body }, index) => (texts[index] === null ? asBuffer(body) : null)),
  ];
}

/** A body goes as text, which is half as long as bytes in hex. Null: it has a NUL, which no text of Postgres has. */
function toText(body: Uint8Array): string | null {
  const bytes = asBuffer(body);
  return bytes.includes(0) ? null : bytes.toString('utf8');
}

const compareKeys = (a: EventRow, b: EventRow) => {
  const left = `${a.environmentId} ${a.idempotencyKey ?? ''}`;
  const right = `${b.environmentId} ${b.idempotencyKey ?? ''}`;
  return left < right ? -1 : left > right ? 1 : 0;
};

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
