import { isAtEnd } from '../domain/delivery.ts';
import type { Tenant } from '../domain/tenant.ts';
import { DeliveryAtEndError, NotFoundError } from '../errors.ts';
import { ownDelivery } from '../storage/lock-deliveries.ts';
import { inTransaction } from '../storage/transaction.ts';
import { changeDeliveries, type DeliveryChangerOptions, signalChanges } from './change-deliveries.ts';

/**
 * Ends a delivery that has not ended yet. An attempt in flight runs to its end and goes on record, nothing follows it.
 *
 * @throws {NotFoundError}
 * @throws {DeliveryAtEndError}
 */
export async function cancelDelivery(
  options: DeliveryChangerOptions,
  tenant: Tenant,
  deliveryId: string,
): Promise<void> {
  const condition = ownDelivery(tenant, deliveryId);
  await inTransaction(options.pool, async (client) => {
    const changed = await changeDeliveries(client, options.queue, {
      condition,
      decide: (delivery) => {
        if (isAtEnd(delivery.status)) throw new DeliveryAtEndError(delivery.id);
        return { happening: { type: 'canceled' } };
      },
    });
    if (changed.length === 0) throw new NotFoundError('There is no delivery with this ID.');
  });
  signalChanges(options.signals);
}
