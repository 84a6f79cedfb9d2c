import type { IncomingMessage } from 'node:http';
import type { Credentials } from '../access/authenticate.ts';

type Headers = (name: string) => string | null | undefined;

const BEARER = /^Bearer +(\S+)$/i;
/** Holds an API key where a page of this host signed in. */
const COOKIE = /(?:^|;\s*)posthorn_key=([^;\s]+)/;

/**
 * Credentials in the headers of a request: a bearer token, or else `X-API-Key`, or else the cookie of a page of this
 * host; and the tenant that the operator names.
 */
export function readCredentials(header: Headers): Credentials {
  return {
    key: BEARER.exec(header('authorization') ?? '')?.[1] ?? header('x-api-key') ?? readCookie(header),
    organizationId: header('x-organization-id'),
    environmentId: header('x-environment-id'),
  };
}

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
  return { ...credentials, key: credentials.key ?? readCookie((name) => headers[name] as string | undefined) };
}

/** A browser sends cookies also when a page of another origin asks. Such a page must not act in the user's name. */
function readCookie(header: Headers): string | null {
  const cookie = COOKIE.exec(header('cookie') ?? '')?.[1];
  return cookie !== undefined && isOfThisHost(header) ? cookie : null;
}

/** Browsers name the page behind every request, but leave `Origin` out of GET requests of the same origin. */
function isOfThisHost(header: Headers): boolean {
  const origin = header('origin');
  if (!origin) return header('sec-fetch-site') === 'same-origin';
  return URL.canParse(origin) && new URL(origin).host === header('host');
}
