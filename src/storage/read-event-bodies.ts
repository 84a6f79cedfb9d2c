import type { ClientBase, Pool } from 'pg';

export interface EventBodies {
  /** By the events' UUIDs. */
  bodies: Map<string, Buffer>;
  /** Of all of them, also if they are too large to be read. */
  bytes: number;
}

export interface EventBodiesQuery {
  environmentId: string;
  /** UUIDs. */
  ids: readonly string[];
  /** If all bodies together are larger, none is read. */
  bytesMax: number;
}

/** Reads bodies of events. Their sizes are known without reading them, so too much is not even begun. */
export async function readEventBodies(
  pool: Pool,
  { environmentId, ids, bytesMax }: EventBodiesQuery,
): Promise<EventBodies> {
  const { rows } = await pool.query(
    `select id, octet_length(body) as bytes, case when sum(octet_length(body)) over () <= $3 then body end as body
     from events where environment_id = $1 and id = any($2)`,
    [environmentId, [...new Set(ids)], bytesMax],
  );
  const bodies = new Map<string, Buffer>();
  let bytes = 0;
  for (const row of rows) {
    bytes += row.bytes;
    if (row.body !== null) bodies.set(row.id, row.body);
  }
  return { bodies, bytes };
}

/** Reads bodies of events by their UUIDs. */
export async function readBodiesById(client: ClientBase, ids: string[]): Promise<Map<string, Buffer<ArrayBuffer>>> {
  const { rows } = await client.query('select id, body from events where id = any($1)', [ids]);
  return new Map(rows.map((row) => [row.id, row.body]));
}
