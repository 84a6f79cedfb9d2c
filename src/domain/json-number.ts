/** Every decimal number with so many significant digits is exactly a double's shortest form, in the range of doubles. */
const SURELY_EXACT_DIGITS = 15;
/** A number without an exponent that is no longer is in that range. */
const SURELY_IN_RANGE_CHARS = 300;

/** The parts of V8's JSON that its types do not know yet: https://tc39.es/proposal-json-parse-with-source/. */
const { rawJSON, isRawJSON } = JSON as typeof JSON & {
  rawJSON: (text: string) => object;
  isRawJSON: (value: unknown) => value is { rawJSON: string };
};

/** A number that no double holds, as it was written. `JSON.stringify` writes it so. */
export type WrittenNumber = { rawJSON: string };

/** Whether a value is a number that is kept as it was written. */
export const isWrittenNumber = (value: unknown): value is WrittenNumber => isRawJSON(value);

/** A number of a JSON or GraphQL text: as a double if that is exactly it, else as it was written. */
export const readNumber = (text: string): number | WrittenNumber =>
  isExactNumber(text, 0, text.length) ? Number(text) : (rawJSON(text) as WrittenNumber);

/** For `JSON.parse`: keeps numbers that no double holds as they were written. */
export const keepWrittenNumbers = (_: string, value: unknown, { source }: { source?: string } = {}): unknown =>
  typeof value === 'number' && source !== undefined ? readNumber(source) : value;

/** Parses a JSON text. Numbers that no double holds stay as they were written. @throws {SyntaxError} */
export const parseExactly = (text: string): unknown =>
  JSON.parse(text, keepWrittenNumbers as Parameters<typeof JSON.parse>[1]);

/**
 * Whether a number means the same as the shortest decimal of its double: `1.0`, `1E2` and `0.1` do,
 * `12345678901234567890` and `1e400` do not. Takes time proportional to its length.
 */
export function isExactNumber(text: string, start: number, end: number): boolean {
  return isSurelyExact(text, start, end) || isExactDecimal(text.slice(start, end));
}

/** Whether a number is exact because it is short; false if that takes a closer look. */
export function isSurelyExact(text: string, start: number, end: number): boolean {
  if (end - start > SURELY_IN_RANGE_CHARS) return false;
  let digits = 0;
  let zeros = 0;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x65 || code === 0x45) return false;
    if (code === 0x30) zeros += digits > 0 ? 1 : 0;
    else if (code > 0x30 && code <= 0x39) {
      digits += zeros + 1;
      zeros = 0;
    }
  }
  return digits <= SURELY_EXACT_DIGITS;
}

function isExactDecimal(written: string): boolean {
  const value = Number(written);
  // It is not a number: the parser reports that.
  if (Number.isNaN(value)) return true;
  const shortest = String(value);
  return shortest === written || (Number.isFinite(value) && normalizeDecimal(written) === normalizeDecimal(shortest));
}

/** One text for each number: its significant digits and the power of ten of the last one. `1.50e3` is `15e2`. */
export function normalizeDecimal(text: string): string {
  const isNegative = text.startsWith('-');
  const [mantissa = '', exponent = '0'] = text
    .slice(isNegative ? 1 : 0)
    .toLowerCase()
    .split('e', 2);
  const [whole = '', fraction = ''] = mantissa.split('.', 2);
  const digits = whole + fraction;
  let from = 0;
  while (digits.charCodeAt(from) === 0x30) from += 1;
  let to = digits.length;
  while (to > from && digits.charCodeAt(to - 1) === 0x30) to -= 1;
  if (from === to) return '0';
  const power = BigInt(exponent.slice(0, 20)) - BigInt(fraction.length) + BigInt(digits.length - to);
  return `${isNegative ? '-' : ''}${digits.slice(from, to)}e${power}`;
}
