/** When and how often a delivery is tried again. */
export interface RetryPolicy {
  maxRetries: number;
  /** Delay before retry n at index n - 1; the last one repeats. */
  delaysSeconds: number[];
  /** Each delay is drawn from delay * [1 - jitter, 1 + jitter]. */
  jitter: number;
}

/**
 * 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: the table of the Standard Webhooks specification, section
 * "Deliverability and reliability". Nine retries over about three days.
 */
export const RETRY_POLICY_DEFAULT: RetryPolicy = {
  maxRetries: 9,
  delaysSeconds: [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
  jitter: 0.2,
};

export const MAX_RETRIES_MAX = 50;
export const DELAY_SECONDS_MIN = 1;
/** 7 days. */
export const DELAY_SECONDS_MAX = 604_800;
/** A `Retry-After` counts up to 24 h. */
export const RETRY_AFTER_MS_MAX = 86_400_000;

/**
 * Milliseconds to wait before a retry.
 *
 * @param retry 1 for the first
 * @param random from 0 to 1; 0.5 gives the delay as it stands in the policy
 * @example with the default policy and jitter 0.2, retry 1 comes after 4 to 6 s, retry 2 after 4 to 6 min
 */
export function retryDelayMs(policy: RetryPolicy, retry: number, random: number): number {
  const seconds = policy.delaysSeconds[Math.min(retry, policy.delaysSeconds.length) - 1] ?? DELAY_SECONDS_MIN;
  return Math.round(seconds * 1_000 * (1 + policy.jitter * (2 * random - 1)));
}

/** The three forms of an HTTP date, RFC 9110 section 5.6.7. The last, of C's asctime(), names no zone and means UTC. */
const HTTP_DATES = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/**
 * Milliseconds that a `Retry-After` header asks for; null where it is missing or says nothing.
 * Seconds or an HTTP date, RFC 9110 section 10.2.3.
 */
export function parseRetryAfter(header: string | undefined, now: Date): number | null {
  const text = header?.trim() ?? '';
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : parseHttpDate(text) - now.getTime();
  return ms > 0 ? Math.min(ms, RETRY_AFTER_MS_MAX) : null;
}

/** @returns milliseconds since the epoch; NaN where the text is no HTTP date */
function parseHttpDate(text: string): number {
  if (!HTTP_DATES.some((form) => form.test(text))) return Number.NaN;
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
}
