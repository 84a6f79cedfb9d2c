import { RESPONSE_HEAD_BYTES_MAX } from './response-limits.ts';

/** Why an attempt failed, as its record says it. Mirrors the enum in the database. */
export type AttemptErrorCode =
  | 'HTTP_STATUS'
  | 'TIMEOUT'
  | 'DNS'
  | 'CONNECTION'
  | 'TLS'
  | 'INVALID_RESPONSE'
  | 'BLOCKED_ADDRESS'
  | 'EXTERNAL';

/** An attempt that failed: a code, and a sentence for people. */
export class AttemptError extends Error {
  override readonly name: string = 'AttemptError';
  readonly code: AttemptErrorCode;

  constructor(code: AttemptErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The endpoint is where deliveries must not go. */
export class BlockedAddressError extends AttemptError {
  override readonly name = 'BlockedAddressError';

  constructor(message: string) {
    super('BLOCKED_ADDRESS', message);
  }
}

const DNS_CODES = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'ENODATA', 'ESERVFAIL']);
const TIMEOUT_CODES = new Set(['UND_ERR_HEADERS_TIMEOUT', 'ETIMEDOUT', 'UND_ERR_ABORTED']);
/**
 * Codes of failed handshakes. `ERR_SSL_` and `ERR_OSSL_` begin those that Node derives from OpenSSL's error queue, `ERR_TLS_`
 * those of Node itself. The others are results of the verification of a certificate (`X509_V_ERR_…` in OpenSSL), of which
 * Node names 28 and calls the rest UNSPECIFIED, for example a key that is too weak.
 */
const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERROR_IN_C|HOSTNAME_MISMATCH$|INVALID_(CA|PURPOSE)$|PATH_LENGTH_|OUT_OF_MEM$|UNSPECIFIED$|EPROTO$)/;
/** What OpenSSL calls bytes that are no TLS. */
const NOT_TLS = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST']);
const CONNECTION_FAULTS: Record<string, (host: string) => string> = {
  ECONNREFUSED: (host) => `${host} takes no connections (ECONNREFUSED).`,
  ECONNRESET: (host) => `${host} broke the connection off before it answered (ECONNRESET).`,
  EPIPE: (host) => `${host} broke the connection off before it answered (EPIPE).`,
  UND_ERR_SOCKET: (host) => `${host} closed the connection before it answered.`,
  EHOSTUNREACH: (host) => `There is no way to ${host} (EHOSTUNREACH).`,
  ENETUNREACH: (host) => `There is no way to ${host} (ENETUNREACH).`,
};

/** A certificate may list names of 100 KB, which Node repeats in its message. */
const MESSAGE_CHARS_MAX = 1_024;

/** Turns what the HTTP client threw into the record of a failed attempt. */
export function describeFailure(error: unknown, request: { url: string; timeoutMs: number }): AttemptError {
  const cause = findCause(error);
  if (cause instanceof AttemptError) return cause;
  const [code, message] = classify(cause as Fault, new URL(request.url).host, request.timeoutMs);
  return new AttemptError(code, message.slice(0, MESSAGE_CHARS_MAX), { cause });
}

/** What Node, OpenSSL and undici say of a fault. */
type Fault = NodeJS.ErrnoException & { reason?: string };

function classify(fault: Fault, host: string, timeoutMs: number): [AttemptErrorCode, string] {
  const { code = '', name, message } = fault;
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return ['TIMEOUT', `${host} did not take the connection in time.`];
  if (name === 'TimeoutError' || name === 'AbortError' || TIMEOUT_CODES.has(code)) {
    return ['TIMEOUT', `${host} did not answer within ${timeoutMs} ms.`];
  }
  if (name === 'LookupError' || DNS_CODES.has(code)) return ['DNS', describeLookupFault(host, code)];
  if (TLS_CODE.test(code)) return ['TLS', `No secure connection to ${host}: ${describeTlsFault(fault)}.`];
  const answerFault = describeAnswerFault(fault);
  if (answerFault) return ['INVALID_RESPONSE', `${host} ${answerFault}.`];
  return ['CONNECTION', CONNECTION_FAULTS[code]?.(host) ?? `The connection to ${host} failed (${code || message}).`];
}

const LOOKUP_FAULTS: Record<string, string> = {
  ETIMEOUT: 'its name server did not answer in time',
  ECONNREFUSED: 'no name server can be reached',
};

function describeLookupFault(host: string, code: string): string {
  const reason = LOOKUP_FAULTS[code] ?? code;
  return `The name of ${host} can't be resolved (${reason}).`;
}

/** OpenSSL's reason, or Node's message without its advice to who runs Node. */
function describeTlsFault({ code = '', reason, message }: Fault): string {
  if (NOT_TLS.has(code)) return 'it does not speak TLS on this port';
  const text = /^ERR_O?SSL/.test(code) ? (reason ?? message) : (message.split(';')[0] as string);
  return trimEnd(text.slice(0, MESSAGE_CHARS_MAX));
}

/** What is wrong with an answer as far as it came; null: nothing. */
function describeAnswerFault({ code, name, message }: Fault): string | null {
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return `sent more than ${RESPONSE_HEAD_BYTES_MAX / 1_024} KiB of headers`;
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return 'sent a head that is not HTTP (its length is in doubt)';
  // undici's words for 101 Switching Protocols, and for 100 Continue more than once.
  if (message === 'bad upgrade') return 'changed to a protocol that nobody asked for';
  if (message === 'bad response') return 'answered 100 Continue again and again';
  if (name !== 'HTTPParserError') return null;
  // undici puts the parser's own words in brackets.
  return `answered with something that is not HTTP ${findInBrackets(message)}`.trimEnd();
}

/** The error at the bottom: several addresses that failed are wrapped together, and so is what a look-up threw. */
function findCause(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return findCause(error.errors[0]);
  if (error instanceof AttemptError || !(error instanceof Error) || error.cause === undefined) return error;
  return (error as NodeJS.ErrnoException).code ? error : findCause(error.cause);
}

/** From the first opening to the last closing bracket; empty if there are none. */
function findInBrackets(text: string): string {
  const start = text.indexOf('(');
  return start === -1 ? '' : text.slice(start, Math.max(start, text.lastIndexOf(')') + 1));
}

/** Without white space, dots and colons at the end. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /[\s.:]/.test(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
