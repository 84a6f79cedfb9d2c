import type { IncomingMessage } from 'node:http';
import type { Credentials } from '../access/authenticate.ts';
import { type Headers, headersOf } from './page-origin.ts';
import { readSession } from './session-cookie.ts';

const BEARER = /^Bearer +(\S+)$/i;

/** A bearer token; one that is empty or malformed is a key that is not good, and nothing else counts in its place. */
const readBearer = (authorization: string): string | null =>
  /^Bearer\b/i.test(authorization) ? (BEARER.exec(authorization)?.[1] ?? '') : null;

/**
 * Credentials in the headers of a request: a bearer token, or else `X-API-Key`, or else the session of a page of this
 * host; and the tenant that the operator names.
 */
export const readCredentials = (header: Headers): Credentials => ({
  key: readBearer(header('authorization') ?? '') ?? header('x-api-key') ?? null,
  session: readSession(header),
  organizationId: header('x-organization-id'),
  environmentId: header('x-environment-id'),
});

/**
 * The same from the parameters that open a WebSocket, where a browser can set no headers: names in any case. The cookie
 * comes with the request.
 */
export function readConnectionParams(
  params: Record<string, unknown> | undefined,
  { headers }: IncomingMessage,
): Credentials {
  const byName = new Map(Object.entries(params ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  const credentials = readCredentials((name) => {
    const value = byName.get(name);
    return typeof value === 'string' ? value : null;
  });
  return { ...credentials, session: readSession(headersOf(headers)) };
}
