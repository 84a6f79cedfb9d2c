import { viewsOf } from './encoded-views.ts';
import type { Answer } from './exchange.ts';
import { endOfCharacters, RESPONSE_BODY_BYTES_KEPT } from './response-body.ts';
import { type SecretIndex, WINDOW_BYTES } from './secret-index.ts';

const HIDDEN = Buffer.from('[hidden]');
/** Longest form of a character that is decoded: a character reference of HTML. */
const ENCODED_CHARACTER_BYTES_MAX = 12;
/** Bytes past the part of a body that is kept, which show whether a value goes over its end. */
export const LOOK_AHEAD_BYTES = (WINDOW_BYTES + 1) * ENCODED_CHARACTER_BYTES_MAX;

/**
 * An answer without the values of its endpoint's own headers, in headers and body: they are secrets, and whoever may read
 * deliveries must not find them there. Also in other case, and in the encodings of {@link viewsOf}. A value that goes over
 * the end of the part that is kept is hidden whole.
 *
 * @returns the same answer if nothing is found
 */
export function hideValues(answer: Answer, secrets: SecretIndex): Answer {
  const { status, headers, body } = answer;
  const names = Object.keys(headers);
  const texts = names.flatMap((name) => [name, ...[headers[name] ?? []].flat()].map(toPiece));
  const hidden = hide([...texts, { bytes: body, kept: endOfCharacters(body, RESPONSE_BODY_BYTES_KEPT) }], secrets);
  if (!hidden) return answer;
  const shown = hidden.values();
  const next = () => (shown.next().value as Buffer).toString('latin1');
  const entries = names.map((name) => {
    const value = headers[name];
    return [next(), Array.isArray(value) ? value.map(next) : value === undefined ? undefined : next()] as const;
  });
  return { status, headers: Object.fromEntries(entries), body: shown.next().value as Buffer };
}

/** A text without the values of an endpoint's own headers, as {@link hideValues} has it. */
export function hideInText(text: string, secrets: SecretIndex): string {
  const bytes = Buffer.from(text);
  return hide([{ bytes, kept: bytes.length }], secrets)?.[0]?.toString() ?? text;
}

interface Piece {
  bytes: Buffer;
  /** Bytes at its beginning that are kept. A value that begins in them is hidden to its end. */
  kept: number;
}

const toPiece = (text: string): Piece => ({ bytes: Buffer.from(text, 'latin1'), kept: text.length });

/** @returns the wanted part of each piece; null if nothing is found in any */
function hide(pieces: Piece[], secrets: SecretIndex): Buffer[] | null {
  if (secrets.isEmpty) return null;
  // A NUL, which no value has, keeps neighbors apart.
  const raw = Buffer.concat(pieces.flatMap(({ bytes }) => [bytes, SEPARATOR]));
  const isCovered = findCovered(raw, secrets);
  if (!isCovered) return null;
  let start = 0;
  return pieces.map(({ bytes, kept }) => {
    const shown = show(raw, isCovered, start, start + Math.min(kept, bytes.length));
    start += bytes.length + SEPARATOR.length;
    return shown;
  });
}

const SEPARATOR = Buffer.alloc(1);

/** @returns for each byte 1 if it is to be hidden; null if none is */
function findCovered(raw: Buffer, secrets: SecretIndex): Uint8Array | null {
  let isCovered: Uint8Array | null = null;
  for (const view of viewsOf(raw, secrets.lengthMin)) {
    secrets.find(view, (from, to) => {
      isCovered ??= new Uint8Array(raw.length);
      const { origins, sharesDigits } = view;
      if (origins) isCovered.fill(1, origins[from], (origins[to] as number) + Number(sharesDigits));
      else isCovered.fill(1, from, to);
    });
  }
  return isCovered;
}

function show(raw: Buffer, isCovered: Uint8Array, from: number, to: number): Buffer {
  const parts: Buffer[] = [];
  for (let start = from; start < to; ) {
    const isHidden = isCovered[start];
    let end = start + 1;
    while (end < to && isCovered[end] === isHidden) end += 1;
    parts.push(isHidden ? HIDDEN : raw.subarray(start, end));
    start = end;
  }
  return Buffer.concat(parts);
}
