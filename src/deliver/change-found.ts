import { type DeliveryStatus, findRetryRefusal, isAtEnd } from '../domain/delivery.ts';
import type { Tenant } from '../domain/tenant.ts';
import type { NotRetryableReason } from '../errors.ts';
import type { LockCondition, LockedDelivery } from '../storage/lock-deliveries.ts';
import { inTransaction } from '../storage/transaction.ts';
import { changeDeliveries, type Decision, type DeliveryChangerOptions, signalChanges } from './change-deliveries.ts';

/** Deliveries of one call: what it locks is held up until it is done. */
export const FOUND_DELIVERIES_MAX = 500;

/** Deliveries that a search found, with what it asked for of all that can have changed since. */
export interface FoundDeliveries {
  /** UUIDs, {@link FOUND_DELIVERIES_MAX} at the most. */
  ids: string[];
  /** Null: any. */
  statuses: readonly DeliveryStatus[] | null;
  /** Of the last attempt; null: any. */
  responseStatus: number | null;
}

/** How many deliveries were queued, and why others were not. */
export interface RetriedDeliveries {
  retriedCount: number;
  passedOver: Map<NotRetryableReason, number>;
}

/**
 * Queues one attempt by hand of each delivery that a search found, all in one transaction. Those that can't be retried now
 * stay as they are; so do those that the search would not find any more.
 *
 * @param restartSchedule gives each the whole schedule again
 */
export async function retryFound(
  options: DeliveryChangerOptions,
  tenant: Tenant,
  { found, restartSchedule }: { found: FoundDeliveries; restartSchedule: boolean },
): Promise<RetriedDeliveries> {
  const { changedCount, reasons } = await changeFound<NotRetryableReason>(options, tenant, found, (delivery) => {
    const refusal = findRetryRefusal(delivery, delivery);
    return refusal ?? { happening: { type: 'retried-by-hand', restartSchedule } };
  });
  const passedOver = new Map<NotRetryableReason, number>();
  for (const reason of reasons) passedOver.set(reason, (passedOver.get(reason) ?? 0) + 1);
  return { retriedCount: changedCount, passedOver };
}

/**
 * Ends the deliveries that a search found, all in one transaction. Those that the search would not find any more stay as
 * they are.
 *
 * @returns how many were ended, and how many were at their end already
 */
export async function cancelFound(
  options: DeliveryChangerOptions,
  tenant: Tenant,
  found: FoundDeliveries,
): Promise<{ canceledCount: number; passedOverCount: number }> {
  const { changedCount, reasons } = await changeFound(options, tenant, found, ({ status }) =>
    isAtEnd(status) ? 'AT_END' : { happening: { type: 'canceled' } },
  );
  return { canceledCount: changedCount, passedOverCount: reasons.length };
}

/** @param decide what is to happen to a delivery, or why nothing is to */
async function changeFound<Reason extends string>(
  options: DeliveryChangerOptions,
  tenant: Tenant,
  found: FoundDeliveries,
  decide: (delivery: LockedDelivery) => Decision | Reason,
): Promise<{ changedCount: number; reasons: Reason[] }> {
  if (found.ids.length === 0) return { changedCount: 0, reasons: [] };
  const condition = stillFound(tenant, found);
  const done = await inTransaction(options.pool, async (client) => {
    // Begun anew with the transaction, which is made again after a deadlock.
    const reasons: Reason[] = [];
    const changed = await changeDeliveries(client, options.queue, {
      condition,
      decide: (delivery) => {
        const decision = decide(delivery);
        if (typeof decision !== 'string') return decision;
        reasons.push(decision);
        return null;
      },
    });
    return { changedCount: changed.length, reasons };
  });
  if (done.changedCount > 0) signalChanges(options.signals);
  return done;
}

/** Asks again for what can change, of rows that nobody else can change then. */
const stillFound = (
  { environmentId, endpointId }: Tenant,
  { ids, statuses, responseStatus }: FoundDeliveries,
): LockCondition => ({
  name: 'found',
  where: `d.id = any($1) and d.environment_id = $2 and ($3::uuid is null or d.endpoint_id = $3)
    and ($4::delivery_status[] is null or d.status = any($4))
    and ($5::int is null or d.last_response_status = $5)`,
  values: [ids, environmentId, endpointId, statuses, responseStatus],
});
