import type { Pool } from 'pg';
import type { EndpointStatus } from '../domain/delivery.ts';
import type { EndpointChangeKind } from '../generated/prisma/enums.ts';
import type { ChangePosition } from './cursor.ts';

/** Something that was done to an endpoint, or happened to it. IDs are UUIDs. */
export interface EndpointChange extends ChangePosition {
  endpointId: string;
  kind: EndpointChangeKind;
  /** After the change. */
  status: EndpointStatus;
  reason: string | null;
  changedAt: Date;
}

/** Which changes of endpoints a subscriber wants. IDs are UUIDs. */
export interface EndpointChangeFilter {
  environmentId: string;
  endpointId?: string;
}

/** Place of the last change of any endpoint that is settled: nothing can appear before it any more. Null: there is none. */
export async function findEndpointLogHead(pool: Pool): Promise<ChangePosition | null> {
  const { rows } = await pool.query({
    name: 'find-endpoint-log-head',
    text: `select c.xid::text, c.id::text, c.changed_at as "changedAt" from endpoint_changes c
      where c.xid < pg_snapshot_xmin(pg_current_snapshot()) order by c.xid desc, c.id desc limit 1`,
  });
  return rows[0] ? { xid: BigInt(rows[0].xid), id: BigInt(rows[0].id), changedAt: rows[0].changedAt } : null;
}

/** Whether the change at a place is there. */
export async function hasEndpointChange(pool: Pool, { xid, id, changedAt }: ChangePosition): Promise<boolean> {
  const { rows } = await pool.query({
    name: 'has-endpoint-change',
    text: 'select from endpoint_changes where xid = $1::xid8 and id = $2::bigint and changed_at = $3',
    values: [String(xid), String(id), changedAt ?? null],
  });
  return rows.length > 0;
}

/** Reads the settled changes behind a place, in commit order: at most `max`. */
export async function readEndpointChanges(
  pool: Pool,
  { environmentId, endpointId }: EndpointChangeFilter,
  { after, max }: { after: ChangePosition; max: number },
): Promise<EndpointChange[]> {
  const { rows } = await pool.query({
    name: 'read-endpoint-changes',
    text: `select c.xid::text, c.id::text, endpoint_id as "endpointId", kind, status, reason, changed_at as "changedAt"
      from endpoint_changes c
      where environment_id = $1 and ($2::uuid is null or endpoint_id = $2) and (xid, id) > ($3::xid8, $4::bigint)
        and xid < pg_snapshot_xmin(pg_current_snapshot())
      order by c.xid, c.id limit $5`,
    values: [environmentId, endpointId ?? null, String(after.xid), String(after.id), max],
  });
  return rows.map((row) => ({ ...row, xid: BigInt(row.xid), id: BigInt(row.id) }));
}
