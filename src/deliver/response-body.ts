/** How much of a response body is kept. */
export const RESPONSE_BODY_BYTES_KEPT = 4_096;
const UTF8_BYTES_MAX = 4;

/**
 * The part of a response body that is kept, as text: at most 4,096 bytes of UTF-8, cut between characters. Bytes that
 * are no UTF-8, and NUL, which Postgres can't store in text, become U+FFFD.
 */
export function keepResponseBody(body: Buffer): string {
  const text = body.toString('utf8').replaceAll('\0', '\ufffd');
  if (Buffer.byteLength(text) <= RESPONSE_BODY_BYTES_KEPT) return text;
  const bytes = Buffer.from(text);
  return bytes.toString('utf8', 0, endOfCharacters(bytes, RESPONSE_BODY_BYTES_KEPT));
}

/** Where the last whole character ends within the first `max` bytes of UTF-8. */
export function endOfCharacters(bytes: Uint8Array, max: number): number {
  if (bytes.length <= max) return bytes.length;
  let end = max;
  // 10xxxxxx continues a character that began before. In other bytes, a character may seem to have more than four.
  while (end > max - UTF8_BYTES_MAX && ((bytes[end] as number) & 0b1100_0000) === 0b1000_0000) end -= 1;
  return end;
}
