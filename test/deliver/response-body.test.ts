import { describe, expect, it } from 'vitest';
import { keepResponseBody, RESPONSE_BODY_BYTES_KEPT } from '../../src/deliver/response-body.ts';

const LIMIT = 4_096;

describe('the part of a response body that is kept', () => {
  it('is at most 4,096 bytes', () => {
    expect(RESPONSE_BODY_BYTES_KEPT).toBe(LIMIT);
  });

  it.each(['', 'ok', '{"a":"Grüße 👋"}', 'x'.repeat(LIMIT), 'ü'.repeat(LIMIT / 2), '👋'.repeat(LIMIT / 4)])(
    'is the whole of one that fits',
    (text) => {
      expect(keepResponseBody(Buffer.from(text))).toBe(text);
    },
  );

  it('is the first 4,096 bytes of one that does not', () => {
    expect(keepResponseBody(Buffer.from(`${'x'.repeat(LIMIT)}y`))).toBe('x'.repeat(LIMIT));
  });

  it.each([
    ['two bytes', 'ü'],
    ['three bytes', '€'],
    ['four bytes', '👋'],
  ])('ends before a character of %s that the limit would cut', (_, character) => {
    const bytes = Buffer.byteLength(character);
    const kept = Array.from({ length: bytes + 1 }, (_, over) => {
      const text = 'x'.repeat(LIMIT - bytes + over) + character.repeat(3);
      return keepResponseBody(Buffer.from(text));
    });
    const expected = Array.from({ length: bytes + 1 }, (_, over) => {
      return 'x'.repeat(LIMIT - bytes + over) + (over === 0 ? character : '');
    });
    expect(kept).toEqual(expected);
  });

  it('has a replacement character for each NUL, which Postgres does not take', () => {
    expect(keepResponseBody(Buffer.from('a\0b\0'))).toBe('a\ufffdb\ufffd');
  });

  it('has replacement characters for bytes that are no UTF-8', () => {
    expect(keepResponseBody(Buffer.of(0x61, 0xff, 0x62, 0xc3))).toBe('a\ufffdb\ufffd');
  });

  it.each([
    ['NUL', 0x00],
    ['no UTF-8', 0xff],
  ])('stays within the limit though what replaces a byte takes three: %s', (_, byte) => {
    const kept = keepResponseBody(Buffer.alloc(LIMIT, byte));
    expect(kept).toBe('\ufffd'.repeat(Math.floor(LIMIT / 3)));
  });

  it('is text that Postgres takes, whatever the bytes are', () => {
    const everyByte = Buffer.from(Array.from({ length: 10_000 }, (_, index) => (index * 7 + (index >> 8)) % 256));
    const kept = keepResponseBody(everyByte);
    expect(kept.isWellFormed()).toBe(true);
    expect(kept).not.toContain('\0');
    expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(LIMIT);
    expect(Buffer.byteLength(kept)).toBeGreaterThan(LIMIT - 4);
  });
});
