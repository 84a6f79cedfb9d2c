import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SignInTokens } from '../access/sign-in-tokens.ts';
import { StartupError } from '../errors.ts';
import type { Services } from '../graphql/context.ts';
import type { Log } from '../log.ts';
import { setAnswerHeaders } from './answer-headers.ts';
import { makeDashboard } from './dashboard-files.ts';
import { Gate } from './gate.ts';
import { GRAPHQL_PATH, makeGraphqlHandler } from './graphql-handler.ts';
import type { OperationLimits } from './operation-limits.ts';
import { findRequestFault, type RequestFault } from './request-faults.ts';
import { chooseRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import { SESSION_PATH, serveSession } from './session-routes.ts';
import { type SessionLimits, Sessions } from './sessions.ts';
import { serveWebsockets } from './websocket.ts';

/** How long the headers of a request may take to arrive. */
export const HEADERS_TIMEOUT_MS = 10_000;
/** How often requests are looked at that take too long. */
const TIMEOUT_CHECK_MS = 1_000;
/** Bytes that the headers of a request may have: more are answered 431. */
export const HEADER_BYTES_MAX = 16_384;
/** Headers that a request may have: more are answered 431. */
export const HEADERS_MAX = 100;
/** Connections to a process, WebSockets and streams among them: more are closed at once. */
export const CONNECTIONS_MAX = 20_000;

export interface HttpServerOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  /** Null: a worker, which answers health checks only. */
  services: Services | null;
  signInTokens: SignInTokens;
  /** From the configuration, as it stands. */
  limits: RequestLimits;
  /** Rejects while Posthorn can't do its work. */
  checkReady: () => Promise<void>;
  log: Log;
}

export interface RequestLimits extends SessionLimits, OperationLimits {
  requestTimeoutMs: number;
  requestsPerSecondMax: number | null;
  trustedProxies: number;
  corsOrigins: string[];
  embedOrigins: string[];
  behindTls: boolean;
}

export interface HttpServer {
  /** Without a path, for example `http://127.0.0.1:4000`. */
  url: string;
  /** Ends subscriptions, lets requests finish, and closes. */
  stop(): Promise<void>;
}

/** Starts to listen. @throws {StartupError} where the port is taken */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { log, limits } = options;
  const graphql = options.services && makeGraphqlParts(options.services, options);
  // Feeds over SSE never finish by themselves: they are cut off when the server stops, and their clients resume elsewhere.
  const feeds = new Set<ServerResponse>();
  const server = openServer(limits, (request, response) => {
    const requestId = chooseRequestId(request.headers[REQUEST_ID_HEADER]);
    response.setHeader(REQUEST_ID_HEADER, requestId);
    setAnswerHeaders(response, limits);
    const path = request.url?.split('?', 1)[0];
    if (path === '/healthz') return answer(response, 200, 'ok');
    if (path === '/readyz') return void answerReady(response, options);
    if (path === GRAPHQL_PATH && graphql) {
      const fault = findRequestFault(request);
      if (fault) return refuse(request, response, fault);
      if (request.headers.accept?.includes('text/event-stream')) {
        feeds.add(response);
        response.once('close', () => feeds.delete(response));
      }
      return void graphql.handler(request, response, { requestId });
    }
    if (path === SESSION_PATH && graphql) return void serveSession(request, response, graphql.session);
    if (graphql?.serveDashboard(request, response)) return;
    answer(response, 404, `There is nothing here. GraphQL is at ${GRAPHQL_PATH}.`);
  });
  const closeSockets = graphql && serveWebsockets({ server, log, introspection: limits.introspection, ...graphql });
  graphql?.sessions.start();
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const stopAll = async () => {
    await stop(server, feeds, closeSockets);
    graphql?.sessions.stop();
  };
  return { url: `http://${host}:${port}`, stop: stopAll };
}

function openServer({ requestTimeoutMs }: RequestLimits, serve: RequestListener): Server {
  const options = {
    headersTimeout: Math.min(HEADERS_TIMEOUT_MS, requestTimeoutMs),
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
  };
  return Object.assign(createServer(options, serve), { maxHeadersCount: HEADERS_MAX, maxConnections: CONNECTIONS_MAX });
}

function makeGraphqlParts(services: Services, { signInTokens, log, limits }: HttpServerOptions) {
  const { authenticator } = services;
  const sessions = new Sessions({ authenticator, log, ...limits });
  const gate = new Gate({ authenticator, ...limits });
  const handler = makeGraphqlHandler({ services, sessions, gate, log, limits, corsOrigins: limits.corsOrigins });
  const session = { authenticator, signInTokens, gate, behindTls: limits.behindTls, log };
  return { sessions, gate, handler, session, serveDashboard: makeDashboard(limits) };
}

async function listen(server: Server, { host, port }: HttpServerOptions) {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'EADDRINUSE' ? 'it is taken by another program' : message;
    throw new StartupError(`Can't listen on ${host}, port ${port}: ${reason}. Set PORT or HOST to another one.`, {
      cause,
    });
  }
}

/** How long requests may take to finish when the server stops. */
const STOP_MS = 5_000;

async function stop(server: Server, feeds: Set<ServerResponse>, closeSockets: (() => Promise<void>) | null) {
  const closed = once(server, 'close');
  server.close();
  await closeSockets?.();
  server.closeIdleConnections();
  for (const feed of feeds) feed.destroy();
  const timer = setTimeout(() => server.closeAllConnections(), STOP_MS);
  await closed;
  clearTimeout(timer);
}

function refuse(request: IncomingMessage, response: ServerResponse, { status, message }: RequestFault) {
  const requestId = response.getHeader(REQUEST_ID_HEADER);
  const body = { errors: [{ message, extensions: { code: 'BAD_USER_INPUT', requestId } }] };
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify(body), () => request.destroy());
}

function answer(response: ServerResponse, status: number, text: string) {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}

async function answerReady(response: ServerResponse, { checkReady, log }: HttpServerOptions) {
  try {
    await checkReady();
    answer(response, 200, 'ready');
  } catch (error) {
    log.warn({ error: (error as Error).message }, 'health.not_ready');
    answer(response, 503, 'The database does not answer.');
  }
}
