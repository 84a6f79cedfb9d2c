import { type DeliveryState, type Outcome, transition } from '../domain/delivery.ts';
import { newId } from '../domain/ids.ts';
import { toRetryPolicy } from '../storage/endpoint-columns.ts';
import type { OutgoingDelivery } from '../storage/load-outgoing.ts';
import type { NewAttempt, Transition } from '../storage/save-transitions.ts';
import type { SendResult } from './sender.ts';

/** What the delivery is told of a request. */
export function toOutcome(result: SendResult): Outcome {
  if (!result.error) return { status: 'SUCCEEDED' };
  const isFinal = result.isGone || result.error.code === 'BLOCKED_ADDRESS';
  return { status: 'FAILED', isFinal, notBefore: result.notBefore };
}

/** The step that a delivery takes by an attempt, with the attempt as it goes on record. */
export function makeAttemptTransition(delivery: OutgoingDelivery, result: SendResult, now: Date): Transition {
  const happening = { type: 'attempted' as const, outcome: toOutcome(result) };
  const context = { ...delivery, retryPolicy: toRetryPolicy(delivery), now, random: Math.random() };
  const next = transition(delivery, happening, context);
  return {
    deliveryId: delivery.id,
    expectedPlan: delivery.plan,
    previousStatus: delivery.status,
    next,
    attempt: toAttempt(delivery, result, next),
  };
}

function toAttempt(delivery: OutgoingDelivery, result: SendResult, next: DeliveryState): NewAttempt {
  return {
    id: newId(),
    trigger: delivery.queuedTrigger ?? 'INITIAL',
    status: result.error ? 'FAILED' : 'SUCCEEDED',
    requestUrl: delivery.url,
    requestMethod: delivery.method,
    requestHeaders: result.requestHeaders,
    requestBodySize: delivery.body.length,
    responseStatus: result.responseStatus,
    responseHeaders: result.responseHeaders,
    responseBody: result.responseBody,
    durationMs: result.durationMs,
    error: result.error && {
      code: result.error.code,
      message: result.error.message.toWellFormed().replaceAll('\0', '\ufffd'),
    },
    ...effectsOf(delivery, next),
    createdAt: result.startedAt,
  };
}

/** What an attempt did to its delivery: scheduled a retry, or made it a dead letter. */
export function effectsOf(before: DeliveryState, after: DeliveryState) {
  const scheduled = after.status === 'RETRYING' && before.fallbackStatus === null;
  const deadLettered = after.status === 'FAILED' && before.fallbackStatus !== 'FAILED';
  return {
    nextAttemptAt: scheduled ? after.nextAttemptAt : null,
    deadLetteredAt: deadLettered ? after.deadLetteredAt : null,
  };
}
