import type { IncomingHttpHeaders } from 'node:http';

/** Value of a header of a request, by its name in lower case. */
export type Headers = (name: string) => string | null | undefined;

/** The headers of a request as Node has them. */
export const headersOf =
  (headers: IncomingHttpHeaders): Headers =>
  (name) =>
    headers[name] as string | undefined;

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/** Whether a request came to this machine by a name of its own: browsers take plain http there for safe. */
export const isLoopback = (header: Headers): boolean => LOOPBACK_HOST.test(header('host') ?? '');

/**
 * Whether the page behind a request was served by this host. Browsers name the page behind every request, but leave
 * `Origin` out of GET requests of the same origin.
 */
export function isOfThisHost(header: Headers): boolean {
  const origin = header('origin');
  if (!origin) return header('sec-fetch-site') === 'same-origin';
  return URL.canParse(origin) && new URL(origin).host === header('host');
}

/** Whether a request came over https: its page did, or a proxy in front says so. */
export function isSecure(header: Headers): boolean {
  const scheme = header('x-forwarded-proto')?.split(',', 1)[0]?.trim();
  return scheme === 'https' || (header('origin') ?? '').startsWith('https://');
}
