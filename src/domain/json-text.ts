import { isExactNumber, isSurelyExact } from './json-number.ts';

/** Parts of a text with more values are large. To parse so many takes some tens of milliseconds at most. */
const LARGE_PART_VALUES_MIN = 50_000;
/** Parts with more characters are large too: escapes in texts take long to read. */
const LARGE_PART_CHARS_MIN = 1_048_576;
/** Levels in which large parts are found: a request, its variables, input, events, each event and its payload. */
export const OUTER_LEVELS = 6;
/** Long numbers whose exactness is looked at; a text with more is taken for inexact. */
const LONG_NUMBERS_MAX = 10_000;

/** Measures of a JSON text. */
export interface JsonMeasures {
  /** Values and keys of objects. Never less than there are. */
  values: number;
  /** Levels of brackets. */
  depth: number;
  /** Whether each number is known to be exactly what JavaScript reads it as. */
  isExact: boolean;
  /** Whether there is white space between values. */
  hasSpace: boolean;
  /** Large parts in the outer levels: where their opening bracket is, and the index after their closing one. */
  large: Map<number, number>;
  /** Characters of the longest text, as it is written. */
  textCharsMax: number;
  /** Values and keys in the largest part below the outer levels. */
  innerValuesMax: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * Measures a JSON text in one pass, without building its values. A text that is not JSON gets measures of some kind: the
 * parser refuses it.
 */
export function measureJson(text: string): JsonMeasures {
  const measures: JsonMeasures = {
    values: 1,
    depth: 0,
    isExact: true,
    hasSpace: false,
    large: new Map(),
    textCharsMax: 0,
    innerValuesMax: 0,
  };
  const opened: { start: number; before: number }[] = [];
  const { length } = text;
  let depth = 0;
  let longNumbers = 0;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = findStringEnd(text, at);
      if (end - at > measures.textCharsMax) measures.textCharsMax = end - at;
      at = end - 1;
    } else if (code === COMMA || code === COLON) measures.values += 1;
    else if (code === 0x5b || code === 0x7b) {
      if (depth <= OUTER_LEVELS) opened[depth] = { start: at, before: measures.values };
      measures.values += 1;
      depth += 1;
      if (depth > measures.depth) measures.depth = depth;
    } else if (code === 0x5d || code === 0x7d) {
      depth = Math.max(0, depth - 1);
      const part = depth <= OUTER_LEVELS ? opened[depth] : undefined;
      const values = part ? measures.values - part.before : 0;
      if (depth === OUTER_LEVELS) measures.innerValuesMax = Math.max(measures.innerValuesMax, values);
      else if (part && (values > LARGE_PART_VALUES_MIN || at - part.start > LARGE_PART_CHARS_MIN)) {
        measures.large.set(part.start, at + 1);
      }
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      const end = findNumberEnd(text, at + 1);
      if (measures.isExact && !isSurelyExact(text, at, end)) {
        longNumbers += 1;
        measures.isExact = longNumbers <= LONG_NUMBERS_MAX && isExactNumber(text, at, end);
      }
      at = end - 1;
    } else if (code <= 0x20) measures.hasSpace = true;
  }
  return measures;
}

/** Index behind the closing quote of a string; the text's length if it has none. */
export function findStringEnd(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text.charCodeAt(quote - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

/** Index of the first character behind a number that cannot belong to one. */
function findNumberEnd(text: string, start: number): number {
  let end = start;
  for (; ; end += 1) {
    const code = text.charCodeAt(end);
    const isPart = (code >= 0x30 && code <= 0x39) || code === 0x2e || code === 0x2b || code === 0x2d;
    if (!isPart && code !== 0x65 && code !== 0x45) return end;
  }
}

/** A JSON text without the white space between its values. */
export function compactJson(text: string): string {
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = findStringEnd(text, at) - 1;
    else if (code <= 0x20) {
      if (at > from) parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return parts.join('');
}
