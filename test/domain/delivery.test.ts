import { describe, expect, it } from 'vitest';
import {
  type DeliveryState,
  type DeliveryStatus,
  type EndpointStatus,
  eventStatus,
  findRetryRefusal,
  type Happening,
  isAtEnd,
  newDelivery,
  type RecordedStatus,
  type TransitionContext,
  transition,
} from '../../src/domain/delivery.ts';
import { RETRY_POLICY_DEFAULT } from '../../src/domain/retry-policy.ts';

const NOW = new Date('2030-01-01T00:00:00.000Z');
const SECOND = 1_000;
const HOUR = 3_600_000;
const ALL_STATUSES: DeliveryStatus[] = ['PENDING', 'RETRYING', 'HELD', 'DELIVERED', 'FAILED', 'CANCELED', 'SKIPPED'];

const inMs = (ms: number) => new Date(NOW.getTime() + ms);
const DUE: Happening = { type: 'due' };
const CANCELED: Happening = { type: 'canceled' };
const SUCCEEDED: Happening = { type: 'attempted', outcome: { status: 'SUCCEEDED' } };
const BY_HAND: Happening = { type: 'retried-by-hand', restartSchedule: false };
const RESTARTED: Happening = { type: 'retried-by-hand', restartSchedule: true };

const failed = ({ isFinal = false, retryAfterMs = null as number | null } = {}): Happening => ({
  type: 'attempted',
  outcome: { status: 'FAILED', isFinal, notBefore: retryAfterMs === null ? null : inMs(retryAfterMs) },
});

const recorded = (status: RecordedStatus): Happening => ({
  type: 'recorded',
  status,
  nextAttemptAt: status === 'RETRY_SCHEDULED' ? inMs(2 * HOUR) : null,
});

const makeContext = (overrides: Partial<TransitionContext> = {}): TransitionContext => ({
  endpointStatus: 'ACTIVE',
  isEndpointDeleted: false,
  hasLane: false,
  retryPolicy: RETRY_POLICY_DEFAULT,
  now: NOW,
  random: 0.5,
  ...overrides,
});

/** What becomes of a delivery by happenings, one after the other. */
const follow = (state: DeliveryState, happenings: Happening[], overrides: Partial<TransitionContext> = {}) =>
  happenings.reduce((present, happening) => transition(present, happening, makeContext(overrides)), state);

const publish = (overrides: Partial<TransitionContext> = {}, maxRetries = 9) =>
  follow(newDelivery(maxRetries), [DUE], overrides);

/** A delivery of each status, on the shortest way there. */
const EXAMPLES: Record<DeliveryStatus, DeliveryState> = {
  PENDING: publish(),
  HELD: publish({ endpointStatus: 'PAUSED' }),
  SKIPPED: publish({ endpointStatus: 'DISABLED' }),
  DELIVERED: follow(publish(), [SUCCEEDED]),
  RETRYING: follow(publish(), [failed()]),
  FAILED: follow(publish({}, 0), [failed()]),
  CANCELED: follow(publish(), [CANCELED]),
};

const withoutPlan = ({ plan: _, ...state }: DeliveryState) => state;

describe('publishing', () => {
  it('queues the first attempt where the endpoint is active', () => {
    expect(publish()).toEqual({
      status: 'PENDING',
      retryCount: 0,
      maxRetries: 9,
      plan: 1,
      queuedTrigger: 'INITIAL',
      fallbackStatus: null,
      inLane: false,
      nextAttemptAt: null,
      deliveredAt: null,
      deadLetteredAt: null,
    });
  });

  it("puts the first attempt into the endpoint's own lane where it has one open", () => {
    expect(publish({ hasLane: true })).toMatchObject({ status: 'PENDING', inLane: true, queuedTrigger: 'INITIAL' });
  });

  it("holds the delivery in the endpoint's own lane while the endpoint is paused", () => {
    expect(publish({ endpointStatus: 'PAUSED' })).toMatchObject({
      status: 'HELD',
      inLane: true,
      queuedTrigger: 'INITIAL',
    });
  });

  it.each<[string, Partial<TransitionContext>]>([
    ['disabled', { endpointStatus: 'DISABLED' }],
    ['deleted', { isEndpointDeleted: true }],
    ['deleted while paused', { isEndpointDeleted: true, endpointStatus: 'PAUSED' }],
    ['disabled with a lane open', { endpointStatus: 'DISABLED', hasLane: true }],
  ])('skips the delivery where the endpoint is %s', (_, overrides) => {
    expect(publish(overrides)).toMatchObject({ status: 'SKIPPED', inLane: false, queuedTrigger: null });
  });
});

describe('an attempt that succeeds', () => {
  it('delivers the delivery and leaves nothing planned', () => {
    expect(follow(publish(), [SUCCEEDED])).toMatchObject({
      status: 'DELIVERED',
      deliveredAt: NOW,
      nextAttemptAt: null,
      queuedTrigger: null,
      retryCount: 0,
    });
  });

  it('counts the automatic retry that it was', () => {
    expect(follow(publish(), [failed(), DUE, SUCCEEDED])).toMatchObject({ status: 'DELIVERED', retryCount: 1 });
  });

  it('keeps the time of the first success when a later one follows', () => {
    const again = follow(EXAMPLES.DELIVERED, [BY_HAND, SUCCEEDED], { now: inMs(HOUR) });
    expect(again).toMatchObject({ status: 'DELIVERED', deliveredAt: NOW });
  });

  it('takes a dead letter back to life', () => {
    expect(follow(EXAMPLES.FAILED, [BY_HAND, SUCCEEDED])).toMatchObject({ status: 'DELIVERED', deadLetteredAt: null });
  });
});

describe('an attempt that fails', () => {
  it('schedules the first retry and uses none of them', () => {
    expect(follow(publish(), [failed()])).toMatchObject({
      status: 'RETRYING',
      nextAttemptAt: inMs(5 * SECOND),
      queuedTrigger: null,
      retryCount: 0,
      deadLetteredAt: null,
    });
  });

  it('goes through the whole default schedule and then makes the delivery a dead letter', () => {
    let state = publish();
    for (const [used, delaySeconds] of RETRY_POLICY_DEFAULT.delaysSeconds.entries()) {
      state = follow(state, [failed()]);
      expect(state).toMatchObject({ status: 'RETRYING', retryCount: used, nextAttemptAt: inMs(delaySeconds * SECOND) });
      state = follow(state, [DUE]);
      expect(state).toMatchObject({ status: 'PENDING', queuedTrigger: 'RETRY', nextAttemptAt: null });
    }
    expect(follow(state, [failed()])).toMatchObject({
      status: 'FAILED',
      retryCount: 9,
      deadLetteredAt: NOW,
      nextAttemptAt: null,
    });
  });

  it('makes the delivery a dead letter at once where the policy has no retries', () => {
    expect(follow(publish({}, 0), [failed()])).toMatchObject({ status: 'FAILED', retryCount: 0, deadLetteredAt: NOW });
  });

  it('goes on with the retries that the delivery was made with, not those of a policy changed since', () => {
    const retryPolicy = { ...RETRY_POLICY_DEFAULT, maxRetries: 0 };
    expect(follow(publish({}, 2), [failed()], { retryPolicy })).toMatchObject({ status: 'RETRYING', maxRetries: 2 });
  });

  it.each([
    [0, 4],
    [0.5, 5],
    [1, 6],
  ])('spreads the first retry by the jitter: random %d gives %d s', (random, seconds) => {
    expect(follow(publish(), [failed()], { random }).nextAttemptAt).toEqual(inMs(seconds * SECOND));
  });

  it('ends the delivery where no retry can help, whatever is left of the schedule', () => {
    expect(follow(publish(), [failed({ isFinal: true })])).toMatchObject({
      status: 'FAILED',
      retryCount: 0,
      deadLetteredAt: NOW,
      nextAttemptAt: null,
    });
  });

  it('ends the delivery where no retry can help, though Retry-After asked for one', () => {
    const state = follow(publish(), [failed({ isFinal: true, retryAfterMs: HOUR })]);
    expect(state).toMatchObject({ status: 'FAILED', nextAttemptAt: null });
  });

  it('counts the retry that failed for good', () => {
    const state = follow(publish(), [failed(), DUE, failed({ isFinal: true })]);
    expect(state).toMatchObject({ status: 'FAILED', retryCount: 1 });
  });
});

describe('Retry-After', () => {
  it.each([
    ['says nothing: the schedule stands', null, 5 * SECOND],
    ['is earlier than the schedule: the schedule stands', SECOND, 5 * SECOND],
    ['is later than the schedule: it is waited for', 60 * SECOND, 60 * SECOND],
    ['is 24 h: it is waited for', 24 * HOUR, 24 * HOUR],
    ['is later than 24 h: 24 h are waited for', 48 * HOUR, 24 * HOUR],
  ])('%s', (_, retryAfterMs, expectedMs) => {
    expect(follow(publish(), [failed({ retryAfterMs })]).nextAttemptAt).toEqual(inMs(expectedMs));
  });

  it('never brings a delay of more than 24 h forward', () => {
    const retryPolicy = { maxRetries: 3, delaysSeconds: [604_800], jitter: 0 };
    const state = follow(publish(), [failed({ retryAfterMs: 48 * HOUR })], { retryPolicy });
    expect(state.nextAttemptAt).toEqual(inMs(604_800 * SECOND));
  });

  it('never brings a delay that jitter made longer forward', () => {
    const state = follow(publish(), [failed({ retryAfterMs: 5_500 })], { random: 1 });
    expect(state.nextAttemptAt).toEqual(inMs(6 * SECOND));
  });

  it('gives no retry beyond the last', () => {
    expect(follow(publish({}, 0), [failed({ retryAfterMs: HOUR })]).status).toBe('FAILED');
  });
});

describe('a delivery that comes up', () => {
  it('is queued as a retry when its time has come', () => {
    expect(follow(EXAMPLES.RETRYING, [DUE])).toMatchObject({
      status: 'PENDING',
      queuedTrigger: 'RETRY',
      retryCount: 0,
      nextAttemptAt: null,
    });
  });

  it.each<[string, DeliveryState, Happening[]]>([
    ['a first attempt', EXAMPLES.PENDING, []],
    ['a retry', EXAMPLES.RETRYING, []],
    ['a retry by hand', EXAMPLES.FAILED, [BY_HAND]],
  ])('is held where its endpoint is paused, and goes out when it is resumed: %s', (_, state, before) => {
    const queued = follow(state, [...before, DUE]);
    const held = follow(queued, [DUE], { endpointStatus: 'PAUSED' });
    expect(held).toMatchObject({ status: 'HELD', inLane: true });
    const resumed = follow(held, [DUE]);
    expect(withoutPlan(resumed)).toEqual(withoutPlan(queued));
  });

  it('is held where its endpoint was paused while the retry waited', () => {
    const held = follow(EXAMPLES.RETRYING, [DUE], { endpointStatus: 'PAUSED' });
    expect(held).toMatchObject({ status: 'HELD', inLane: true, queuedTrigger: 'RETRY', nextAttemptAt: null });
  });

  it.each<DeliveryStatus>(['PENDING', 'RETRYING', 'HELD'])(
    'is skipped where its endpoint was disabled: %s',
    (status) => {
      expect(follow(EXAMPLES[status], [DUE], { endpointStatus: 'DISABLED' })).toMatchObject({
        status: 'SKIPPED',
        inLane: false,
        queuedTrigger: null,
        nextAttemptAt: null,
      });
    },
  );

  it.each<DeliveryStatus>(['PENDING', 'RETRYING', 'HELD'])(
    'is skipped where its endpoint was deleted: %s',
    (status) => {
      expect(follow(EXAMPLES[status], [DUE], { isEndpointDeleted: true }).status).toBe('SKIPPED');
    },
  );

  it("moves into the endpoint's own lane, and out of it again, with its trigger", () => {
    const inLane = follow(EXAMPLES.PENDING, [DUE], { hasLane: true });
    expect(inLane).toMatchObject({ status: 'PENDING', inLane: true, queuedTrigger: 'INITIAL' });
    expect(follow(inLane, [DUE])).toMatchObject({ status: 'PENDING', inLane: false, queuedTrigger: 'INITIAL' });
  });
});

describe('canceling', () => {
  it.each<DeliveryStatus>(['PENDING', 'RETRYING', 'HELD'])('ends a delivery that is %s', (status) => {
    expect(follow(EXAMPLES[status], [CANCELED])).toMatchObject({
      status: 'CANCELED',
      queuedTrigger: null,
      nextAttemptAt: null,
      inLane: false,
    });
  });

  it('drops the schedule behind a retry by hand too', () => {
    expect(follow(EXAMPLES.RETRYING, [BY_HAND, CANCELED])).toMatchObject({
      status: 'CANCELED',
      fallbackStatus: null,
      nextAttemptAt: null,
    });
  });

  it.each([BY_HAND, RESTARTED])('leaves what had been delivered before delivered', (again) => {
    const delivered = follow(EXAMPLES.PENDING, [SUCCEEDED]);
    expect(follow(delivered, [again, CANCELED])).toMatchObject({
      status: 'DELIVERED',
      deliveredAt: delivered.deliveredAt,
      queuedTrigger: null,
      fallbackStatus: null,
    });
  });

  it('is not undone by the attempt that was in flight', () => {
    const canceled = follow(EXAMPLES.PENDING, [CANCELED]);
    expect(follow(canceled, [{ type: 'attempted-late' }])).toEqual(canceled);
  });
});

describe('a retry by hand', () => {
  const RETRYABLE: DeliveryStatus[] = ['RETRYING', 'DELIVERED', 'FAILED', 'CANCELED', 'SKIPPED'];
  /** Two retries used, one left, the next at a time that no delay of the policy gives. */
  const retrying = follow(publish({}, 3), [failed(), DUE, failed(), DUE, failed({ retryAfterMs: 7 * HOUR })]);

  it.each(RETRYABLE)('queues one attempt with trigger MANUAL from %s', (status) => {
    expect(follow(EXAMPLES[status], [BY_HAND])).toMatchObject({ status: 'PENDING', queuedTrigger: 'MANUAL' });
  });

  it.each(RETRYABLE)('that fails leaves a delivery that was %s as it was', (status) => {
    const before = EXAMPLES[status];
    const after = follow(before, [BY_HAND, failed()], { now: inMs(HOUR) });
    expect(withoutPlan(after)).toEqual(withoutPlan(before));
    expect(after.plan).toBeGreaterThan(before.plan);
  });

  it.each(RETRYABLE)('that succeeds delivers a delivery that was %s and drops its schedule', (status) => {
    const before = EXAMPLES[status];
    expect(follow(before, [BY_HAND, SUCCEEDED])).toMatchObject({
      status: 'DELIVERED',
      retryCount: before.retryCount,
      nextAttemptAt: null,
      fallbackStatus: null,
      deliveredAt: NOW,
      deadLetteredAt: null,
    });
  });

  it('that fails ends no schedule: same next time, same retries left', () => {
    const after = follow(retrying, [BY_HAND, failed()], { now: inMs(HOUR) });
    expect(after).toMatchObject({
      status: 'RETRYING',
      retryCount: 2,
      maxRetries: 3,
      nextAttemptAt: inMs(7 * HOUR),
    });
  });

  it('may fail any number of times without using an automatic retry', () => {
    const often = follow(retrying, Array.from({ length: 20 }, () => [BY_HAND, failed()]).flat());
    expect(withoutPlan(often)).toEqual(withoutPlan(retrying));
  });

  it('leaves the last automatic retry to be made after it failed, and that one then ends the delivery', () => {
    const lastRetry = follow(retrying, [BY_HAND, failed(), DUE]);
    expect(lastRetry).toMatchObject({ status: 'PENDING', queuedTrigger: 'RETRY', retryCount: 2 });
    expect(follow(lastRetry, [failed()])).toMatchObject({ status: 'FAILED', retryCount: 3, deadLetteredAt: NOW });
  });

  it('keeps the schedule in sight while it is under way', () => {
    expect(follow(retrying, [BY_HAND])).toMatchObject({ status: 'PENDING', nextAttemptAt: inMs(7 * HOUR) });
  });

  it('that fails with Retry-After does not move the schedule that was there', () => {
    const after = follow(retrying, [BY_HAND, failed({ retryAfterMs: 20 * HOUR })]);
    expect(after.nextAttemptAt).toEqual(inMs(7 * HOUR));
  });

  it('that finds the endpoint gone ends the schedule that was there', () => {
    const after = follow(retrying, [BY_HAND, failed({ isFinal: true })], { now: inMs(HOUR) });
    expect(after).toMatchObject({
      status: 'FAILED',
      retryCount: 2,
      nextAttemptAt: null,
      deadLetteredAt: inMs(HOUR),
    });
  });

  it('that finds the endpoint gone leaves a dead letter the time at which it became one', () => {
    const after = follow(EXAMPLES.FAILED, [BY_HAND, failed({ isFinal: true })], { now: inMs(HOUR) });
    expect(after).toMatchObject({ status: 'FAILED', deadLetteredAt: NOW });
  });

  it('that is held and released still falls back to the schedule', () => {
    const held = follow(follow(retrying, [BY_HAND]), [DUE], { endpointStatus: 'PAUSED' });
    expect(held).toMatchObject({ status: 'HELD', queuedTrigger: 'MANUAL', nextAttemptAt: inMs(7 * HOUR) });
    expect(withoutPlan(follow(held, [DUE, failed()]))).toEqual(withoutPlan(retrying));
  });

  it("waits in the endpoint's own lane where one is open", () => {
    expect(follow(EXAMPLES.FAILED, [BY_HAND], { hasLane: true })).toMatchObject({ status: 'PENDING', inLane: true });
  });

  describe('with restartSchedule', () => {
    const retryPolicy = { maxRetries: 2, delaysSeconds: [10, 20], jitter: 0 };

    it.each(RETRYABLE)('gives a delivery that was %s the whole schedule of the policy as it is now', (status) => {
      let state = follow(EXAMPLES[status], [RESTARTED], { retryPolicy });
      expect(state).toMatchObject({
        status: 'PENDING',
        queuedTrigger: 'MANUAL',
        retryCount: 0,
        maxRetries: 2,
        nextAttemptAt: null,
      });
      for (const [used, seconds] of retryPolicy.delaysSeconds.entries()) {
        state = follow(state, [failed()], { retryPolicy });
        expect(state).toMatchObject({ status: 'RETRYING', retryCount: used, nextAttemptAt: inMs(seconds * SECOND) });
        state = follow(state, [DUE], { retryPolicy });
      }
      const end = follow(state, [failed()], { retryPolicy, now: inMs(HOUR) });
      expect(end).toMatchObject({ status: 'FAILED', retryCount: 2, deadLetteredAt: inMs(HOUR) });
    });

    it('forgets the schedule that was there', () => {
      const after = follow(retrying, [RESTARTED, failed()]);
      expect(after).toMatchObject({ status: 'RETRYING', retryCount: 0, nextAttemptAt: inMs(5 * SECOND) });
    });

    it('heeds Retry-After', () => {
      const after = follow(EXAMPLES.FAILED, [RESTARTED, failed({ retryAfterMs: HOUR })]);
      expect(after.nextAttemptAt).toEqual(inMs(HOUR));
    });
  });
});

describe('the time at which a delivery became a dead letter', () => {
  it.each<[string, Happening[]]>([
    ['its schedule was restarted and waits for a retry', [RESTARTED, failed()]],
    ['its retry by hand was canceled', [BY_HAND, CANCELED]],
    ['a retry was recorded in the place of the one by hand', [BY_HAND, recorded('RETRY_SCHEDULED')]],
  ])('is null while it is none: %s', (_, happenings) => {
    const state = follow(EXAMPLES.FAILED, happenings);
    expect(state.status).not.toBe('FAILED');
    expect(state.deadLetteredAt).toBeNull();
  });
});

describe('an attempt made elsewhere', () => {
  const OPEN: DeliveryStatus[] = ['PENDING', 'RETRYING', 'HELD'];

  it.each(OPEN)('recorded as DELIVERED delivers a delivery that is %s', (status) => {
    expect(follow(EXAMPLES[status], [recorded('DELIVERED')])).toMatchObject({
      status: 'DELIVERED',
      deliveredAt: NOW,
      nextAttemptAt: null,
      queuedTrigger: null,
    });
  });

  it.each(OPEN)('recorded as FAILED makes a delivery that is %s a dead letter', (status) => {
    expect(follow(EXAMPLES[status], [recorded('FAILED')])).toMatchObject({
      status: 'FAILED',
      deadLetteredAt: NOW,
      nextAttemptAt: null,
      queuedTrigger: null,
    });
  });

  it.each(OPEN)('recorded as RETRY_SCHEDULED lets a delivery that is %s wait until the time given', (status) => {
    expect(follow(EXAMPLES[status], [recorded('RETRY_SCHEDULED')])).toMatchObject({
      status: 'RETRYING',
      nextAttemptAt: inMs(2 * HOUR),
      queuedTrigger: null,
      retryCount: 0,
    });
  });

  it.each(OPEN)('recorded as PENDING queues an attempt of a delivery that is %s', (status) => {
    expect(follow(EXAMPLES[status], [recorded('PENDING')])).toMatchObject({
      status: 'PENDING',
      queuedTrigger: 'RETRY',
      nextAttemptAt: null,
    });
  });

  it.each<[EndpointStatus, DeliveryStatus]>([
    ['PAUSED', 'HELD'],
    ['DISABLED', 'SKIPPED'],
  ])('recorded as PENDING at a %s endpoint leaves the delivery %s', (endpointStatus, status) => {
    expect(follow(EXAMPLES.RETRYING, [recorded('PENDING')], { endpointStatus }).status).toBe(status);
  });

  it('uses no automatic retry itself', () => {
    const state = follow(EXAMPLES.RETRYING, [DUE, recorded('RETRY_SCHEDULED')]);
    expect(state.retryCount).toBe(0);
  });

  it('recorded as PENDING over and over never raises the count above the policy', () => {
    const state = follow(publish({}, 1), [failed(), DUE, recorded('PENDING'), failed()]);
    expect(state).toMatchObject({ status: 'FAILED', retryCount: 1 });
    const without = follow(publish({}, 0), [recorded('PENDING'), failed()]);
    expect(without).toMatchObject({ status: 'FAILED', retryCount: 0 });
  });

  it('takes the place of a retry by hand: what was behind it is dropped', () => {
    const state = follow(EXAMPLES.RETRYING, [BY_HAND, recorded('PENDING'), failed()]);
    expect(state).toMatchObject({ status: 'RETRYING', retryCount: 1, nextAttemptAt: inMs(300 * SECOND) });
  });
});

describe('an attempt of an older plan', () => {
  it.each(ALL_STATUSES)('decides nothing about a delivery that is %s', (status) => {
    expect(follow(EXAMPLES[status], [{ type: 'attempted-late' }])).toEqual(EXAMPLES[status]);
  });
});

describe('every way that a delivery can take', () => {
  const POLICIES = [0, 2].map((maxRetries) => ({ maxRetries, delaysSeconds: [5, 60], jitter: 0 }));
  const CONTEXTS = (['ACTIVE', 'PAUSED', 'DISABLED'] as const).flatMap((endpointStatus) =>
    [false, true].flatMap((isEndpointDeleted) =>
      [false, true].flatMap((hasLane) =>
        POLICIES.map((retryPolicy) => makeContext({ endpointStatus, isEndpointDeleted, hasLane, retryPolicy })),
      ),
    ),
  );
  const RECORDS = (['PENDING', 'RETRY_SCHEDULED', 'DELIVERED', 'FAILED'] as const).map(recorded);
  const OUTCOMES = [SUCCEEDED, failed(), failed({ isFinal: true }), failed({ retryAfterMs: HOUR })];

  /** There are fewer: whoever finds more counts something up without end. */
  const STATES_MAX = 1_000;

  /** What callers may let happen to a delivery. */
  function listHappenings(state: DeliveryState, context: TransitionContext): Happening[] {
    return [
      { type: 'attempted-late' },
      ...(state.status === 'PENDING' ? OUTCOMES : []),
      ...(isAtEnd(state.status) ? [] : [DUE, CANCELED, ...RECORDS]),
      ...(findRetryRefusal(state, context) === null ? [BY_HAND, RESTARTED] : []),
    ];
  }

  /** Every step from every state that can be reached. Plans grow without end, so they tell no two states apart. */
  function* walk() {
    const queue = POLICIES.map(({ maxRetries }) => newDelivery(maxRetries));
    const seen = new Set(queue.map((state) => JSON.stringify(withoutPlan(state))));
    for (let before = queue.shift(); before && seen.size < STATES_MAX; before = queue.shift()) {
      Object.freeze(before);
      for (const context of CONTEXTS) {
        for (const happening of listHappenings(before, context)) {
          const after = transition(before, happening, context);
          yield { before, happening, context, after };
          const key = JSON.stringify(withoutPlan(after));
          if (!seen.has(key)) queue.push(after);
          seen.add(key);
        }
      }
    }
  }

  const STEPS = [...walk()];
  const isQueued = ({ status }: DeliveryState) => status === 'PENDING' || status === 'HELD';

  it('leads through a number of states that has an end', () => {
    const states = new Set(STEPS.map(({ after }) => JSON.stringify(withoutPlan(after))));
    expect(states.size).toBeLessThan(STATES_MAX);
  });

  it('leads through every status by every happening', () => {
    expect(new Set(STEPS.map(({ after }) => after.status))).toEqual(new Set(ALL_STATUSES));
    expect(new Set(STEPS.map(({ happening }) => happening.type)).size).toBe(6);
  });

  it.each<[string, (state: DeliveryState) => boolean]>([
    ['an attempt is queued exactly while PENDING or HELD', (s) => isQueued(s) === (s.queuedTrigger !== null)],
    [
      'a retry waits exactly while a next time is set and nothing is queued',
      (s) => (s.status === 'RETRYING') === (s.nextAttemptAt !== null && s.queuedTrigger === null),
    ],
    [
      'a queued attempt has a next time behind it exactly where a retry by hand goes back to RETRYING',
      (s) => !isQueued(s) || (s.nextAttemptAt !== null) === (s.fallbackStatus === 'RETRYING'),
    ],
    ['only a queued retry by hand has a way back', (s) => s.fallbackStatus === null || s.queuedTrigger === 'MANUAL'],
    ['nobody goes back to an attempt that is queued', (s) => !['PENDING', 'HELD'].includes(s.fallbackStatus ?? '')],
    ['only what is queued stands in a lane', (s) => !s.inLane || isQueued(s)],
    ["what is held stands in its endpoint's own lane", (s) => s.status !== 'HELD' || s.inLane],
    ['retries used are never more than there are', (s) => s.retryCount >= 0 && s.retryCount <= s.maxRetries],
    ['what was delivered has a time of it', (s) => s.status !== 'DELIVERED' || s.deliveredAt !== null],
    [
      'only a dead letter has a time at which it became one, also while a retry by hand may yet save it',
      (s) => (s.deadLetteredAt !== null) === (s.status === 'FAILED' || s.fallbackStatus === 'FAILED'),
    ],
    [
      'at its end is what neither waits nor is queued',
      (s) => isAtEnd(s.status) !== (isQueued(s) || s.status === 'RETRYING'),
    ],
  ])('%s', (_, holds) => {
    expect(STEPS.find(({ after }) => !holds(after))).toBeUndefined();
  });

  type Step = (typeof STEPS)[number];
  it.each<[string, (step: Step) => boolean]>([
    [
      'the plan rises with everything but an attempt that came too late',
      ({ before, happening, after }) => after.plan === before.plan + (happening.type === 'attempted-late' ? 0 : 1),
    ],
    [
      'an attempt that came too late changes nothing',
      ({ before, happening, after }) =>
        happening.type !== 'attempted-late' || JSON.stringify(before) === JSON.stringify(after),
    ],
    [
      'nothing new is queued for an endpoint that is disabled or deleted',
      ({ context, happening, after }) =>
        !(context.isEndpointDeleted || context.endpointStatus === 'DISABLED') ||
        happening.type === 'attempted-late' ||
        !isQueued(after),
    ],
    [
      'nothing new is sent to an endpoint that is paused',
      ({ context, happening, after }) =>
        context.endpointStatus !== 'PAUSED' || happening.type === 'attempted-late' || after.status !== 'PENDING',
    ],
    [
      'only restarting the schedule gives used retries back',
      ({ before, happening, after }) => after.retryCount >= before.retryCount || happening === RESTARTED,
    ],
    [
      'only an automatic retry is counted as one',
      ({ before, happening, after }) =>
        after.retryCount <= before.retryCount || (happening.type === 'attempted' && before.queuedTrigger === 'RETRY'),
    ],
    ['a success delivers, always', ({ happening, after }) => happening !== SUCCEEDED || after.status === 'DELIVERED'],
    [
      'a failure never delivers and never queues, unless the delivery was delivered before',
      ({ before, happening, after }) =>
        happening.type !== 'attempted' ||
        happening === SUCCEEDED ||
        (!isQueued(after) && (after.status !== 'DELIVERED' || before.fallbackStatus === 'DELIVERED')),
    ],
    [
      'the time of the first success is never taken back',
      ({ before, after }) => before.deliveredAt === null || after.deliveredAt === before.deliveredAt,
    ],
  ])('%s', (_, holds) => {
    expect(STEPS.find((step) => !holds(step))).toBeUndefined();
  });
});

describe('findRetryRefusal', () => {
  it.each<[DeliveryStatus, EndpointStatus, boolean, ReturnType<typeof findRetryRefusal>]>([
    ['RETRYING', 'ACTIVE', false, null],
    ['DELIVERED', 'ACTIVE', false, null],
    ['FAILED', 'ACTIVE', false, null],
    ['CANCELED', 'ACTIVE', false, null],
    ['SKIPPED', 'ACTIVE', false, null],
    ['PENDING', 'ACTIVE', false, 'ALREADY_QUEUED'],
    ['HELD', 'ACTIVE', false, 'ALREADY_QUEUED'],
    ['RETRYING', 'PAUSED', false, 'ENDPOINT_PAUSED'],
    ['HELD', 'PAUSED', false, 'ENDPOINT_PAUSED'],
    ['FAILED', 'PAUSED', false, 'ENDPOINT_PAUSED'],
    ['SKIPPED', 'DISABLED', false, 'ENDPOINT_DISABLED'],
    ['PENDING', 'DISABLED', false, 'ENDPOINT_DISABLED'],
    ['FAILED', 'ACTIVE', true, 'ENDPOINT_DELETED'],
    ['FAILED', 'PAUSED', true, 'ENDPOINT_DELETED'],
    ['PENDING', 'DISABLED', true, 'ENDPOINT_DELETED'],
  ])('a %s delivery, endpoint %s, deleted %s: %s', (status, endpointStatus, isEndpointDeleted, refusal) => {
    expect(findRetryRefusal({ status }, { endpointStatus, isEndpointDeleted })).toBe(refusal);
  });

  it('refuses a second retry by hand while the first is queued, and takes one again after its outcome', () => {
    const queued = follow(EXAMPLES.FAILED, [BY_HAND]);
    expect(findRetryRefusal(queued, makeContext())).toBe('ALREADY_QUEUED');
    expect(findRetryRefusal(follow(queued, [failed()]), makeContext())).toBeNull();
  });
});

describe('isAtEnd', () => {
  it.each<[DeliveryStatus, boolean]>([
    ['PENDING', false],
    ['RETRYING', false],
    ['HELD', false],
    ['DELIVERED', true],
    ['FAILED', true],
    ['CANCELED', true],
    ['SKIPPED', true],
  ])('%s: %s', (status, expected) => {
    expect(isAtEnd(status)).toBe(expected);
  });
});

describe('eventStatus', () => {
  it.each<[ReturnType<typeof eventStatus>, DeliveryStatus[]]>([
    ['SKIPPED', []],
    ['SKIPPED', ['SKIPPED']],
    ['SKIPPED', ['CANCELED']],
    ['SKIPPED', ['SKIPPED', 'CANCELED']],
    ['DELIVERED', ['DELIVERED']],
    ['DELIVERED', ['DELIVERED', 'SKIPPED', 'CANCELED']],
    ['FAILED', ['FAILED']],
    ['FAILED', ['DELIVERED', 'FAILED']],
    ['FAILED', ['SKIPPED', 'FAILED', 'CANCELED', 'DELIVERED']],
    ['PENDING', ['PENDING']],
    ['PENDING', ['RETRYING']],
    ['PENDING', ['HELD']],
    ['PENDING', ['DELIVERED', 'RETRYING']],
    ['PENDING', ['FAILED', 'HELD']],
    ['PENDING', ['SKIPPED', 'CANCELED', 'FAILED', 'DELIVERED', 'PENDING']],
  ])('is %s for an event with deliveries %j', (expected, statuses) => {
    expect(eventStatus(statuses)).toBe(expected);
    expect(eventStatus(statuses.toReversed())).toBe(expected);
  });
});
