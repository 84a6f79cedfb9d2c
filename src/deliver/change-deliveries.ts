import type { ClientBase, Pool } from 'pg';
import { type Happening, transition } from '../domain/delivery.ts';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import { toRetryPolicy } from '../storage/endpoint-columns.ts';
import { type LockCondition, type LockedDelivery, lockDeliveries } from '../storage/lock-deliveries.ts';
import { type NewAttempt, saveTransitions, type Transition } from '../storage/save-transitions.ts';
import type { Signals } from '../storage/signals.ts';

/** What changes of deliveries outside the workers need. */
export interface DeliveryChangerOptions {
  pool: Pool;
  queue: DeliveryQueue;
  signals: Signals;
}

/** What is to happen to a delivery that was locked, and the attempt that goes on record with it. */
export interface Decision {
  happening: Happening;
  attempt?: (delivery: LockedDelivery, next: Transition['next']) => NewAttempt;
}

/**
 * Locks deliveries, decides about each, and writes new states and jobs, all in the caller's transaction.
 *
 * @param decide null: the delivery stays as it is. What it throws ends the transaction
 * @returns the deliveries that were changed, as they are now
 */
export async function changeDeliveries(
  client: ClientBase,
  queue: DeliveryQueue,
  { condition, decide }: { condition: LockCondition; decide: (delivery: LockedDelivery) => Decision | null },
): Promise<LockedDelivery[]> {
  const now = new Date();
  const locked = await lockDeliveries(client, condition);
  const changed = locked.flatMap((delivery) => {
    const decision = decide(delivery);
    return decision ? [{ delivery, step: makeTransition(delivery, decision, now) }] : [];
  });
  await saveTransitions(
    client,
    changed.map(({ step }) => step),
    now,
  );
  const queued = changed.filter(({ step }) => step.next.status === 'PENDING' && !step.next.inLane);
  await queue.add(
    client,
    queued.map(({ step }) => ({ deliveryId: step.deliveryId, plan: step.next.plan })),
  );
  return changed.map(({ delivery, step }) => ({ ...delivery, ...step.next }));
}

function makeTransition(delivery: LockedDelivery, { happening, attempt }: Decision, now: Date): Transition {
  const context = { ...delivery, retryPolicy: toRetryPolicy(delivery), now, random: Math.random() };
  const next = transition(delivery, happening, context);
  return {
    deliveryId: delivery.id,
    expectedPlan: delivery.plan,
    previousStatus: delivery.status,
    next,
    attempt: attempt?.(delivery, next) ?? null,
  };
}

/** Wakes feeds and workers after deliveries were changed and the transaction is committed. */
export function signalChanges(signals: Signals): void {
  signals.send('posthorn_changes', 'posthorn_jobs');
}
