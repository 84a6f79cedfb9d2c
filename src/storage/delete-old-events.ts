import type { ClientBase } from 'pg';
import { firstIdAt } from '../domain/ids.ts';

/** Events of one transaction: short enough to disturb nobody, even if each has many deliveries. */
const BATCH_MAX = 200;
/** After every ID that a clock has given so far. Clocks that differ by less are the same time. */
const FUTURE_MS = 3_600_000;

export interface OldEvents {
  publishedBefore: Date;
  /** An event is kept while the live feed may report a change of its deliveries. */
  unchangedSince: Date;
  /** UUID of the event after which to continue. `null`: from the oldest. */
  after: string | null;
}

/** Of `events v`: none of its deliveries waits, and none was changed since $1. */
const MAY_GO = `not exists (
  select from deliveries d where d.event_id = v.id
    and (d.status in ('PENDING', 'RETRYING', 'HELD') or d.updated_at >= $1))`;

/**
 * Deletes the oldest events that were published before a time, with their deliveries and attempts. Events with a waiting
 * delivery are kept, however old, and are neither locked nor written. Must run in a transaction.
 *
 * @returns ID of the last event that was read. `null`: there are no more
 */
export async function deleteOldEvents(
  client: ClientBase,
  { publishedBefore, unchangedSince, after }: OldEvents,
): Promise<string | null> {
  const { rows } = await client.query({
    name: 'find-old-events',
    // IDs grow with time, so the primary key finds the oldest.
    text: `select v.id, ${MAY_GO} as "mayGo"
      from (select id from events where id > $2 and id < $3 order by id limit ${BATCH_MAX}) v order by v.id`,
    values: [unchangedSince, after ?? firstIdAt(new Date(0)), firstIdAt(publishedBefore)],
  });
  await deleteEvents(client, toIds(rows), unchangedSince);
  return rows.at(-1)?.id ?? null;
}

/**
 * As {@link deleteOldEvents}, for events whose ID lies in the future: the clock was ahead when they were published, and
 * their time says how old they are. There are none if clocks are right.
 */
export async function deleteOldFutureEvents(
  client: ClientBase,
  { publishedBefore, unchangedSince, after, now }: OldEvents & { now: Date },
): Promise<string | null> {
  const { rows } = await client.query({
    name: 'find-old-future-events',
    text: `select v.id, v.created_at < $3 and ${MAY_GO} as "mayGo"
      from (select id, created_at from events where id > $2 order by id limit ${BATCH_MAX}) v order by v.id`,
    values: [unchangedSince, after ?? firstIdAt(new Date(now.getTime() + FUTURE_MS)), publishedBefore],
  });
  await deleteEvents(client, toIds(rows), unchangedSince);
  return rows.at(-1)?.id ?? null;
}

const toIds = (rows: { id: string; mayGo: boolean }[]) => rows.filter(({ mayGo }) => mayGo).map(({ id }) => id);

async function deleteEvents(client: ClientBase, candidates: string[], unchangedSince: Date) {
  if (candidates.length === 0) return;
  const { rows: events } = await client.query({
    name: 'lock-old-events',
    text: 'select id from events where id = any($1) order by id for update skip locked',
    values: [candidates],
  });
  const ids = events.map(({ id }) => id);
  const { rows: deliveries } = await client.query({
    name: 'lock-old-deliveries',
    // Locked, so that none is retried manually meanwhile. One may have been since the candidates were found.
    text: `select event_id, status in ('PENDING', 'RETRYING', 'HELD') or updated_at >= $2 as "mustStay"
      from deliveries where event_id = any($1) order by id for update`,
    values: [ids, unchangedSince],
  });
  const kept = new Set(deliveries.filter(({ mustStay }) => mustStay).map((row) => row.event_id));
  const ended = ids.filter((id) => !kept.has(id));
  for (const sql of DELETES) await client.query(sql, [ended]);
}

const DELETES = [
  'delete from delivery_attempts where event_id = any($1)',
  'delete from deliveries where event_id = any($1)',
  'delete from events where id = any($1)',
];
