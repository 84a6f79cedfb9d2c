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

/**
 * Replaces `Host` by the host that the browser used, if trusted proxies name it in `X-Forwarded-Host`. Pages of other
 * origins cannot set that header: CORS does not allow it.
 *
 * @param trustedProxies proxies in front of Posthorn; 0: the header is ignored
 */
export function adoptForwardedHost(headers: IncomingHttpHeaders, trustedProxies: number): void {
  const forwarded = headers['x-forwarded-host'];
  if (trustedProxies === 0 || typeof forwarded !== 'string') return;
  const hosts = forwarded.split(',').map((host) => host.trim());
  headers.host = hosts[Math.max(0, hosts.length - trustedProxies)];
}

/** Characters of a header that an error message repeats. */
const QUOTED_CHARS_MAX = 200;

/** Why a request does not count as one of a page of this host, and how to configure a proxy that causes it. */
export function describeForeignPage(header: Headers): string {
  const quote = (name: string) => header(name)?.slice(0, QUOTED_CHARS_MAX);
  const origin = quote('origin');
  if (!origin) {
    return 'Only pages of this host can sign in and out, and this request has no Origin header. If a proxy is in front of Posthorn, let it pass Origin and Host unchanged.';
  }
  return `Only pages of this host can sign in and out: Origin is ${origin}, but Host is ${quote('host')}. If a proxy is in front of Posthorn, let it pass Host unchanged (in nginx: proxy_set_header Host $http_host), or send X-Forwarded-Host and set POSTHORN_TRUST_PROXY.`;
}

/** Whether a request came over https: its page did, or a proxy in front says so. */
export function isSecure(header: Headers): boolean {
  const scheme = header('x-forwarded-proto')?.split(',', 1)[0]?.trim();
  return scheme === 'https' || (header('origin') ?? '').startsWith('https://');
}
