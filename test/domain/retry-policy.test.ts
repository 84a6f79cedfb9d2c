import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  DELAY_SECONDS_MAX,
  DELAY_SECONDS_MIN,
  parseRetryAfter,
  RETRY_AFTER_MS_MAX,
  RETRY_POLICY_DEFAULT,
  retryDelayMs,
} from '../../src/domain/retry-policy.ts';

const HOUR_SECONDS = 3_600;

describe('the default policy', () => {
  it("is the table of the Standard Webhooks specification, with a fifth's jitter", () => {
    expect(RETRY_POLICY_DEFAULT).toEqual({
      maxRetries: 9,
      delaysSeconds: [5, 300, 1_800, ...[2, 5, 10, 14, 20, 24].map((hours) => hours * HOUR_SECONDS)],
      jitter: 0.2,
    });
  });

  it('keeps its delays within what an endpoint may ask for', () => {
    expect(Math.min(...RETRY_POLICY_DEFAULT.delaysSeconds)).toBeGreaterThanOrEqual(DELAY_SECONDS_MIN);
    expect(Math.max(...RETRY_POLICY_DEFAULT.delaysSeconds)).toBeLessThanOrEqual(DELAY_SECONDS_MAX);
  });
});

describe('retryDelayMs', () => {
  it.each([
    [1, 5_000],
    [2, 300_000],
    [3, 1_800_000],
    [9, 86_400_000],
  ])('gives retry %d its own delay: %d ms', (retry, delayMs) => {
    expect(retryDelayMs(RETRY_POLICY_DEFAULT, retry, 0.5)).toBe(delayMs);
  });

  it('repeats the last delay when there are more retries than delays', () => {
    const policy = { maxRetries: 50, delaysSeconds: [1, 7], jitter: 0 };
    expect([1, 2, 3, 50].map((retry) => retryDelayMs(policy, retry, 0.5))).toEqual([1_000, 7_000, 7_000, 7_000]);
  });

  it.each([
    [0, 0.2, 8_000],
    [0.25, 0.2, 9_000],
    [0.5, 0.2, 10_000],
    [1, 0.2, 12_000],
    [0, 0, 10_000],
    [1, 0, 10_000],
    [0, 1, 0],
    [1, 1, 20_000],
  ])('draws from delay * [1 - jitter, 1 + jitter]: random %d, jitter %d gives %d ms', (random, jitter, delayMs) => {
    expect(retryDelayMs({ maxRetries: 1, delaysSeconds: [10], jitter }, 1, random)).toBe(delayMs);
  });

  it('takes delays in fractions of a second and gives whole milliseconds', () => {
    expect(retryDelayMs({ maxRetries: 1, delaysSeconds: [1.23456], jitter: 0 }, 1, 0.5)).toBe(1_235);
  });

  it('waits the shortest delay where a policy has none', () => {
    expect(retryDelayMs({ maxRetries: 1, delaysSeconds: [], jitter: 0 }, 1, 0.5)).toBe(DELAY_SECONDS_MIN * 1_000);
  });
});

describe('parseRetryAfter', () => {
  const NOW = new Date('2030-01-01T00:00:00.000Z');
  const inMs = (ms: number) => new Date(NOW.getTime() + ms);

  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it.each([
    ['1', 1_000],
    ['120', 120_000],
    [' 120 ', 120_000],
    ['007', 7_000],
    ['86400', 86_400_000],
  ])('takes seconds: %j', (header, ms) => {
    expect(parseRetryAfter(header, NOW)).toEqual(inMs(ms));
  });

  it.each([
    ['as RFC 9110 prefers it', 'Tue, 01 Jan 2030 01:00:00 GMT'],
    ['as RFC 850 had it', 'Tuesday, 01-Jan-30 01:00:00 GMT'],
    ["as C's asctime() gives it, which is in UTC too", 'Tue Jan  1 01:00:00 2030'],
  ])('takes a date %s, wherever the server stands', (_, header) => {
    vi.stubEnv('TZ', 'America/New_York');
    expect(parseRetryAfter(header, NOW)).toEqual(inMs(HOUR_SECONDS * 1_000));
  });

  it.each([['86401'], ['99999999999999999999'], ['Fri, 01 Feb 2030 00:00:00 GMT'], ['Fri, 01 Jan 2100 00:00:00 GMT']])(
    'counts up to 24 h: %s',
    (header) => {
      expect(parseRetryAfter(header, NOW)).toEqual(inMs(RETRY_AFTER_MS_MAX));
      expect(RETRY_AFTER_MS_MAX).toBe(24 * HOUR_SECONDS * 1_000);
    },
  );

  it.each([['0'], ['Mon, 31 Dec 2029 23:59:59 GMT'], ['Tue, 01 Jan 2030 00:00:00 GMT']])(
    'asks for nothing where the time is not in the future: %s',
    (header) => {
      expect(parseRetryAfter(header, NOW)).toBeNull();
    },
  );

  it.each([[undefined], [''], [' '], ['soon'], ['-5'], ['1.5'], ['1e3'], ['0x10'], ['120s'], ['Infinity'], ['NaN']])(
    'is null where the header says nothing: %j',
    (header) => {
      expect(parseRetryAfter(header, NOW)).toBeNull();
    },
  );

  it.each([['try 2099'], ['in 5000'], ['9999, 10']])(
    'is null for a text that has a number in it but is no date of HTTP: %j',
    (header) => {
      expect(parseRetryAfter(header, NOW)).toBeNull();
    },
  );

  it('returns the date itself, however long before the end of the answer the attempt started', () => {
    const date = 'Tue, 01 Jan 2030 00:00:10 GMT';
    expect(parseRetryAfter(date, NOW)).toEqual(inMs(10_000));
    expect(parseRetryAfter(date, inMs(6_500))).toEqual(inMs(10_000));
    expect(parseRetryAfter(date, inMs(10_000))).toBeNull();
  });

  it.each([
    ['Sunday, 31-Dec-79 23:59:59 GMT', 24 * HOUR_SECONDS * 1_000],
    ['Saturday, 31-Dec-81 23:59:59 GMT', null],
  ])('reads a two-digit year as at most 50 years ahead: %s', (header, ms) => {
    expect(parseRetryAfter(header, NOW)).toEqual(ms === null ? null : inMs(ms));
  });

  it.each([
    ['Tue, 31 Feb 2030 00:00:00 GMT'],
    ['Tue, 01 Foo 2030 00:00:00 GMT'],
    ['Tue, 00 Jan 2030 00:00:00 GMT'],
    ['Tue, 01 Jan 2030 24:00:00 GMT'],
    ['Tue, 01 Jan 2030 00:60:00 GMT'],
    ['Tue, 01 Jan 2030 01:00:00 CET'],
    ['2030-01-01T01:00:00Z'],
  ])('is null for a date that does not exist or has another form: %s', (header) => {
    expect(parseRetryAfter(header, NOW)).toBeNull();
  });
});
