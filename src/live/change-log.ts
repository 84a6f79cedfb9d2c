import type { Pool } from 'pg';
import type { DeliveryStatus } from '../domain/delivery.ts';
import { type ChangePosition, comparePositions } from './cursor.ts';

/** A delivery's change of status, as the log has it. IDs are UUIDs. */
export interface DeliveryChange extends ChangePosition {
  environmentId: string;
  deliveryId: string;
  eventId: string;
  endpointId: string;
  status: DeliveryStatus;
  previousStatus: DeliveryStatus | null;
  attemptId: string | null;
  changedAt: Date;
}

/** Changes are kept so long, and so is a cursor good. */
export const CHANGES_KEPT_MS = 86_400_000;

/** Positions come as text, because numbers of JavaScript don't hold them. */
const COLUMNS = `
  c.xid::text, c.id::text, c.environment_id as "environmentId", c.delivery_id as "deliveryId",
  c.event_id as "eventId", c.endpoint_id as "endpointId", c.status, c.previous_status as "previousStatus",
  c.attempt_id as "attemptId", c.changed_at as "changedAt"`;

/**
 * Below the oldest transaction that still runs, nothing can appear any more. So a reader that goes on from (xid, id)
 * up to there misses nothing and sees nothing twice.
 */
const BOUND = `bound as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as xmin)`;

/**
 * The last change before that bound. It is the place that a reader has come to, and not the bound itself: after a crash,
 * Postgres gives transaction IDs out again that no committed transaction had.
 */
const SETTLED = `settled as materialized (
  select l.xid, l.id, l.changed_at from bound b cross join lateral (
    select xid, id, changed_at from delivery_changes where xid < b.xmin order by xid desc, id desc limit 1) l)`;

/** Before the first change. */
const BEGINNING: ChangePosition = { xid: 0n, id: 0n };

/** What is new in the log. */
export interface SettledChanges {
  changes: DeliveryChange[];
  /** Place up to which they are complete. */
  head: ChangePosition;
  /** There are newer changes, which can't be told before an older transaction has ended. */
  hasUnsettled: boolean;
  /** The change at the place that was read from is gone though it is young: an older state of the database was restored. */
  wentBack: boolean;
}

/**
 * Reads on from a place: the settled changes of some environments, in commit order.
 *
 * @param max how many at the most; with so many, `head` is the place of the last one
 */
export async function readSettledChanges(
  pool: Pool,
  { after, environmentIds, max }: { after: ChangePosition; environmentIds: string[]; max: number },
): Promise<SettledChanges> {
  const { rows } = await pool.query({
    name: 'read-settled-changes',
    text: `
      with ${BOUND}, ${SETTLED}, newest as materialized (
        select xid from delivery_changes order by xid desc, id desc limit 1)
      select s.xid::text as "settledXid", s.id::text as "settledId", s.changed_at as "settledChangedAt",
        b.xmin <= (select xid from newest) as "hasUnsettled", $5::timestamptz is null or exists (
          select from delivery_changes where xid = $1::xid8 and id = $2::bigint and changed_at = $5) as "isThere",
        ${COLUMNS}
      from bound b left join settled s on true left join lateral (
        select * from delivery_changes
        where (xid, id) > ($1::xid8, $2::bigint) and xid < b.xmin and environment_id = any($3::uuid[])
        order by xid, id limit $4) c on true
      order by c.xid, c.id`,
    values: [String(after.xid), String(after.id), environmentIds, max, after.changedAt ?? null],
  });
  const changes = rows.filter((row) => row.id !== null).map(toChange);
  const [{ settledXid, settledId, settledChangedAt, hasUnsettled, isThere }] = rows;
  const settled = toPosition(settledXid, settledId, settledChangedAt);
  if (!isThere && isKept(after)) return { changes: [], head: settled, hasUnsettled: false, wentBack: true };
  // The last change may have been deleted by age since.
  const end = comparePositions(settled, after) > 0 ? settled : after;
  const last = changes[max - 1];
  return { changes, head: last ? positionOf(last) : end, hasUnsettled: hasUnsettled === true, wentBack: false };
}

/** The place of a change. */
export const positionOf = ({ xid, id, changedAt }: DeliveryChange): ChangePosition => ({ xid, id, changedAt });

/** Whether a change is so young that it has not been deleted by age. */
export const isKept = ({ changedAt }: ChangePosition): boolean =>
  changedAt !== undefined && Date.now() - changedAt.getTime() < CHANGES_KEPT_MS;

/** The place up to which everything is settled now: what is not comes behind it. */
export async function findLogHead(pool: Pool): Promise<ChangePosition> {
  const { rows } = await pool.query({
    name: 'find-log-head',
    text: `with ${BOUND}, ${SETTLED} select xid::text, id::text, changed_at as "changedAt" from settled`,
  });
  return toPosition(rows[0]?.xid ?? null, rows[0]?.id ?? null, rows[0]?.changedAt);
}

const toPosition = (xid: string | null, id: string | null, changedAt: Date): ChangePosition =>
  xid === null || id === null ? BEGINNING : { xid: BigInt(xid), id: BigInt(id), changedAt };

/**
 * Whether a place is one of this database, of the log of deliveries or of endpoints: everything after it can be told. It
 * is not if an older state of the database was restored, or the database was moved. A place before all that is kept counts.
 */
export async function isPlaceKnown(pool: Pool, { xid, id, changedAt }: ChangePosition): Promise<boolean> {
  const place = 'xid = $1::xid8 and id = $2::bigint and changed_at = $3';
  const { rows } = await pool.query({
    name: 'is-place-known',
    text: `select pg_snapshot_xmax(pg_current_snapshot()) >= $1::xid8 and (
      $3::timestamptz is null or exists (select from delivery_changes where ${place})
      or exists (select from endpoint_changes where ${place})
      or not exists (select from delivery_changes where (xid, id) <= ($1::xid8, $2::bigint))) as "isKnown"`,
    values: [String(xid), String(id), changedAt ?? null],
  });
  return rows[0].isKnown;
}

/**
 * Reads the changes of an environment behind `after`, up to and with `upTo`, in commit order.
 *
 * @param upTo a place before which everything is settled
 */
export async function readChangesBetween(
  pool: Pool,
  options: { environmentId: string; after: ChangePosition; upTo: ChangePosition; max: number },
): Promise<DeliveryChange[]> {
  const { environmentId, after, upTo, max } = options;
  const { rows } = await pool.query({
    name: 'read-changes-between',
    text: `
      select ${COLUMNS} from delivery_changes c
      where environment_id = $1 and (xid, id) > ($2::xid8, $3::bigint) and (xid, id) <= ($4::xid8, $5::bigint)
      order by c.xid, c.id limit $6`,
    values: [environmentId, String(after.xid), String(after.id), String(upTo.xid), String(upTo.id), max],
  });
  return rows.map(toChange);
}

// biome-ignore lint/suspicious/noExplicitAny: a row of COLUMNS, and what stood beside it
const toChange = ({ settledXid, settledId, settledChangedAt, hasUnsettled, isThere, ...row }: any): DeliveryChange => ({
  ...row,
  xid: BigInt(row.xid),
  id: BigInt(row.id),
});
