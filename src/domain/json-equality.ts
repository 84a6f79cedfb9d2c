import { isWrittenNumber, normalizeDecimal, parseExactly } from './json-number.ts';

/**
 * Whether two texts are the same JSON value: the order of keys, white space, escapes and the form of numbers do not matter;
 * of a key that is repeated, the last value counts. False if one of them is not JSON.
 */
export function isEqualJson(left: string, right: string): boolean {
  try {
    return isEqual(parseExactly(left), parseExactly(right));
  } catch {
    return false;
  }
}

/** Both are as deep as the less deep one; a payload is at most 500 levels deep. */
function isEqual(left: unknown, right: unknown): boolean {
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return left === right;
  if (isWrittenNumber(left) || isWrittenNumber(right)) {
    return isWrittenNumber(left) && isWrittenNumber(right) && isSameNumber(left.rawJSON, right.rawJSON);
  }
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((entry, index) => isEqual(entry, right[index]));
  }
  const entries = Object.entries(left);
  if (entries.length !== Object.keys(right).length) return false;
  return entries.every(([key, value]) => Object.hasOwn(right, key) && isEqual(value, right[key as keyof typeof right]));
}

const isSameNumber = (left: string, right: string) =>
  left === right || normalizeDecimal(left) === normalizeDecimal(right);
