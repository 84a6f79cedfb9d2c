import type { Credentials } from '../access/authenticate.ts';

type Headers = (name: string) => string | null | undefined;

const BEARER = /^Bearer +(\S+)$/i;

/** Credentials in the headers of a request: a bearer token, or else `X-API-Key`; and the tenant that the operator names. */
export function readCredentials(header: Headers): Credentials {
  return {
    key: BEARER.exec(header('authorization') ?? '')?.[1] ?? header('x-api-key') ?? null,
    organizationId: header('x-organization-id'),
    environmentId: header('x-environment-id'),
  };
}

/** The same from the parameters that open a WebSocket, where a browser can set no headers. Names in any case. */
export function readConnectionParams(params: Record<string, unknown> | undefined): Credentials {
  const byName = new Map(Object.entries(params ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  return readCredentials((name) => {
    const value = byName.get(name);
    return typeof value === 'string' ? value : null;
  });
}
