import { isDatabaseUnavailable } from '../database-errors.ts';
import { DatabaseUnavailableError, StartupError } from '../errors.ts';

interface PostgresError {
  code?: string;
  message?: string;
}

/** Poolers refuse settings that they cannot apply to each connection that they lend. */
const POOLER_REFUSAL = /unsupported startup parameter/i;
/** Of PgBouncer, which has no SQLSTATEs of its own for them. */
const UNKNOWN_TO_POOLER = /no such (database|user)/i;
const TLS_CODE = /CERT|^ERR_(SSL|TLS)|^EPROTO$|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/;
const TLS_MESSAGE = /SSL connection|does not support SSL/i;

/** Whether a pooler in transaction mode refused a session because of the settings that it asked for. */
export const isPoolerRefusal = (error: unknown): boolean => POOLER_REFUSAL.test((error as PostgresError).message ?? '');

/**
 * Turns the error of a connection that failed at the start into one line that says what to do.
 *
 * @param variable name of the variable that holds the URL
 * @returns a {@link DatabaseUnavailableError} if the same URL may work later, otherwise a plain {@link StartupError}
 */
export function describeConnectFailure(cause: unknown, variable: string): StartupError {
  const advice = findAdvice(cause as PostgresError);
  const reason = reasonOf(cause as PostgresError);
  if (advice) return new StartupError(`${variable}: ${reason}. ${advice}`, { cause });
  if (isDatabaseUnavailable(cause)) {
    return new DatabaseUnavailableError(
      `Postgres at ${variable} can't be reached (${reason}). Start it, or correct host and port.`,
      { cause },
    );
  }
  return new StartupError(`Postgres at ${variable} can't be used (${reason}). Check the URL.`, { cause });
}

/**
 * Turns an error of the database that ended a start into one line: a privilege that only a later step needed, a database
 * that went away meanwhile. Other errors are faults of Posthorn, and stay as they are.
 */
export function describeStartFailure(error: unknown): unknown {
  if (error instanceof StartupError) return error;
  if ((error as PostgresError | null)?.code === '42501') {
    return new StartupError(
      `The role of DATABASE_URL lacks a privilege (${reasonOf(error as PostgresError)}). Grant it as docs/DATABASE.md says, or migrate as the owner.`,
      { cause: error },
    );
  }
  if (!isDatabaseUnavailable(error)) return error;
  return new DatabaseUnavailableError(
    `Postgres went away during the start (${reasonOf(error as PostgresError)}). Start Posthorn again when it is back.`,
    { cause: error },
  );
}

/** What to do about a refusal that waiting does not cure; null: nothing is known. */
function findAdvice({ code = '', message = '' }: PostgresError): string | null {
  if (TLS_CODE.test(code) || TLS_MESSAGE.test(message)) {
    return 'Check sslmode and sslrootcert in the URL, and the certificate of the server.';
  }
  if (UNKNOWN_TO_POOLER.test(message)) return 'Add it to the configuration of the pooler, or correct the URL.';
  switch (code) {
    case '28P01':
      return 'Correct user and password.';
    case '28000':
      return /no encryption|SSL off/i.test(message)
        ? 'Add sslmode=verify-full to the URL, or allow the connection in pg_hba.conf.'
        : 'Correct the user, or allow it to log in, with ALTER ROLE … LOGIN or in pg_hba.conf.';
    case '3D000':
      return "Create it with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, or correct the name.";
    case '42501':
      return 'Run GRANT CONNECT ON DATABASE … TO … as its owner.';
    case '55000':
      return 'Allow connections with ALTER DATABASE … ALLOW_CONNECTIONS true.';
    case '42704':
    case '22023':
    case '42601':
      return 'Correct the settings in the options of the URL.';
    default:
      return null;
  }
}

/** On one line, and never empty. */
function reasonOf({ code, message }: PostgresError): string {
  return (message || code || 'no reason was given').replaceAll(/\s+/g, ' ').replace(/\.$/, '');
}
