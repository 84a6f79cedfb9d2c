import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { transition } from '../domain/delivery.ts';
import { encodeId } from '../domain/ids.ts';
import type { Log } from '../log.ts';
import type { JobClaim } from '../queue/delivery-queue.ts';
import { toRetryPolicy } from '../storage/endpoint-columns.ts';
import type { OutgoingDelivery } from '../storage/load-outgoing.ts';
import type { SavedTransition } from '../storage/save-transitions.ts';
import { makeAttemptTransition } from './attempt.ts';
import { OwnFaultError } from './own-fault.ts';
import type { Recorder } from './recorder.ts';
import type { Sender, SendResult } from './sender.ts';

/** Logs of endpoints that are kept at hand. */
const LOGS_MAX = 4_096;
/** Rests before an attempt is repeated that failed through no fault of the endpoint: each twice as long. */
const REPEAT_MS_MIN = 50;
const REPEAT_MS_MAX = 3_200;
const GONE_REASON = 'The endpoint answered 410 Gone.';

export interface CourierOptions {
  sender: Sender;
  recorder: Recorder;
  log: Log;
}

/** Carries one delivery from its lane to its record: what the shared lane and the endpoints' own lanes have in common. */
export class Courier {
  readonly #options: CourierOptions;
  /** With what each line of an endpoint's attempts has in common, so that it need not be written anew. */
  readonly #logs = new LRUCache<string, Log>({ max: LOGS_MAX });
  #isAbandoned = false;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** From now on no outcome is written: requests in flight are about to be cut off, which says nothing of endpoints. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  /**
   * Makes an attempt and writes its outcome.
   *
   * @param onSetAside called if the attempt is over, and its outcome can't be written for now
   * @throws if it can't be written, and the delivery has to be attempted again
   * @throws {OwnFaultError} if no attempt could be made
   */
  async attempt(delivery: OutgoingDelivery, claim: JobClaim | null, onSetAside?: () => void): Promise<void> {
    const { recorder } = this.#options;
    const result = await this.#send(delivery);
    if (this.#isAbandoned) return;
    const step = makeAttemptTransition(delivery, result, new Date());
    const saved = await recorder.record({
      deliveryId: delivery.id,
      endpointId: delivery.endpointId,
      claim,
      transition: step,
      disableReason: result.isGone ? GONE_REASON : null,
      onSetAside,
    });
    this.#log(delivery, { result, status: step.next.status, saved });
  }

  /**
   * An attempt that failed through no fault of the endpoint is repeated, and not counted. After a stall it is not repeated
   * here, because another worker may have taken over the delivery meanwhile.
   */
  async #send(delivery: OutgoingDelivery): Promise<SendResult> {
    const { sender, log } = this.#options;
    for (let waitMs = REPEAT_MS_MIN; ; waitMs *= 2) {
      try {
        return await sender.send(delivery, { isLast: waitMs > REPEAT_MS_MAX });
      } catch (error) {
        if (!(error instanceof OwnFaultError) || error.isStall) throw error;
        if (waitMs > REPEAT_MS_MAX || this.#isAbandoned) throw error;
        const deliveryId = encodeId('Delivery', delivery.id);
        log.warn({ deliveryId, error: error.message, repeatInMs: waitMs }, 'delivery.attempt_repeated');
        await sleep(waitMs * (0.5 + Math.random()));
      }
    }
  }

  /**
   * Queues a delivery that is due as its endpoint requires: held, skipped, or in the lane.
   *
   * @param onSetAside called if that can't be written for now
   */
  async requeue(
    delivery: OutgoingDelivery,
    claim: JobClaim | null,
    hasLane: boolean,
    onSetAside?: () => void,
  ): Promise<void> {
    const context = { ...delivery, hasLane, retryPolicy: toRetryPolicy(delivery), now: new Date(), random: 0 };
    const next = transition(delivery, { type: 'due' }, context);
    await this.#options.recorder.record({
      deliveryId: delivery.id,
      endpointId: delivery.endpointId,
      claim,
      transition: {
        deliveryId: delivery.id,
        expectedPlan: delivery.plan,
        previousStatus: delivery.status,
        next,
        attempt: null,
      },
      disableReason: null,
      onSetAside,
    });
  }

  /** Ends a job of an older plan without sending. */
  async drop(job: { deliveryId: string; claim: JobClaim }): Promise<void> {
    const { deliveryId, claim } = job;
    await this.#options.recorder.record({ deliveryId, endpointId: '', claim, transition: null, disableReason: null });
  }

  #log(
    delivery: OutgoingDelivery,
    { result, status, saved }: { result: SendResult; status: string; saved: SavedTransition | null },
  ) {
    this.#logOf(delivery).info(
      {
        deliveryId: encodeId('Delivery', delivery.id),
        eventId: result.requestHeaders['webhook-id'],
        eventType: delivery.eventType,
        trigger: delivery.queuedTrigger,
        number: saved?.attemptCount,
        responseStatus: result.responseStatus,
        errorCode: result.error?.code,
        durationMs: result.durationMs,
        deliveryStatus: status,
      },
      'delivery.attempted',
    );
  }

  #logOf({ endpointId, environmentId }: OutgoingDelivery): Log {
    const known = this.#logs.get(endpointId);
    if (known) return known;
    const log = this.#options.log.child({
      endpointId: encodeId('Endpoint', endpointId),
      environmentId: encodeId('Environment', environmentId),
    });
    this.#logs.set(endpointId, log);
    return log;
  }
}
