/** What is read of names and values of headers together. More: the attempt fails. */
export const RESPONSE_HEAD_BYTES_MAX = 16_384;
/** What an endpoint may send as a body before Posthorn hangs up: more is never looked at, and the status counts. */
export const RESPONSE_BODY_BYTES_READ = 65_536;
/**
 * Bytes of a whole answer with all its framing: head, body, lengths and extensions of chunks, trailers, and answers
 * that come before the one. A body that is read to its limit takes 393,216 of them in chunks of one byte.
 */
export const RESPONSE_BYTES_MAX = 524_288;
