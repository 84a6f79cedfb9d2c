import type { EndpointStatus } from '../domain/delivery.ts';
import type { RetryPolicy } from '../domain/retry-policy.ts';

/** What a transition needs to know of an endpoint, as the statements select it. */
export interface EndpointColumns {
  endpointStatus: EndpointStatus;
  isEndpointDeleted: boolean;
  hasLane: boolean;
  policyMaxRetries: number;
  delaysSeconds: number[];
  jitter: number;
}

/** Select list for {@link EndpointColumns}, from `endpoints e`, lane aside. An array comes as JSON, which is read faster. */
export const ENDPOINT_COLUMNS = `
  e.status as "endpointStatus", e.deleted_at is not null as "isEndpointDeleted",
  e.max_retries as "policyMaxRetries", array_to_json(e.delays_seconds) as "delaysSeconds", e.jitter`;

export const toRetryPolicy = (row: EndpointColumns): RetryPolicy => ({
  maxRetries: row.policyMaxRetries,
  delaysSeconds: row.delaysSeconds,
  jitter: row.jitter,
});
