import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { setAnswerHeaders } from './answer-headers.ts';
import type { ServeDashboard } from './dashboard-files.ts';
import { GRAPHQL_PATH, type GraphqlHandler } from './graphql-handler.ts';
import { adoptForwardedHost } from './page-origin.ts';
import type { RepeatedLines } from './repeated-lines.ts';
import { findRequestFault, type RequestFault } from './request-faults.ts';
import { chooseRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import { SESSION_PATH, type SessionRoutesOptions, serveSession } from './session-routes.ts';

/** Seconds after which clients of a process that starts or stops send their requests again: maybe to another process. */
const RETRY_SECONDS = 1;

/** What a process answers beyond health checks. */
export interface GraphqlParts {
  handler: GraphqlHandler;
  session: SessionRoutesOptions;
  serveDashboard: ServeDashboard;
}

/** What a process answers after its start. */
export interface ServedParts {
  /** `null`: a worker, which answers health checks only. */
  graphql: GraphqlParts | null;
  /** Rejects while Posthorn cannot do its work. */
  checkReady: () => Promise<void>;
}

/** `null`: the process is starting, and answers health checks only. */
export type Served = ServedParts | null;

export interface RoutesOptions {
  /** What is answered at the moment. */
  served: () => Served;
  behindTls: boolean;
  trustedProxies: number;
  /** Whether shutdown has begun: new requests are refused. */
  isStopping: () => boolean;
  /** Is called with the response of a feed, which does not finish by itself. */
  onFeed: (response: ServerResponse) => void;
  lines: RepeatedLines;
}

/** Answers requests by their path. */
export function makeRoutes(options: RoutesOptions): RequestListener {
  return (request, response) => {
    response.setHeader(REQUEST_ID_HEADER, chooseRequestId(request.headers[REQUEST_ID_HEADER]));
    setAnswerHeaders(response, options);
    adoptForwardedHost(request.headers, options.trustedProxies);
    const path = request.url?.split('?', 1)[0] ?? '/';
    if (path === '/healthz') return answer(response, 200, 'ok');
    if (options.isStopping()) return refuseWhileStopping(request, response);
    if (!hasValidHost(request)) return refuse(request, response, INVALID_HOST);
    const served = options.served();
    if (!served) return refuseWhileStarting(request, response, path);
    if (path === '/readyz') return void answerReady(response, served, options.lines);
    serve(request, response, path, { ...served, onFeed: options.onFeed });
  };
}

function serve(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  { graphql, onFeed }: ServedParts & Pick<RoutesOptions, 'onFeed'>,
) {
  if (path === GRAPHQL_PATH && graphql) return serveGraphql(request, response, graphql.handler, onFeed);
  if (path === SESSION_PATH && graphql) return void serveSession(request, response, graphql.session);
  if (graphql?.serveDashboard(request, response)) return;
  if (path === '/') return answer(response, 200, graphql ? WELCOME : WORKER_WELCOME);
  answer(response, 404, graphql ? `Nothing is at this path. GraphQL is at ${GRAPHQL_PATH}.` : WORKER_WELCOME);
}

const INVALID_HOST = { status: 400, message: 'The Host header is no host, or was sent more than once. Send it once.' };

/** Yoga makes a URL of it. */
const hasValidHost = ({ headers: { host } }: IncomingMessage) => host === undefined || URL.canParse(`http://${host}/`);

const WELCOME = `This is Posthorn. GraphQL is at ${GRAPHQL_PATH}, the dashboard is at / in a browser, health checks are at /healthz and /readyz.`;
const WORKER_WELCOME = 'This is a Posthorn worker. It answers health checks, at /healthz and /readyz.';

function serveGraphql(
  request: IncomingMessage,
  response: ServerResponse,
  handler: GraphqlHandler,
  onFeed: RoutesOptions['onFeed'],
) {
  if (isHandshakeWithoutUpgrade(request)) return refuseHandshake(request, response);
  const fault = findRequestFault(request);
  if (fault) return refuse(request, response, fault);
  if (request.headers.accept?.includes('text/event-stream')) onFeed(response);
  const requestBytes =
    request.method === 'GET' ? (request.url ?? '').length : Number(request.headers['content-length']);
  void handler(request, response, { requestId: String(response.getHeader(REQUEST_ID_HEADER)), requestBytes });
}

/** Proxies do not forward `Upgrade` and `Connection` by themselves, but forward the other headers of a handshake. */
const isHandshakeWithoutUpgrade = ({ headers }: IncomingMessage) =>
  headers['sec-websocket-key'] !== undefined || headers['sec-websocket-version'] !== undefined;

function refuseHandshake(request: IncomingMessage, response: ServerResponse) {
  response.setHeader('upgrade', 'websocket');
  refuse(request, response, {
    status: 426,
    message:
      'This WebSocket handshake arrived without its Upgrade or Connection header, which a proxy has removed. In nginx, set proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and proxy_set_header Connection "upgrade".',
  });
}

function refuseWhileStopping(request: IncomingMessage, response: ServerResponse) {
  response.setHeader('retry-after', RETRY_SECONDS);
  const code = 'SERVICE_UNAVAILABLE';
  refuse(request, response, { status: 503, code, message: 'Posthorn is stopping. Send the request again.' });
}

function refuseWhileStarting(request: IncomingMessage, response: ServerResponse, path: string) {
  response.setHeader('retry-after', RETRY_SECONDS);
  if (path === '/readyz') return answer(response, 503, 'Posthorn is starting.');
  const code = 'SERVICE_UNAVAILABLE';
  const message = 'Posthorn is starting: it waits for its database or migrates it. Send the request again.';
  refuse(request, response, { status: 503, code, message });
}

/** Refuses a request whose body was not read, and closes the connection. */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { status, message, code = 'BAD_USER_INPUT' }: RequestFault & { code?: string },
) {
  const requestId = response.getHeader(REQUEST_ID_HEADER);
  const retryAfterMs = code === 'SERVICE_UNAVAILABLE' ? RETRY_SECONDS * 1_000 : undefined;
  const body = { errors: [{ message, extensions: { code, requestId, retryAfterMs } }] };
  const connection = status === 426 ? 'upgrade, close' : 'close';
  response.writeHead(status, { 'content-type': 'application/json', connection });
  response.end(JSON.stringify(body), () => request.destroy());
}

function answer(response: ServerResponse, status: number, text: string) {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}

async function answerReady(response: ServerResponse, { checkReady }: ServedParts, lines: RepeatedLines) {
  try {
    await checkReady();
    answer(response, 200, 'ready');
  } catch (error) {
    const { message } = error as Error;
    lines.write('warn', message, { error: message }, 'health.not_ready');
    answer(response, 503, 'The database does not answer.');
  }
}
