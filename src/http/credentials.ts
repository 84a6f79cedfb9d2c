import type { IncomingMessage } from 'node:http';
import type { Credentials } from '../access/authenticate.ts';
import { RequestError } from '../errors.ts';
import { type Headers, headersOf } from './page-origin.ts';
import { readSession } from './session-cookie.ts';

const BEARER = /^Bearer +(\S+)$/i;

/**
 * A bearer token. A proxy's own scheme, such as Basic, is none.
 *
 * @throws {RequestError} UNAUTHENTICATED if it is malformed, or the header was sent twice: no other credential replaces it
 */
function readBearer(authorization: string): string | null {
  if (!/^Bearer\b/i.test(authorization)) return null;
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) throw MALFORMED_BEARER;
  return token;
}

/**
 * Credentials in the headers of a request: a bearer token or `X-API-Key`, otherwise the session of a page of this host;
 * and the tenant that the caller names.
 *
 * @throws {RequestError} UNAUTHENTICATED if the two headers hold different keys
 */
export const readCredentials = (header: Headers): Credentials => ({
  key: requireSame(readBearer(header('authorization') ?? ''), header('x-api-key') ?? null, DIFFERENT_KEYS),
  session: readSession(header),
  organizationId: header('x-organization-id'),
  environmentId: header('x-environment-id'),
});

/**
 * Credentials of a WebSocket: in `connectionParams`, with the names of the headers in any case, or in the headers of the
 * handshake. A page cannot set those headers, so only programs send them; a browser sends the cookie by itself.
 *
 * @throws {RequestError} UNAUTHENTICATED if different keys are sent; BAD_USER_INPUT if different tenants are named
 */
export function readConnectionCredentials(
  params: Record<string, unknown> | undefined,
  { headers }: IncomingMessage,
): Credentials {
  const fromHandshake = readCredentials(headersOf(headers));
  const fromParams = readCredentials(indexParams(params ?? {}));
  return {
    key: requireSame(fromParams.key, fromHandshake.key, DIFFERENT_KEYS),
    session: fromHandshake.session,
    organizationId: requireSame(fromParams.organizationId, fromHandshake.organizationId, DIFFERENT_TENANTS),
    environmentId: requireSame(fromParams.environmentId, fromHandshake.environmentId, DIFFERENT_TENANTS),
  };
}

/** @throws {RequestError} BAD_USER_INPUT if a name occurs twice, in different case and with different values */
function indexParams(params: Record<string, unknown>): Headers {
  const byName = new Map<string, string>();
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined) continue;
    const text = String(value);
    byName.set(name.toLowerCase(), requireSame(text, byName.get(name.toLowerCase()), REPEATED_PARAMETER) ?? text);
  }
  return (name) => byName.get(name);
}

const MALFORMED_BEARER = new RequestError(
  'UNAUTHENTICATED',
  'The authorization header holds no API key, or was sent more than once. Send "Authorization: Bearer" and one key.',
);
const DIFFERENT_KEYS = new RequestError(
  'UNAUTHENTICATED',
  'Two different API keys were sent. Send one, in authorization or in x-api-key.',
);
const DIFFERENT_TENANTS = new RequestError(
  'BAD_USER_INPUT',
  'The headers of the handshake and connectionParams name different organizations or environments. Name one.',
);
const REPEATED_PARAMETER = new RequestError(
  'BAD_USER_INPUT',
  'A name occurs twice in connectionParams, with different values. Send it once.',
);

/** @returns the value that is present; `null` if none is. @throws the given error if both are present and differ */
function requireSame(one: string | null | undefined, other: string | null | undefined, error: RequestError) {
  if (one !== null && one !== undefined && other !== null && other !== undefined && one !== other) throw error;
  return one ?? other ?? null;
}
