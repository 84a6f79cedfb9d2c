import type { ClientBase } from 'pg';
import type { AttemptTrigger, DeliveryState, DeliveryStatus } from '../domain/delivery.ts';

/** An attempt as it is put on record. Its number is given by the database: the next one of its delivery. */
export interface NewAttempt {
  id: string;
  trigger: AttemptTrigger;
  status: 'SUCCEEDED' | 'FAILED';
  requestUrl: string;
  requestMethod: string;
  requestHeaders: Record<string, string | null>;
  requestBodySize: number;
  responseStatus: number | null;
  responseHeaders: Record<string, string | string[]> | null;
  responseBody: string | null;
  durationMs: number | null;
  error: { code: string; message: string } | null;
  nextAttemptAt: Date | null;
  deadLetteredAt: Date | null;
  createdAt: Date;
}

/** A delivery's step from one state to the next. */
export interface Transition {
  deliveryId: string;
  /** Written only where the delivery still has this plan. */
  expectedPlan: number;
  previousStatus: DeliveryStatus;
  next: DeliveryState;
  /** The attempt behind it; null: none. */
  attempt: NewAttempt | null;
}

export interface SavedTransition {
  deliveryId: string;
  /** Attempts made so far, and so the number of the one that was saved. */
  attemptCount: number;
}

const SQL = `
with input as materialized (
  select * from json_to_recordset($1::json) as x(
    delivery_id uuid, expected_plan int, previous_status delivery_status, status delivery_status, retry_count int,
    max_retries int, plan int, queued_trigger attempt_trigger, fallback_status delivery_status, in_lane boolean,
    next_attempt_at timestamptz, delivered_at timestamptz, dead_lettered_at timestamptz,
    attempt_id uuid, trigger attempt_trigger, attempt_status attempt_status, request_url text,
    request_method http_method, request_headers jsonb, request_body_size int, response_status int,
    response_headers jsonb, response_body text, duration_ms int, error_code attempt_error_code, error_message text,
    scheduled_at timestamptz, died_at timestamptz, attempted_at timestamptz)
), updated as (
  update deliveries d set
    status = i.status, retry_count = i.retry_count, max_retries = i.max_retries, plan = i.plan,
    queued_trigger = i.queued_trigger, fallback_status = i.fallback_status, in_lane = i.in_lane,
    next_attempt_at = i.next_attempt_at, delivered_at = i.delivered_at, dead_lettered_at = i.dead_lettered_at,
    attempt_count = d.attempt_count + (i.attempt_id is not null)::int,
    last_attempt_id = coalesce(i.attempt_id, d.last_attempt_id),
    last_response_status = case when i.attempt_id is null then d.last_response_status else i.response_status end,
    updated_at = $2
  from input i
  where d.id = any(array(select delivery_id from input)) and d.id = i.delivery_id and d.plan = i.expected_plan
  returning d.organization_id, d.environment_id, d.event_id, d.endpoint_id, d.route_id, d.attempt_count, i.*
), attempted as (
  insert into delivery_attempts (
    id, organization_id, environment_id, delivery_id, event_id, endpoint_id, route_id, number, trigger, status,
    request_url, request_method, request_headers, request_body_size, response_status, response_headers,
    response_body, duration_ms, error_code, error_message, next_attempt_at, dead_lettered_at, created_at)
  select attempt_id, organization_id, environment_id, delivery_id, event_id, endpoint_id, route_id, attempt_count,
    trigger, attempt_status, request_url, request_method, request_headers, request_body_size, response_status,
    response_headers, response_body, duration_ms, error_code, error_message, scheduled_at, died_at, attempted_at
  from updated where attempt_id is not null
), changed as (
  insert into delivery_changes
    (environment_id, delivery_id, event_id, endpoint_id, status, previous_status, attempt_id, attempt_trigger,
    attempt_status, duration_ms, changed_at)
  select environment_id, delivery_id, event_id, endpoint_id, status, previous_status, attempt_id, trigger,
    attempt_status, duration_ms, $2
  from updated where status <> previous_status or attempt_id is not null
)
select delivery_id as "deliveryId", attempt_count as "attemptCount" from updated`;

/**
 * Writes the states that deliveries step into, with the attempts behind them and the changes that the live feed
 * tells of and statistics count, in one statement.
 *
 * @returns those written; a delivery whose plan has moved on is missing and was left as it is
 */
export async function saveTransitions(
  client: ClientBase,
  transitions: Transition[],
  now: Date,
): Promise<SavedTransition[]> {
  if (transitions.length === 0) return [];
  const { rows } = await client.query({ name: 'save-transitions', text: SQL, values: [toJson(transitions), now] });
  return rows;
}

/**
 * Flat, and without what is null: the text is parsed twice as fast as one with an object in each object. In order of ID,
 * in which rows are then locked, so that it waits for others who lock many, and they for it, in one order.
 */
const toJson = (transitions: Transition[]): string => JSON.stringify(transitions.toSorted(byDeliveryId).map(toRow));

/** `JSON.stringify` leaves out what is undefined. */
const orNothing = <T>(value: T | null): T | undefined => value ?? undefined;

const byDeliveryId = (a: Transition, b: Transition) => (a.deliveryId < b.deliveryId ? -1 : 1);

const toRow = ({ deliveryId, expectedPlan, previousStatus, next, attempt }: Transition) => ({
  delivery_id: deliveryId,
  expected_plan: expectedPlan,
  previous_status: previousStatus,
  status: next.status,
  retry_count: next.retryCount,
  max_retries: next.maxRetries,
  plan: next.plan,
  queued_trigger: orNothing(next.queuedTrigger),
  fallback_status: orNothing(next.fallbackStatus),
  in_lane: next.inLane,
  next_attempt_at: orNothing(next.nextAttemptAt),
  delivered_at: orNothing(next.deliveredAt),
  dead_lettered_at: orNothing(next.deadLetteredAt),
  ...(attempt && toAttemptColumns(attempt)),
});

const toAttemptColumns = (attempt: NewAttempt) => ({
  attempt_id: attempt.id,
  trigger: attempt.trigger,
  attempt_status: attempt.status,
  request_url: attempt.requestUrl,
  request_method: attempt.requestMethod,
  request_headers: attempt.requestHeaders,
  request_body_size: attempt.requestBodySize,
  response_status: orNothing(attempt.responseStatus),
  response_headers: orNothing(attempt.responseHeaders),
  response_body: orNothing(attempt.responseBody),
  duration_ms: orNothing(attempt.durationMs),
  error_code: attempt.error?.code,
  error_message: attempt.error?.message,
  scheduled_at: orNothing(attempt.nextAttemptAt),
  died_at: orNothing(attempt.deadLetteredAt),
  attempted_at: attempt.createdAt,
});
