import DataLoader from 'dataloader';
import type { Pool } from 'pg';
import { type DeliveryStatus, type EventStatus, eventStatus } from '../domain/delivery.ts';

/** What an event's deliveries make of it. */
export interface EventSummary {
  status: EventStatus;
  /** When one of them last changed; null: there is none. */
  changedAt: Date | null;
}

/** Loads the summaries of all events of a request with one query, by the events' UUIDs. */
export function makeEventSummaryLoader(pool: Pool): DataLoader<string, EventSummary> {
  return new DataLoader(async (eventIds) => {
    const { rows } = await pool.query(
      `select event_id as "eventId", array_to_json(array_agg(distinct status)) as statuses,
         max(updated_at) as "changedAt"
       from deliveries where event_id = any($1) group by event_id`,
      [eventIds],
    );
    const byId = new Map(rows.map((row) => [row.eventId, row]));
    return eventIds.map((id) => {
      const row = byId.get(id);
      return { status: eventStatus((row?.statuses ?? []) as DeliveryStatus[]), changedAt: row?.changedAt ?? null };
    });
  });
}
