import DataLoader from 'dataloader';
import type { Pool } from 'pg';
import { type DeliveryStatus, type EventStatus, eventStatus } from '../domain/delivery.ts';

/** What an event's deliveries make of it. */
export interface EventSummary {
  status: EventStatus;
  /** When one of them last changed; null: there is none. */
  changedAt: Date | null;
}

/**
 * Loads the summaries of events that are asked for at the same time with one query, by the events' UUIDs. Remembers
 * nothing: a subscription asks again and again.
 *
 * @param endpointId only what its delivery to this endpoint makes of an event; null: all its deliveries
 */
export function makeEventSummaryLoader(pool: Pool, endpointId: string | null): DataLoader<string, EventSummary> {
  const load = async (eventIds: readonly string[]): Promise<EventSummary[]> => {
    const { rows } = await pool.query(
      `select event_id as "eventId", array_to_json(array_agg(distinct status)) as statuses,
         max(updated_at) as "changedAt"
       from deliveries where event_id = any($1) and ($2::uuid is null or endpoint_id = $2) group by event_id`,
      [eventIds, endpointId],
    );
    const byId = new Map(rows.map((row) => [row.eventId, row]));
    return eventIds.map((id) => {
      const row = byId.get(id);
      return { status: eventStatus((row?.statuses ?? []) as DeliveryStatus[]), changedAt: row?.changedAt ?? null };
    });
  };
  return new DataLoader(load, { cache: false });
}
