/** Bytes as they are searched: decoded, and with ASCII letters in lower case and `+`, which forms write for a space, as a space. */
export interface View {
  bytes: Uint8Array;
  /** Where each byte begins in the text that was decoded, with its end as the last element; null: nothing was decoded. */
  origins: Int32Array | null;
  /** Whether a byte may end in the digit in which the next one begins. */
  sharesDigits: boolean;
}

const FOLDED = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === 0x2b) return 0x20;
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
});

const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const AMPERSAND = 0x26;
const NONE = 0xff;
/** Between runs of encoded characters: no header value has it. */
const GAP = 0;

const valuesOf = (digits: string): Uint8Array => {
  const values = new Uint8Array(256).fill(NONE);
  for (const [value, digit] of [...digits].entries()) values[digit.charCodeAt(0)] = value;
  return values;
};
const HEX = valuesOf('0123456789abcdef');
for (const digit of 'ABCDEF') HEX[digit.charCodeAt(0)] = HEX[digit.toLowerCase().charCodeAt(0)] as number;
const BASE64 = valuesOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
// Of base64url.
BASE64['-'.charCodeAt(0)] = 62;
BASE64['_'.charCodeAt(0)] = 63;

const JSON_ESCAPES: Record<string, number> = { b: 8, t: 9, n: 10, f: 12, r: 13 };
const HTML_NAMES: Record<string, number> = { amp: 0x26, lt: 0x3c, gt: 0x3e, quot: 0x22, apos: 0x27 };
/** With room for leading zeros: longer ones are not decoded. */
const ENTITY_CHARS_MAX = 12;

export const fold = (bytes: Uint8Array): Uint8Array => {
  const folded = new Uint8Array(bytes.length);
  for (let index = 0; index < bytes.length; index += 1) folded[index] = FOLDED[bytes[index] as number] as number;
  return folded;
};

/**
 * A text as it is, and as it reads once decoded: from JSON's escapes, percent encoding, HTML's character references, hex and
 * base64 (each from every offset at which a value may have been encoded along with other text). The number of views is
 * fixed and none is longer than the text.
 *
 * @param lengthMin shortest text that is searched for, in bytes: shorter runs of hex and base64 are skipped
 */
export function* viewsOf(raw: Uint8Array, lengthMin: number): Generator<View> {
  yield { bytes: fold(raw), origins: null, sharesDigits: false };
  if (raw.includes(BACKSLASH)) yield decodeEscapes(raw, BACKSLASH, readJsonEscape);
  if (raw.includes(PERCENT)) yield decodeEscapes(raw, PERCENT, readPercent);
  if (raw.includes(AMPERSAND)) yield decodeEscapes(raw, AMPERSAND, readEntity);
  const hex = findRuns(raw, HEX, lengthMin * 2);
  if (hex.length > 0) for (let offset = 0; offset < 2; offset += 1) yield decodeRuns(raw, hex, { bits: 4, offset });
  const base64 = findRuns(raw, BASE64, Math.ceil((lengthMin * 4) / 3));
  if (base64.length > 0)
    for (let offset = 0; offset < 4; offset += 1) yield decodeRuns(raw, base64, { bits: 6, offset });
}

class ViewBuilder {
  readonly #bytes: Uint8Array;
  readonly #origins: Int32Array;
  #length = 0;

  /** @param size bytes at most */
  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
    this.#origins = new Int32Array(size + 1);
  }

  push(byte: number, origin: number): void {
    this.#bytes[this.#length] = FOLDED[byte] as number;
    this.#origins[this.#length] = origin;
    this.#length += 1;
  }

  finish(end: number, sharesDigits: boolean): View {
    this.#origins[this.#length] = end;
    return { bytes: this.#bytes.subarray(0, this.#length), origins: this.#origins, sharesDigits };
  }
}

/** A character that an escape stands for, and the bytes that the escape takes; null: it is not one. */
type ReadEscape = (raw: Uint8Array, index: number) => { character: number; length: number; isByte?: boolean } | null;

function decodeEscapes(raw: Uint8Array, sign: number, read: ReadEscape): View {
  const view = new ViewBuilder(raw.length);
  for (let index = 0; index < raw.length; ) {
    const found = raw[index] === sign ? read(raw, index) : null;
    const end = index + (found?.length ?? 1);
    if (!found || found.isByte) view.push(found?.character ?? (raw[index] as number), index);
    else for (const byte of toUtf8(found.character)) view.push(byte, index);
    index = end;
  }
  return view.finish(raw.length, false);
}

/** Never longer than the escape. */
function toUtf8(character: number): Iterable<number> {
  if (character < 0x80) return [character];
  return Buffer.from(character > 0x10ffff ? '\ufffd' : String.fromCodePoint(character));
}

/** @returns undefined if these are not all hex digits */
function readHex(raw: Uint8Array, from: number, length: number): number | undefined {
  let value = 0;
  for (let index = from; index < from + length; index += 1) {
    const digit = HEX[raw[index] ?? GAP] as number;
    if (digit === NONE) return undefined;
    value = value * 16 + digit;
  }
  return value;
}

const readJsonEscape: ReadEscape = (raw, index) => {
  const letter = String.fromCharCode(raw[index + 1] ?? GAP);
  if (letter === 'u') {
    const character = readHex(raw, index + 2, 4);
    return character === undefined ? null : { character, length: 6 };
  }
  if (letter === 'x') {
    const character = readHex(raw, index + 2, 2);
    return character === undefined ? null : { character, length: 4, isByte: true };
  }
  if ('"\\/\''.includes(letter)) return { character: letter.charCodeAt(0), length: 2 };
  const character = JSON_ESCAPES[letter];
  return character === undefined ? null : { character, length: 2 };
};

const readPercent: ReadEscape = (raw, index) => {
  const character = readHex(raw, index + 1, 2);
  return character === undefined ? null : { character, length: 3, isByte: true };
};

const readEntity: ReadEscape = (raw, index) => {
  const end = raw.subarray(index, index + ENTITY_CHARS_MAX).indexOf(0x3b);
  if (end < 2) return null;
  const name = String.fromCharCode(...raw.subarray(index + 1, index + end));
  const character = HTML_NAMES[name] ?? (/^#\d+$/.test(name) ? Number(name.slice(1)) : readHexEntity(name));
  return character === undefined || Number.isNaN(character) ? null : { character, length: end + 1 };
};

const readHexEntity = (name: string): number | undefined =>
  /^#x[0-9a-f]+$/i.test(name) ? Number.parseInt(name.slice(2), 16) : undefined;

/** Digits of an encoding that follow one another; the line breaks within are skipped when they are decoded. */
interface Run {
  from: number;
  to: number;
  values: Uint8Array;
}

const isLineBreak = (byte: number | undefined) => byte === 0x0a || byte === 0x0d;

function findRuns(raw: Uint8Array, values: Uint8Array, lengthMin: number): Run[] {
  const runs: Run[] = [];
  let from = 0;
  for (let index = 0; index <= raw.length; index += 1) {
    const byte = raw[index];
    if (byte !== undefined && (values[byte] !== NONE || (index > from && isLineBreak(byte)))) continue;
    if (index - from >= lengthMin) runs.push({ from, to: index, values });
    from = index + 1;
  }
  return runs;
}

/** @param offset digits of each run that are skipped: a value may begin in the middle of what was encoded */
function decodeRuns(raw: Uint8Array, runs: Run[], { bits, offset }: { bits: number; offset: number }): View {
  const view = new ViewBuilder(raw.length + runs.length);
  for (const run of runs) {
    decodeRun(raw, run, { bits, offset }, view);
    view.push(GAP, run.to);
  }
  return view.finish(raw.length, bits === 6);
}

function decodeRun(
  raw: Uint8Array,
  { from, to, values }: Run,
  { bits, offset }: { bits: number; offset: number },
  view: ViewBuilder,
) {
  let pending = 0;
  let pendingBits = 0;
  let start = from;
  let skip = offset;
  for (let index = from; index < to; index += 1) {
    const value = values[raw[index] as number] as number;
    if (value === NONE) continue;
    if (skip > 0) {
      skip -= 1;
      continue;
    }
    if (pendingBits === 0) start = index;
    pending = ((pending << bits) | value) & 0xffff;
    pendingBits += bits;
    if (pendingBits < 8) continue;
    pendingBits -= 8;
    view.push((pending >> pendingBits) & 0xff, start);
    start = index;
  }
}
