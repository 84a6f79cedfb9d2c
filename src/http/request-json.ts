import { setImmediate as nextTurn } from 'node:timers/promises';
import { keepWrittenNumbers } from '../domain/json-number.ts';
import { findStringEnd, type JsonMeasures, measureJson } from '../domain/json-text.ts';

/** Values and keys of objects in the JSON of a request. */
export const JSON_VALUES_MAX = 1_000_000;
/** The same in JSON that is parsed at once: a message over WebSocket, or one value within a payload. */
export const JSON_PART_VALUES_MAX = 131_072;
/** Characters of one text in the JSON of a request, as it is written: with its escapes. */
export const JSON_TEXT_CHARS_MAX = 2_097_152;
/** Levels of brackets in the JSON of a request. */
export const JSON_NESTING_MAX = 1_000;
/** Keys of one object in the JSON of a request. */
export const JSON_KEYS_MAX = 65_536;
/** Characters that are parsed at once, unless a single value is longer. */
const PIECE_CHARS = 131_072;

/** The JSON of a request has more values or levels than are parsed. */
export class JsonLimitError extends Error {
  override readonly name = 'JsonLimitError';
}

/**
 * Parses the JSON of a request. A text with very many values is parsed in pieces, and other work gets its turn between
 * them. Numbers that no double holds are kept as they were written.
 *
 * @throws {SyntaxError}
 * @throws {JsonLimitError}
 */
export function parseRequestJson(text: string): unknown {
  const measures = measureWithin(text, JSON_VALUES_MAX);
  return measures.large.size === 0 ? parsePiece(text, measures) : new PieceParser(text, measures).parse();
}

/** As {@link parseRequestJson}, but at once: for a message over WebSocket, which is small. */
export const parseMessageJson = (text: string): unknown => parsePiece(text, measureWithin(text, JSON_PART_VALUES_MAX));

function measureWithin(text: string, valuesMax: number): JsonMeasures {
  const measures = measureJson(text);
  if (measures.values > valuesMax) {
    throw new JsonLimitError(
      `The JSON has more than ${valuesMax} values and keys. Split the request, or use body for payload.`,
    );
  }
  if (measures.innerValuesMax > JSON_PART_VALUES_MAX) {
    throw new JsonLimitError(
      `One value of the JSON has more than ${JSON_PART_VALUES_MAX} values and keys. Use body for payload.`,
    );
  }
  if (measures.textCharsMax > JSON_TEXT_CHARS_MAX) {
    throw new JsonLimitError(`A text of the JSON has more than ${JSON_TEXT_CHARS_MAX} characters. Split the request.`);
  }
  if (measures.depth > JSON_NESTING_MAX) {
    throw new JsonLimitError(
      `The JSON is nested ${measures.depth} levels deep; at most ${JSON_NESTING_MAX} are allowed. Use body for payload.`,
    );
  }
  return measures;
}

const parsePiece = (text: string, { isExact }: Pick<JsonMeasures, 'isExact'>): unknown =>
  isExact ? JSON.parse(text) : JSON.parse(text, keepWrittenNumbers as Parameters<typeof JSON.parse>[1]);

/** Members of an object or array that follow one another; or a single one that is large, with its key. */
interface Piece {
  start: number;
  end: number;
  /** Where the large value begins; undefined: the piece has no large one. */
  largeAt?: number;
}

/** Parses a text with large parts: members of a large part are parsed some at a time, and each large member by itself. */
class PieceParser {
  readonly #text: string;
  readonly #measures: JsonMeasures;

  constructor(text: string, measures: JsonMeasures) {
    this.#text = text;
    this.#measures = measures;
  }

  async parse(): Promise<unknown> {
    const start = this.#skipSpace(0);
    const end = this.#measures.large.get(start);
    // Without one around the whole, what is large stands behind something that ends the text.
    if (end === undefined || this.#skipSpace(end) < this.#text.length) throw new SyntaxError('This is not JSON.');
    return this.#parseLarge(start, end);
  }

  async #parseLarge(start: number, end: number): Promise<unknown> {
    const isArray = this.#text[start] === '[';
    if (this.#text[end - 1] !== (isArray ? ']' : '}')) throw new SyntaxError('The brackets of the JSON do not match.');
    const array: unknown[] = [];
    const object: Record<string, unknown> = {};
    let keys = 0;
    for (const piece of this.#divide(start, end)) {
      const { key, value } = await this.#parseMembers(piece, isArray);
      if (key !== undefined) define(object, key, value);
      else if (isArray) for (const member of value as unknown[]) array.push(member);
      else {
        const members = Object.entries(value as object);
        keys += members.length;
        if (keys > JSON_KEYS_MAX) throw new JsonLimitError(KEYS_MESSAGE);
        for (const [name, member] of members) define(object, name, member);
      }
    }
    return isArray ? array : object;
  }

  /** @returns the members, as one array or object; of an object's large member its key and value */
  async #parseMembers({ start, end, largeAt }: Piece, isArray: boolean): Promise<{ key?: string; value: unknown }> {
    await nextTurn();
    const text = this.#text.slice(start, end);
    if (largeAt === undefined) {
      if (text.trim() === '') throw new SyntaxError('A comma of the JSON has nothing after it.');
      return { value: parsePiece(isArray ? `[${text}]` : `{${text}}`, this.#measures) };
    }
    const value = await this.#parseLarge(largeAt, this.#measures.large.get(largeAt) as number);
    const before = this.#text.slice(start, largeAt);
    // An array and an object with nothing in place of the large value.
    const [key] = Object.keys(JSON.parse(isArray ? `[${before}0]` : `{${before}0}`));
    return isArray ? { value: [value] } : { key: key as string, value };
  }

  *#divide(start: number, end: number): Generator<Piece> {
    const last = end - 1;
    let from = start + 1;
    let memberAt = from;
    let depth = 0;
    for (let at = from; at < last; at += 1) {
      const char = this.#text[at];
      if (char === '"') at = findStringEnd(this.#text, at) - 1;
      else if (char === ',' && depth === 0) {
        if (at - from > PIECE_CHARS) {
          yield { start: from, end: at };
          from = at + 1;
        }
        memberAt = at + 1;
      } else if (char === '[' || char === '{') {
        const partEnd = depth === 0 ? this.#measures.large.get(at) : undefined;
        if (partEnd === undefined) depth += 1;
        else {
          if (from < memberAt) yield { start: from, end: memberAt - 1 };
          yield { start: memberAt, end: partEnd, largeAt: at };
          at = this.#skipSpace(partEnd);
          if (at >= last) return;
          if (this.#text[at] !== ',') throw new SyntaxError('A comma of the JSON is missing.');
          from = at + 1;
          memberAt = from;
        }
      } else if (char === ']' || char === '}') depth -= 1;
    }
    yield { start: from, end: last };
  }

  #skipSpace(at: number): number {
    let next = at;
    while (next < this.#text.length && this.#text.charCodeAt(next) <= 0x20) next += 1;
    return next;
  }
}

const KEYS_MESSAGE = `An object of the JSON has more than ${JSON_KEYS_MAX} keys. Use body for payload.`;

/** As `JSON.parse` does, also for `__proto__`. */
function define(object: Record<string, unknown>, key: string, value: unknown) {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  else object[key] = value;
}
