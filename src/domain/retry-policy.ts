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
const TIME = '(?<hour>\\d{2}):(?<minute>\\d{2}):(?<second>\\d{2})';
const HTTP_DATES = [
  new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{5,8}, (?<day>\\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\\d{2}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** A two-digit year further in the future is one of the past, RFC 9110 section 5.6.7. */
const TWO_DIGIT_YEARS_AHEAD_MAX = 50;

/**
 * The earliest time of the next attempt that a `Retry-After` header asks for, RFC 9110 section 10.2.3. Seconds count from
 * the end of the answer. An HTTP date is taken literally, by this machine's clock: the `Date` header of the answer, which
 * could tell how far the endpoint's clock is off, is not used.
 *
 * @param receivedAt when the answer was complete
 * @returns at most {@link RETRY_AFTER_MS_MAX} after `receivedAt`; null if the header is missing, invalid or in the past
 */
export function parseRetryAfter(header: string | undefined, receivedAt: Date): Date | null {
  const text = header?.trim() ?? '';
  const now = receivedAt.getTime();
  const time = /^\d+$/.test(text) ? now + Number(text) * 1_000 : parseHttpDate(text, receivedAt);
  return time > now ? new Date(Math.min(time, now + RETRY_AFTER_MS_MAX)) : null;
}

/** @returns milliseconds since the epoch; NaN if the text is not an HTTP date, or a date that does not exist */
function parseHttpDate(text: string, now: Date): number {
  const parts = HTTP_DATES.map((form) => form.exec(text)?.groups).find(Boolean);
  if (!parts) return Number.NaN;
  const [year, month, day, hour, minute, second] = [
    toFullYear(parts.year as string, now.getUTCFullYear()),
    MONTHS.indexOf(parts.month as string),
    Number(parts.day),
    Number(parts.hour),
    Number(parts.minute),
    Number(parts.second),
  ];
  const midnight = new Date(Date.UTC(year, month, day));
  const exists = midnight.getUTCMonth() === month && midnight.getUTCDate() === day;
  // 60 is a leap second.
  if (!exists || hour > 23 || minute > 59 || second > 60) return Number.NaN;
  return midnight.getTime() + ((hour * 60 + minute) * 60 + second) * 1_000;
}

function toFullYear(text: string, currentYear: number): number {
  if (text.length === 4) return Number(text);
  const year = currentYear - (currentYear % 100) + Number(text);
  return year > currentYear + TWO_DIGIT_YEARS_AHEAD_MAX ? year - 100 : year;
}
