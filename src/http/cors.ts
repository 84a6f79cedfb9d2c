import { REQUEST_ID_HEADER } from './request-id.ts';

/**
 * Request headers that pages of other origins may send. None of them grants anything by itself. `X-Forwarded-Host` must
 * never be among them: see `adoptForwardedHost`.
 */
const ALLOWED_HEADERS = [
  'authorization',
  'content-type',
  'x-api-key',
  'x-organization-id',
  'x-environment-id',
  'last-event-id',
  REQUEST_ID_HEADER,
  // Tracing: W3C Trace Context and Baggage, Sentry, Datadog, Zipkin. Instrumented pages add them to every request.
  'traceparent',
  'tracestate',
  'baggage',
  'sentry-trace',
  'x-datadog-origin',
  'x-datadog-parent-id',
  'x-datadog-sampling-priority',
  'x-datadog-trace-id',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  // GraphQL clients: Apollo's name, version and operation, and what they send to pass other servers' protection from forms.
  'apollographql-client-name',
  'apollographql-client-version',
  'x-apollo-operation-name',
  'x-apollo-operation-id',
  'x-apollo-operation-type',
  'apollo-require-preflight',
  'graphql-require-preflight',
  'x-graphql-client-name',
  'x-graphql-client-version',
  'graphql-client-name',
  'graphql-client-version',
  'x-graphql-yoga-csrf',
  // Clients that forbid caching by request.
  'cache-control',
  'pragma',
  'x-requested-with',
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
