/** How much of a response body is kept. */
export const RESPONSE_BODY_BYTES_KEPT = 4_096;

/**
 * The part of a response body that is kept, as text: at most 4,096 bytes of UTF-8, cut between characters. Bytes that
 * are no UTF-8, and NUL, which Postgres can't store in text, become U+FFFD.
 */
export function keepResponseBody(body: Buffer): string {
  const text = body.toString('utf8').replaceAll('\0', '\ufffd');
  if (Buffer.byteLength(text) <= RESPONSE_BODY_BYTES_KEPT) return text;
  const bytes = Buffer.from(text);
  let end = RESPONSE_BODY_BYTES_KEPT;
  // 10xxxxxx goes on with a character that began before.
  while (((bytes[end] as number) & 0b1100_0000) === 0b1000_0000) end -= 1;
  return bytes.toString('utf8', 0, end);
}
