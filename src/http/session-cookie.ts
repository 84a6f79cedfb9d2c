import { type Headers, isLoopback, isOfThisHost } from './page-origin.ts';

/** Over https. Browsers let only this very host set a cookie of such a name: RFC 6265bis, section 4.1.3.2. */
const SECURE_NAME = '__Host-posthorn_session';
/** Over plain http, for loopback hosts only. */
const PLAIN_NAME = 'posthorn_session';

const JSON_TYPE = /^application\/(graphql-response\+|graphql\+)?json\b/i;

/**
 * The session in the cookie of a page of this host. A browser sends cookies also when a page of another origin asks:
 * such a page must not act in the user's name, nor one that was on its way over plain http. What a form can send is no
 * request of a page of Posthorn's.
 */
export function readSession(header: Headers): string | null {
  if (!isOfThisHost(header)) return null;
  const contentType = header('content-type');
  if (contentType && !JSON_TYPE.test(contentType)) return null;
  const isPlainPage = header('origin')?.startsWith('http://') ?? false;
  const secure = isPlainPage ? null : readCookie(header, SECURE_NAME);
  return secure ?? (isLoopback(header) ? readCookie(header, PLAIN_NAME) : null);
}

function readCookie(header: Headers, name: string): string | null {
  const pairs = (header('cookie') ?? '').split(';').map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? null;
}

/** The header that gives a page its cookie. */
export function writeCookie(session: string, { expiresAt, isSecure }: { expiresAt: Date; isSecure: boolean }): string {
  const seconds = Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1_000));
  return makeCookie(isSecure, session, seconds);
}

/** The headers that take it away, whichever it has. */
export const clearCookies = (): string[] => [true, false].map((isSecure) => makeCookie(isSecure, '', 0));

function makeCookie(isSecure: boolean, value: string, maxAgeSeconds: number): string {
  const name = isSecure ? SECURE_NAME : PLAIN_NAME;
  // Strict: also a link from elsewhere brings no session along. The dashboard asks only once it is there.
  return `${name}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
}
