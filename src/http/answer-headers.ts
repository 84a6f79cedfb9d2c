import type { ServerResponse } from 'node:http';

/** Half a year, in seconds: as long as browsers are to remember that only TLS is spoken here. */
const HSTS_SECONDS = 15_552_000;

/** On every answer. Nothing here is a page to be shown by others, and answers are of one caller alone. */
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-resource-policy': 'same-site',
  'cache-control': 'no-store',
  // What a page of another origin may read depends on the origin.
  vary: 'Origin',
};

/** GraphiQL brings its code, styles and fonts along in the page; it starts workers from code that it has. */
export const GRAPHIQL_POLICY = [
  "default-src 'none'",
  "script-src 'unsafe-inline' blob:",
  "style-src 'unsafe-inline'",
  'img-src data:',
  'font-src data:',
  'worker-src blob:',
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** Puts the headers of every answer on one. */
export function setAnswerHeaders(response: ServerResponse, { behindTls }: { behindTls: boolean }): void {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  if (behindTls) response.setHeader('strict-transport-security', `max-age=${HSTS_SECONDS}`);
}
