import { RETRY_AFTER_MS_MAX, type RetryPolicy, retryDelayMs } from './retry-policy.ts';

export type DeliveryStatus = 'PENDING' | 'RETRYING' | 'HELD' | 'DELIVERED' | 'FAILED' | 'CANCELED' | 'SKIPPED';
export type AttemptTrigger = 'INITIAL' | 'RETRY' | 'MANUAL' | 'EXTERNAL';
export type EndpointStatus = 'ACTIVE' | 'PAUSED' | 'DISABLED';
export type RecordedStatus = 'PENDING' | 'RETRY_SCHEDULED' | 'DELIVERED' | 'FAILED';

/** The part of a delivery that changes, and that decides what may happen next. */
export interface DeliveryState {
  status: DeliveryStatus;
  /** Automatic retries used. */
  retryCount: number;
  maxRetries: number;
  /** Raised by every change. A job or an outcome that carries an older plan changes nothing. */
  plan: number;
  /** Trigger of the attempt that is queued or in flight; null where none is. */
  queuedTrigger: AttemptTrigger | null;
  /** What a retry by hand goes back to when it fails; null: the schedule decides. */
  fallbackStatus: DeliveryStatus | null;
  /** Waits in its endpoint's own lane. */
  inLane: boolean;
  /** When the schedule's next retry is due. Kept while a retry by hand is under way. */
  nextAttemptAt: Date | null;
  deliveredAt: Date | null;
  deadLetteredAt: Date | null;
}

/** How an attempt ended, as far as the delivery is concerned. */
export type Outcome =
  | { status: 'SUCCEEDED' }
  | {
      status: 'FAILED';
      /** No retry can help: the endpoint is gone (410), or must not be reached. */
      isFinal: boolean;
      /** Earliest time of the next attempt, from `Retry-After`; null if it asked for none. */
      notBefore: Date | null;
    };

/** What can happen to a delivery. */
export type Happening =
  /** An attempt of the present plan ended. */
  | { type: 'attempted'; outcome: Outcome }
  /** An attempt of an older plan ended: it counts as an attempt and decides nothing. */
  | { type: 'attempted-late' }
  /** Its time has come: an attempt is to be queued, or is about to be made. */
  | { type: 'due' }
  | { type: 'retried-by-hand'; restartSchedule: boolean }
  /** Given up by hand. What had been delivered before stays delivered. */
  | { type: 'canceled' }
  /** An attempt made elsewhere was recorded. */
  | { type: 'recorded'; status: RecordedStatus; nextAttemptAt: Date | null };

/** What the transition may look at besides the delivery itself. */
export interface TransitionContext {
  endpointStatus: EndpointStatus;
  isEndpointDeleted: boolean;
  /** The endpoint has a lane of its own open. */
  hasLane: boolean;
  retryPolicy: RetryPolicy;
  now: Date;
  /** From 0 to 1, for jitter. */
  random: number;
}

const END_STATUSES: readonly DeliveryStatus[] = ['DELIVERED', 'FAILED', 'CANCELED', 'SKIPPED'];

/** Whether nothing more happens to a delivery unless somebody retries it by hand. */
export const isAtEnd = (status: DeliveryStatus): boolean => END_STATUSES.includes(status);

/** State of a delivery before anything happened to it: about to be queued. */
export function newDelivery(maxRetries: number): DeliveryState {
  return {
    status: 'PENDING',
    retryCount: 0,
    maxRetries,
    plan: 0,
    queuedTrigger: 'INITIAL',
    fallbackStatus: null,
    inLane: false,
    nextAttemptAt: null,
    deliveredAt: null,
    deadLetteredAt: null,
  };
}

/**
 * The one place that decides a delivery's status. Pure: the same arguments give the same state.
 * The caller has made sure that the happening is allowed ({@link isAtEnd}, {@link findRetryRefusal}).
 */
export function transition(state: DeliveryState, happening: Happening, context: TransitionContext): DeliveryState {
  switch (happening.type) {
    case 'attempted':
      return applyOutcome(state, happening.outcome, context);
    case 'attempted-late':
      return state;
    case 'due':
      return queue(state, state.queuedTrigger ?? 'RETRY', context);
    case 'retried-by-hand':
      return retryByHand(state, happening.restartSchedule, context);
    case 'canceled':
      return end(state, state.deliveredAt === null ? 'CANCELED' : 'DELIVERED');
    case 'recorded':
      return applyRecord(state, happening, context);
  }
}

/** Why a retry by hand must be refused; null: it may go ahead. */
export function findRetryRefusal(
  state: Pick<DeliveryState, 'status'>,
  context: Pick<TransitionContext, 'endpointStatus' | 'isEndpointDeleted'>,
): 'ALREADY_QUEUED' | 'ENDPOINT_PAUSED' | 'ENDPOINT_DISABLED' | 'ENDPOINT_DELETED' | null {
  if (context.isEndpointDeleted) return 'ENDPOINT_DELETED';
  if (context.endpointStatus === 'DISABLED') return 'ENDPOINT_DISABLED';
  if (context.endpointStatus === 'PAUSED') return 'ENDPOINT_PAUSED';
  return state.status === 'PENDING' || state.status === 'HELD' ? 'ALREADY_QUEUED' : null;
}

/** Queued where the endpoint takes deliveries; held or skipped where it does not. */
function queue(state: DeliveryState, trigger: AttemptTrigger, context: TransitionContext): DeliveryState {
  if (context.isEndpointDeleted || context.endpointStatus === 'DISABLED') return end(state, 'SKIPPED');
  const isPaused = context.endpointStatus === 'PAUSED';
  return {
    ...state,
    status: isPaused ? 'HELD' : 'PENDING',
    plan: state.plan + 1,
    queuedTrigger: trigger,
    inLane: isPaused || context.hasLane,
    nextAttemptAt: state.fallbackStatus === 'RETRYING' ? state.nextAttemptAt : null,
  };
}

const FRESH_SCHEDULE = { retryCount: 0, fallbackStatus: null, nextAttemptAt: null, deadLetteredAt: null } as const;

function retryByHand(state: DeliveryState, restartSchedule: boolean, context: TransitionContext): DeliveryState {
  const schedule = restartSchedule
    ? { ...FRESH_SCHEDULE, maxRetries: context.retryPolicy.maxRetries }
    : { fallbackStatus: state.status };
  return queue({ ...state, ...schedule }, 'MANUAL', context);
}

function applyOutcome(state: DeliveryState, outcome: Outcome, context: TransitionContext): DeliveryState {
  const retryCount = countRetry(state);
  if (outcome.status === 'SUCCEEDED') return deliver({ ...state, retryCount }, context.now);
  if (state.fallbackStatus === 'RETRYING' && outcome.isFinal) return fail(state, context.now);
  if (state.fallbackStatus !== null) return fallBack(state, state.fallbackStatus);
  if (outcome.isFinal || retryCount >= state.maxRetries) return fail({ ...state, retryCount }, context.now);
  const delayMs = retryDelayMs(context.retryPolicy, retryCount + 1, context.random);
  const now = context.now.getTime();
  const notBefore = Math.min(outcome.notBefore?.getTime() ?? 0, now + RETRY_AFTER_MS_MAX);
  return waitForRetry({ ...state, retryCount }, new Date(Math.max(now + delayMs, notBefore)));
}

function applyRecord(
  state: DeliveryState,
  record: Extract<Happening, { type: 'recorded' }>,
  context: TransitionContext,
): DeliveryState {
  const replanned = { ...state, fallbackStatus: null, deadLetteredAt: null };
  switch (record.status) {
    case 'DELIVERED':
      return deliver(replanned, context.now);
    case 'FAILED':
      return fail(replanned, context.now);
    case 'RETRY_SCHEDULED':
      return waitForRetry(replanned, record.nextAttemptAt as Date);
    case 'PENDING':
      return queue(replanned, 'RETRY', context);
  }
}

/** A recorded PENDING may ask for one attempt more than the policy has: the count stays within its bound. */
const countRetry = (state: DeliveryState): number =>
  state.queuedTrigger === 'RETRY' ? Math.min(state.retryCount + 1, state.maxRetries) : state.retryCount;

const end = (state: DeliveryState, status: DeliveryStatus): DeliveryState => ({
  ...state,
  status,
  plan: state.plan + 1,
  queuedTrigger: null,
  fallbackStatus: null,
  inLane: false,
  nextAttemptAt: null,
  deadLetteredAt: null,
});

const deliver = (state: DeliveryState, now: Date): DeliveryState => ({
  ...end(state, 'DELIVERED'),
  deliveredAt: state.deliveredAt ?? now,
});

const fail = (state: DeliveryState, now: Date): DeliveryState => ({ ...end(state, 'FAILED'), deadLetteredAt: now });

const waitForRetry = (state: DeliveryState, nextAttemptAt: Date): DeliveryState => ({
  ...end(state, 'RETRYING'),
  nextAttemptAt,
});

/** As it was before the retry by hand: same status, same next time, same retries left. */
const fallBack = (state: DeliveryState, status: DeliveryStatus): DeliveryState => ({
  ...end(state, status),
  nextAttemptAt: status === 'RETRYING' ? state.nextAttemptAt : null,
  deadLetteredAt: status === 'FAILED' ? state.deadLetteredAt : null,
});

export type EventStatus = 'PENDING' | 'DELIVERED' | 'FAILED' | 'SKIPPED';

/** Status of an event from those of its deliveries. */
export function eventStatus(statuses: Iterable<DeliveryStatus>): EventStatus {
  const present = new Set(statuses);
  if ([...present].some((status) => !isAtEnd(status))) return 'PENDING';
  if (present.has('FAILED')) return 'FAILED';
  return present.has('DELIVERED') ? 'DELIVERED' : 'SKIPPED';
}
