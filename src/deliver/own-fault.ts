import { isIPv4 } from 'node:net';
import { LookupError } from './name-resolver.ts';

/** Neither the endpoint nor its name did anything: Posthorn, or the machine that it runs on, could not make the attempt. */
export class OwnFaultError extends Error {
  override readonly name = 'OwnFaultError';
  /** Whether the process did nothing for a while. Its claims and leases may have expired meanwhile. */
  readonly isStall: boolean;

  constructor(message: string, { isStall = false } = {}) {
    super(message);
    this.isStall = isStall;
  }
}

/** Shortages of the system: descriptors of the process or of the machine, buffers, memory. */
const SHORTAGES = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);
/** Calls on a connection that exists: the endpoint may have received the request, so that the attempt counts. */
const CALLS_OF_CONNECTIONS = new Set(['read', 'write', 'shutdown']);
/** A connection that was given up after its time counts as stalled if the process did nothing for so much of it. */
const STALLED_SHARE = 0.5;

export interface AttemptCircumstances {
  /**
   * Whether no repetition follows. Then it counts as a fault of the name that no name server can be reached: it may last,
   * and is to be seen.
   */
  isLast: boolean;
  /** For how long the process did nothing during the attempt. */
  stalledMs: number;
  durationMs: number;
}

/**
 * The one place that decides which failures are not the endpoint's. Such a failure counts neither as a retry nor in the
 * failure streak: the attempt is repeated.
 *
 * @param error as the HTTP client threw it
 */
export function findOwnFault(
  error: unknown,
  { isLast, stalledMs, durationMs }: AttemptCircumstances,
): OwnFaultError | null {
  for (const cause of causesOf(error)) {
    const { code = '', address, syscall = '' } = cause;
    if (cause instanceof LookupError && cause.isServerAway && !isLast) {
      return new OwnFaultError('No name server can be reached from this machine.');
    }
    if (SHORTAGES.has(code) && !CALLS_OF_CONNECTIONS.has(syscall)) {
      return new OwnFaultError(`This machine is short of resources (${code}).`);
    }
    // Local ports are used up. Of an IPv6 address it means that this machine has none, and the endpoint no other.
    if (code === 'EADDRNOTAVAIL' && isIPv4(address ?? '')) {
      return new OwnFaultError('This machine has no free port for another connection (EADDRNOTAVAIL).');
    }
    if (code === 'UND_ERR_CONNECT_TIMEOUT' && stalledMs > durationMs * STALLED_SHARE) {
      return new OwnFaultError(`This process did nothing for ${Math.round(stalledMs)} ms.`, { isStall: true });
    }
  }
  return null;
}

type Cause = NodeJS.ErrnoException & { address?: string };

/** An error, those that it wraps, and those of several addresses, first. */
function causesOf(error: unknown): Cause[] {
  if (!(error instanceof Error)) return [];
  const inner = error instanceof AggregateError ? error.errors : [error.cause];
  return [error, ...inner.flatMap((cause) => (cause instanceof Error ? causesOf(cause) : []))];
}
