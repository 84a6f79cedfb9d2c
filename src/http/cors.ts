import { REQUEST_ID_HEADER } from './request-id.ts';

const ALLOWED_HEADERS = [
  'authorization',
  'content-type',
  'x-api-key',
  'x-organization-id',
  'x-environment-id',
  'last-event-id',
  REQUEST_ID_HEADER,
];
const EXPOSED_HEADERS = [REQUEST_ID_HEADER, 'ratelimit', 'ratelimit-policy', 'retry-after'];
/** How long browsers may remember what a preflight said. Chromium takes no more. */
const MAX_AGE_SECONDS = 7_200;

/**
 * Which pages of other origins may ask, with a key of their own: a cookie of this host does not count for them.
 *
 * @param origins as browsers send them, or `*` for any
 */
export function makeCorsPolicy(origins: string[]) {
  const isAllowed = (origin: string) => origins.includes('*') || origins.includes(origin);
  return (request: Request) => {
    const origin = request.headers.get('origin');
    if (origin === null || !isAllowed(origin)) return false;
    return {
      origin: [origin],
      credentials: false,
      methods: ['GET', 'POST'],
      allowedHeaders: ALLOWED_HEADERS,
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: MAX_AGE_SECONDS,
    };
  };
}
