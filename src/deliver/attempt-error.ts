/** Why an attempt failed, as its record says it. Mirrors the enum in the database. */
export type AttemptErrorCode =
  | 'HTTP_STATUS'
  | 'TIMEOUT'
  | 'DNS'
  | 'CONNECTION'
  | 'TLS'
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
/** OpenSSL's and Node's own names for what can be wrong with a certificate or a handshake. */
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/;

/** Turns what the HTTP client threw into the record of a failed attempt. */
export function describeFailure(error: unknown, request: { url: string; timeoutMs: number }): AttemptError {
  const cause = findCause(error);
  if (cause instanceof AttemptError) return cause;
  const { code = '', name, message } = cause as NodeJS.ErrnoException;
  const host = new URL(request.url).host;
  if (code === 'UND_ERR_CONNECT_TIMEOUT') {
    return new AttemptError('TIMEOUT', `${host} did not take the connection in time.`, { cause });
  }
  if (name === 'TimeoutError' || name === 'AbortError' || TIMEOUT_CODES.has(code)) {
    return new AttemptError('TIMEOUT', `${host} did not answer within ${request.timeoutMs} ms.`, { cause });
  }
  if (DNS_CODES.has(code))
    return new AttemptError('DNS', `The name of ${host} can't be resolved (${code}).`, { cause });
  if (TLS_CODE.test(code)) return new AttemptError('TLS', `No secure connection to ${host}: ${message}`, { cause });
  if (code.startsWith('HPE_')) {
    return new AttemptError('CONNECTION', `${host} answered with something that is not HTTP (${code}).`, { cause });
  }
  return new AttemptError('CONNECTION', `The connection to ${host} failed (${code || message}).`, { cause });
}

/** The error at the bottom: several addresses that failed are wrapped together, and so is what a look-up threw. */
function findCause(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return findCause(error.errors[0]);
  if (error instanceof AttemptError || !(error instanceof Error) || error.cause === undefined) return error;
  return (error as NodeJS.ErrnoException).code ? error : findCause(error.cause);
}
