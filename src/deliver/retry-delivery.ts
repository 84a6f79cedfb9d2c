import type { ClientBase } from 'pg';
import { findRetryRefusal } from '../domain/delivery.ts';
import type { Tenant } from '../domain/tenant.ts';
import { DeliveryNotRetryableError, NotFoundError } from '../errors.ts';
import { type LockedDelivery, ownDelivery } from '../storage/lock-deliveries.ts';
import { inTransaction } from '../storage/transaction.ts';
import { changeDeliveries, type Decision, type DeliveryChangerOptions, signalChanges } from './change-deliveries.ts';

export interface RetryDeliveryInput {
  deliveryId: string;
  /** Gives the whole schedule again. @default false: one attempt */
  restartSchedule?: boolean;
}

/**
 * Queues one attempt of a delivery by hand.
 *
 * @throws {NotFoundError}
 * @throws {DeliveryNotRetryableError} where an attempt is queued already, or the endpoint takes none
 */
export async function retryDelivery(
  options: DeliveryChangerOptions,
  tenant: Tenant,
  { deliveryId, restartSchedule = false }: RetryDeliveryInput,
): Promise<void> {
  const condition = ownDelivery(tenant, deliveryId);
  await inTransaction(options.pool, async (client) => {
    const decide = (delivery: LockedDelivery) => decideRetry(delivery, restartSchedule);
    const changed = await changeDeliveries(client, options.queue, { condition, decide });
    if (changed.length === 0) throw new NotFoundError('There is no delivery with this ID.');
  });
  signalChanges(options.signals);
}

/** Queues one attempt of the delivery that an attempt belongs to. @throws as {@link retryDelivery} */
export async function retryDeliveryAttempt(
  options: DeliveryChangerOptions,
  tenant: Tenant,
  attemptId: string,
): Promise<string> {
  const { rows } = await options.pool.query(
    `select delivery_id as id from delivery_attempts
     where id = $1 and environment_id = $2 and ($3::uuid is null or endpoint_id = $3)`,
    [attemptId, tenant.environmentId, tenant.endpointId],
  );
  if (rows.length === 0) throw new NotFoundError('There is no attempt with this ID.');
  await retryDelivery(options, tenant, { deliveryId: rows[0].id });
  return rows[0].id;
}

/** @throws {DeliveryNotRetryableError} */
export function decideRetry(delivery: LockedDelivery, restartSchedule: boolean): Decision {
  const refusal = findRetryRefusal(delivery, delivery);
  if (refusal) throw new DeliveryNotRetryableError(refusal, delivery.id);
  return { happening: { type: 'retried-by-hand', restartSchedule } };
}

/** Locks and retries those deliveries of an event that can be retried now. @returns those queued, with their endpoints */
export function retryDeliveriesOf(
  client: ClientBase,
  options: DeliveryChangerOptions,
  { eventId, endpointIds }: { eventId: string; endpointIds: string[] },
): Promise<LockedDelivery[]> {
  const where = 'd.event_id = $1 and d.endpoint_id = any($2)';
  const condition = { name: 'of-event', where, values: [eventId, endpointIds] };
  const decide = (delivery: LockedDelivery) =>
    findRetryRefusal(delivery, delivery) ? null : decideRetry(delivery, false);
  return changeDeliveries(client, options.queue, { condition, decide });
}
