/**
 * SQLSTATEs of a database that cannot work now: class 08 (connection exception), 53 (insufficient resources), 57P01 to
 * 57P05 (shut down, crashed, starting up, dropped, idle session ended). 25P03: this process stood still in a transaction,
 * and its session was ended. 25006: after a failover, the server only reads.
 */
const UNAVAILABLE_SQLSTATE = /^(08...|53...|57P0[1-5]|25P03|25006)$/;
/** Codes of Node for a server that cannot be reached, or a connection that broke. ENOENT: its Unix socket is missing. */
const UNAVAILABLE_SOCKET =
  /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|EHOST(UNREACH|DOWN)|ENET(UNREACH|DOWN|RESET)|EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN|ENOENT|EMFILE|ENFILE)$/;
/** Codes of Prisma for the same: not reachable, timed out, closed, no connection free, too many connections. */
const UNAVAILABLE_PRISMA = /^(P1001|P1002|P1008|P1017|P2024|P2037)$/;
/** Errors of `pg`, which have no code. */
const UNAVAILABLE_MESSAGE =
  /^(Connection terminated|timeout expired|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed and is not queryable|Cannot use a pool after calling end)/;

/** 55000 has many meanings. Of a database, that ALTER DATABASE … ALLOW_CONNECTIONS closed it. */
const CLOSED_MESSAGE = /is not currently accepting connections/;

/** How deep errors wrap one another. */
const CHAIN_MAX = 6;

interface ErrorLike {
  code?: unknown;
  message?: unknown;
  cause?: unknown;
  meta?: { driverAdapterError?: unknown };
}

/**
 * Whether an operation failed because the database is away, restarts, lost the connection or has no resources: the same
 * operation may succeed later. Understands errors of Postgres, of sockets, of `pg` and of Prisma, and what wraps them.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  return chainOf(error).some(({ code, message }) => {
    if (CLOSED_MESSAGE.test(String(message))) return true;
    return typeof code === 'string'
      ? [UNAVAILABLE_SQLSTATE, UNAVAILABLE_SOCKET, UNAVAILABLE_PRISMA].some((pattern) => pattern.test(code))
      : UNAVAILABLE_MESSAGE.test(String(message));
  });
}

/**
 * Errors that come before any statement has an effect: no connection was made, Postgres has no resources for the
 * statement, or accepts none that write.
 */
const WITHOUT_EFFECT =
  /^(53...|57P03|25006|ECONNREFUSED|EHOST(UNREACH|DOWN)|ENET(UNREACH|DOWN)|EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN|ENOENT|EMFILE|ENFILE|P1001|P2024|P2037)$/;
const WITHOUT_EFFECT_MESSAGE = /^(timeout expired|timeout exceeded when trying to connect|.*due to connection timeout)/;

const withoutEffect = new WeakSet<object>();

/** Remembers of an error that nothing of the work that it ended was stored. @returns the error */
export function markWithoutEffect<E>(error: E): E {
  if (typeof error === 'object' && error !== null) withoutEffect.add(error);
  return error;
}

/** Whether the work that an error ended surely stored nothing. If false, it may have been stored. */
export const isWithoutEffect = (error: unknown): boolean =>
  chainOf(error).some((link) => {
    if (withoutEffect.has(link)) return true;
    if (CLOSED_MESSAGE.test(String(link.message))) return true;
    return typeof link.code === 'string'
      ? WITHOUT_EFFECT.test(link.code)
      : WITHOUT_EFFECT_MESSAGE.test(String(link.message));
  });

/** Whether Postgres refused another connection: of the server, the database or the role (53300), or of a pooler. */
export const isConnectionLimit = (error: unknown): boolean =>
  chainOf(error).some(
    ({ code, message }) => code === '53300' || code === 'P2037' || /no more connections allowed/.test(String(message)),
  );

/** An error and what it wraps, outermost first. Prisma keeps the error of the database in `meta`. */
function chainOf(error: unknown): ErrorLike[] {
  const chain: ErrorLike[] = [];
  let next = error;
  while (typeof next === 'object' && next !== null && chain.length < CHAIN_MAX) {
    const link = next as ErrorLike;
    chain.push(link);
    next = link.cause ?? link.meta?.driverAdapterError;
  }
  return chain;
}
