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
    delivery_id uuid, expected_plan int, previous_status delivery_status,
    status delivery_status, retry_count int, max_retries int, plan int, queued_trigger attempt_trigger,
    fallback_status delivery_status, in_lane boolean, next_attempt_at timestamptz, delivered_at timestamptz,
    dead_lettered_at timestamptz, attempt json)
), updated as (
  update deliveries d set
    status = i.status, retry_count = i.retry_count, max_retries = i.max_retries, plan = i.plan,
    queued_trigger = i.queued_trigger, fallback_status = i.fallback_status, in_lane = i.in_lane,
    next_attempt_at = i.next_attempt_at, delivered_at = i.delivered_at, dead_lettered_at = i.dead_lettered_at,
    attempt_count = d.attempt_count + (i.attempt is not null)::int,
    last_attempt_id = coalesce((i.attempt->>'id')::uuid, d.last_attempt_id), updated_at = $2
  from input i where d.id = i.delivery_id and d.plan = i.expected_plan
  returning d.id, d.organization_id, d.environment_id, d.event_id, d.endpoint_id, d.route_id, d.attempt_count,
    d.status, i.previous_status, i.attempt
), attempted as (
  insert into delivery_attempts (
    id, organization_id, environment_id, delivery_id, event_id, endpoint_id, route_id, number, trigger, status,
    request_url, request_method, request_headers, request_body_size, response_status, response_headers,
    response_body, duration_ms, error_code, error_message, next_attempt_at, dead_lettered_at, created_at)
  select a.id, u.organization_id, u.environment_id, u.id, u.event_id, u.endpoint_id, u.route_id, u.attempt_count,
    a.trigger, a.status, a."requestUrl", a."requestMethod", a."requestHeaders", a."requestBodySize",
    a."responseStatus", a."responseHeaders", a."responseBody", a."durationMs",
    (a.error->>'code')::attempt_error_code, a.error->>'message', a."nextAttemptAt", a."deadLetteredAt", a."createdAt"
  from updated u cross join lateral json_to_record(u.attempt) as a(
    id uuid, trigger attempt_trigger, status attempt_status, "requestUrl" text, "requestMethod" http_method,
    "requestHeaders" jsonb, "requestBodySize" int, "responseStatus" int, "responseHeaders" jsonb,
    "responseBody" text, "durationMs" int, error jsonb, "nextAttemptAt" timestamptz, "deadLetteredAt" timestamptz,
    "createdAt" timestamptz)
  where u.attempt is not null
), changed as (
  insert into delivery_changes
    (environment_id, delivery_id, event_id, endpoint_id, status, previous_status, attempt_id, changed_at)
  select u.environment_id, u.id, u.event_id, u.endpoint_id, u.status, u.previous_status, (u.attempt->>'id')::uuid, $2
  from updated u where u.status <> u.previous_status or u.attempt is not null
)
select id as "deliveryId", attempt_count as "attemptCount" from updated`;

/**
 * Writes the states that deliveries step into, with the attempts behind them and the changes that the live feed
 * tells of, in one statement.
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

function toJson(transitions: Transition[]): string {
  return JSON.stringify(
    transitions.map(({ deliveryId, expectedPlan, previousStatus, next, attempt }) => ({
      delivery_id: deliveryId,
      expected_plan: expectedPlan,
      previous_status: previousStatus,
      status: next.status,
      retry_count: next.retryCount,
      max_retries: next.maxRetries,
      plan: next.plan,
      queued_trigger: next.queuedTrigger,
      fallback_status: next.fallbackStatus,
      in_lane: next.inLane,
      next_attempt_at: next.nextAttemptAt,
      delivered_at: next.deliveredAt,
      dead_lettered_at: next.deadLetteredAt,
      attempt: attempt ?? undefined,
    })),
  );
}
