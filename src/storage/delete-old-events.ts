import type { ClientBase } from 'pg';
import { firstIdAt } from '../domain/ids.ts';

/** Events of one transaction: short enough to disturb nobody, also where each has many deliveries. */
const BATCH_MAX = 200;

export interface OldEvents {
  publishedBefore: Date;
  /** An event is kept while the live feed may tell of a change of its deliveries. */
  unchangedSince: Date;
  /** UUID of the event behind which to go on; null: from the oldest. */
  after: string | null;
}

/**
 * Deletes the oldest events that were published before a time, with their deliveries and attempts. What is not at its
 * end is kept, however old. Must run in a transaction.
 *
 * @returns ID of the last event that was looked at; null: there are no more
 */
export async function deleteOldEvents(
  client: ClientBase,
  { publishedBefore, unchangedSince, after }: OldEvents,
): Promise<string | null> {
  const { rows: old } = await client.query({
    name: 'lock-old-events',
    // IDs grow with time, so the primary key finds the oldest.
    text: `select id from events where id > $1 and id < $2 order by id limit ${BATCH_MAX} for update skip locked`,
    values: [after ?? firstIdAt(new Date(0)), firstIdAt(publishedBefore)],
  });
  if (old.length === 0) return null;
  const ids = old.map((row) => row.id);
  const { rows: deliveries } = await client.query({
    name: 'lock-old-deliveries',
    // Locked, so that none is retried by hand meanwhile.
    text: 'select event_id, status, updated_at from deliveries where event_id = any($1) order by id for update',
    values: [ids],
  });
  const mustStay = (row: { status: string; updated_at: Date }) =>
    WAITING.includes(row.status) || row.updated_at >= unchangedSince;
  const kept = new Set(deliveries.filter(mustStay).map((row) => row.event_id));
  const ended = ids.filter((id) => !kept.has(id));
  for (const sql of DELETES) await client.query(sql, [ended]);
  return ids.at(-1);
}

const WAITING = ['PENDING', 'RETRYING', 'HELD'];

const DELETES = [
  'delete from delivery_attempts where event_id = any($1)',
  'delete from deliveries where event_id = any($1)',
  'delete from events where id = any($1)',
];
