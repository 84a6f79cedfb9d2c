import { describe, expect, it } from 'vitest';
import { type ChangePosition, comparePositions, decodeCursor, encodeCursor } from '../../src/live/cursor.ts';

const CURSOR = {
  environmentId: '01890a5d-ac96-774b-bcce-b302099a8057',
  xid: 123n,
  id: 456n,
  at: new Date('2030-01-01T00:00:00.123Z'),
};
const LARGEST_BIGINT = 2n ** 63n - 1n;

/** A cursor as somebody might forge it. */
const forge = (...parts: (string | number | bigint)[]) => Buffer.from(parts.join(',')).toString('base64url');

describe('a cursor', () => {
  it.each([
    ['of a usual place', CURSOR],
    ['of the first place', { ...CURSOR, xid: 0n, id: 0n }],
    ['beyond what a number holds exactly', { ...CURSOR, xid: 2n ** 53n + 1n, id: 2n ** 53n + 3n }],
    ['of the last place', { ...CURSOR, xid: LARGEST_BIGINT, id: LARGEST_BIGINT }],
  ])('leads back to its place: %s', (_, cursor) => {
    expect(decodeCursor(encodeCursor(cursor))).toEqual(cursor);
  });

  it('stands in a URL as it is', () => {
    expect(encodeCursor(CURSOR)).toMatch(/^[\w-]+$/);
  });

  it.each([
    ['nothing', ''],
    ['any text', 'abc'],
    ['a number', '42'],
    ['a public ID', 'dlv_01h455vb4pex5vsknk084sn02q'],
    ['plain JSON', JSON.stringify({ xid: 1 })],
    ['a part too few', forge(CURSOR.environmentId, 1, 2)],
    ['a part too many', forge(CURSOR.environmentId, 1, 2, 3, 4)],
    ['no environment', forge('', 1, 2, 3)],
    ['an environment that is no UUID', forge('production', 1, 2, 3)],
    ['a negative place', forge(CURSOR.environmentId, -1, 2, 3)],
    ['a fraction', forge(CURSOR.environmentId, 1.5, 2, 3)],
    ['a place in hexadecimal', forge(CURSOR.environmentId, '0x1', 2, 3)],
    ['an empty place', forge(CURSOR.environmentId, '', 2, 3)],
    ['SQL', forge(CURSOR.environmentId, "1'--", 2, 3)],
    ['a place of a hundred digits', forge(CURSOR.environmentId, '9'.repeat(100), 2, 3)],
    ['a row ID that no bigint holds', forge(CURSOR.environmentId, 1, LARGEST_BIGINT + 1n, 3)],
    ['a time that no date holds', forge(CURSOR.environmentId, 1, 2, '9'.repeat(19))],
  ])('is not seen in %s', (_, text) => {
    expect(decodeCursor(text)).toBeNull();
  });
});

describe('the order of changes', () => {
  const place = (xid: bigint, id: bigint): ChangePosition => ({ xid, id });

  it.each([
    ['an earlier transaction comes first, whatever the row', place(1n, 9n), place(2n, 1n), -1],
    ['a later transaction comes last, whatever the row', place(2n, 1n), place(1n, 9n), 1],
    ['within a transaction the earlier row comes first', place(1n, 1n), place(1n, 2n), -1],
    ['within a transaction the later row comes last', place(1n, 2n), place(1n, 1n), 1],
    ['a place is the same as itself', place(1n, 1n), place(1n, 1n), 0],
    ['numbers count, not their digits', place(9n, 1n), place(10n, 1n), -1],
    ['large numbers are told apart', place(2n ** 53n, 1n), place(2n ** 53n + 1n, 1n), -1],
  ])('%s', (_, a, b, expected) => {
    expect(Math.sign(comparePositions(a, b))).toBe(expected);
  });
});
