import { randomInt } from 'node:crypto';
import { fold, type View } from './encoded-views.ts';

/** Shorter values are not hidden: they are found in nearly every text. */
export const SECRET_CHARS_MIN = 4;
/** From this length on, a value is hidden wherever it is found; a shorter one only as a whole word. */
const ANYWHERE_CHARS_MIN = 8;
/** Of longer values, any so many bytes in a row are hidden. Bounds the look-ups for each byte of a text. */
export const WINDOW_BYTES = 16;

/** Odd, and unknown to whoever chooses values and texts, so that nobody can choose them to collide. */
const HASH_BASE = randomInt(0x1000, 0x7fff_ffff) | 1;

/** Spreads what differs in few bits. */
const GOLDEN_RATIO = 0x9e37_79b1;

/** Texts of one length, in a hash table. */
interface Table {
  length: number;
  /** Index of a text in the bytes of all, plus one; 0: free. The size is a power of two. */
  slots: Int32Array;
  /** Bits that a hash is shifted by to get a slot. */
  shift: number;
  isWord: boolean;
  power: number;
}

/**
 * Finds values of an endpoint's own headers in a text. The cost is a fixed number of look-ups for each byte of the text,
 * whatever the values are and however many: values of {@link WINDOW_BYTES} and more are found by any so many of their bytes
 * in a row, which also finds parts of them; for each shorter length there is a table of whole values. No library is used,
 * because those for several patterns build an automaton, which takes up to 100 MB for the values that an endpoint may have.
 */
export class SecretIndex {
  readonly #text: Uint8Array;
  readonly #tables: Table[];

  /** @param own names and values of the headers */
  constructor(own: Record<string, string>) {
    const secrets = [...new Set(Object.values(own).flatMap(secretsOf))].map((secret) => Buffer.from(secret));
    const kept = secrets.filter(({ length }) => length >= SECRET_CHARS_MIN);
    this.#text = fold(Buffer.concat(kept));
    this.#tables = buildTables(this.#text, kept);
  }

  get isEmpty(): boolean {
    return this.#tables.length === 0;
  }

  /** Length of the shortest text that is looked for, in bytes. */
  get lengthMin(): number {
    return Math.min(...this.#tables.map(({ length }) => length));
  }

  /** Approximate size in memory, in bytes. */
  get byteSize(): number {
    return this.#tables.reduce((sum, { slots }) => sum + slots.byteLength, this.#text.length);
  }

  /** @param onFound called with the start and the end, exclusive, of each match in the view */
  find({ bytes }: View, onFound: (from: number, to: number) => void): void {
    const hashes = hashPrefixes(bytes);
    for (const table of this.#tables) findOne(this.#text, table, bytes, hashes, onFound);
  }
}

/** Windows that follow one another are reported at once: each byte is marked once. */
function findOne(
  text: Uint8Array,
  { slots, shift, length, power, isWord }: Table,
  bytes: Uint8Array,
  hashes: Int32Array,
  onFound: (from: number, to: number) => void,
) {
  const mask = slots.length - 1;
  let from = -1;
  let to = -1;
  for (let at = 0; at <= bytes.length - length; at += 1) {
    const hash = ((hashes[at + length] as number) - Math.imul(hashes[at] as number, power)) | 0;
    let slot = Math.imul(hash ^ (hash >>> 15), GOLDEN_RATIO) >>> shift;
    let place = slots[slot] as number;
    while (place !== 0 && !isEqual(text, place - 1, bytes, at, length)) {
      slot = (slot + 1) & mask;
      place = slots[slot] as number;
    }
    if (place === 0 || (isWord && !isWholeWord(bytes, at, length))) continue;
    if (at > to) {
      if (to > 0) onFound(from, to);
      from = at;
    }
    to = at + length;
  }
  if (to > 0) onFound(from, to);
}

/**
 * The parts of a header's value that must be hidden: the value; parts of it that are long enough to be found in no text by chance; the
 * token of `Bearer …` and other schemes; user name and password of `Basic …`, RFC 7617.
 */
function secretsOf(value: string): string[] {
  // Longer parts are found by the bytes of the value.
  const parts = value.split(/[\s,;="]+/).filter(({ length }) => length >= ANYWHERE_CHARS_MIN && length < WINDOW_BYTES);
  const [, scheme = '', token = ''] = /^([A-Za-z][A-Za-z0-9-]*)[ \t]+(\S+)$/.exec(value) ?? [];
  return [value, ...parts, token, ...(scheme.toLowerCase() === 'basic' ? readBasic(token) : [])];
}

function readBasic(token: string): string[] {
  const credentials = Buffer.from(token, 'base64').toString();
  const colon = credentials.indexOf(':');
  return colon < 0 ? [credentials] : [credentials, credentials.slice(0, colon), credentials.slice(colon + 1)];
}

function buildTables(text: Uint8Array, secrets: Buffer[]): Table[] {
  const places = new Map<number, number[]>();
  let start = 0;
  for (const { length } of secrets) {
    const key = Math.min(length, WINDOW_BYTES);
    const known = places.get(key) ?? [];
    places.set(key, known);
    for (let at = start; at + key <= start + length; at += 1) known.push(at);
    start += length;
  }
  const hashes = hashPrefixes(text);
  return [...places].map(([length, found]) => buildTable(text, hashes, length, found));
}

function buildTable(text: Uint8Array, hashes: Int32Array, length: number, places: number[]): Table {
  const bits = Math.max(4, 33 - Math.clz32(places.length));
  const slots = new Int32Array(2 ** bits);
  let power = 1;
  for (let count = 0; count < length; count += 1) power = Math.imul(power, HASH_BASE);
  const table = { length, slots, shift: 32 - bits, isWord: length < ANYWHERE_CHARS_MIN, power };
  for (const place of places) {
    let slot = toSlot(hashOf(hashes, place, table), table.shift);
    while (slots[slot] !== 0 && !isEqual(text, (slots[slot] as number) - 1, text, place, length)) {
      slot = (slot + 1) & (slots.length - 1);
    }
    slots[slot] = place + 1;
  }
  return table;
}

/** Hashes of all beginnings of a text, of which {@link hashOf} makes that of any part. */
function hashPrefixes(bytes: Uint8Array): Int32Array {
  const hashes = new Int32Array(bytes.length + 1);
  let hash = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    hash = (Math.imul(hash, HASH_BASE) + (bytes[index] as number) + 1) | 0;
    hashes[index + 1] = hash;
  }
  return hashes;
}

const hashOf = (hashes: Int32Array, at: number, { length, power }: Table): number =>
  ((hashes[at + length] as number) - Math.imul(hashes[at] as number, power)) | 0;

const toSlot = (hash: number, shift: number): number => Math.imul(hash ^ (hash >>> 15), GOLDEN_RATIO) >>> shift;

function isEqual(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  for (let index = 0; index < length; index += 1) if (a[aStart + index] !== b[bStart + index]) return false;
  return true;
}

const isLetterOrDigit = (byte: number | undefined): boolean =>
  byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a) || byte >= 0x80);

const isWholeWord = (bytes: Uint8Array, at: number, length: number): boolean =>
  !isLetterOrDigit(bytes[at - 1]) && !isLetterOrDigit(bytes[at + length]);
