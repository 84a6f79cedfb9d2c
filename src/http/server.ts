import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SignInTokens } from '../access/sign-in-tokens.ts';
import { StartupError } from '../errors.ts';
import type { Services } from '../graphql/context.ts';
import type { Log } from '../log.ts';
import { Connections } from './connections.ts';
import { makeDashboard } from './dashboard-files.ts';
import { Gate } from './gate.ts';
import { makeGraphqlHandler } from './graphql-handler.ts';
import type { OperationLimits } from './operation-limits.ts';
import { RepeatedLines } from './repeated-lines.ts';
import { makeRoutes, type Served } from './routes.ts';
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
  signInTokens: SignInTokens;
  /** From the configuration, as it stands. */
  limits: RequestLimits;
  log: Log;
}

export interface ServeOptions {
  /** Null: a worker, which answers health checks only. */
  services: Services | null;
  /** Rejects while Posthorn can't do its work. */
  checkReady: () => Promise<void>;
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
  /** Begins to answer what the process is for. Until then, it answers health checks, and everything else with 503. */
  serve(options: ServeOptions): void;
  /**
   * Refuses new requests and WebSockets, ends subscriptions, and lets requests in flight finish.
   *
   * @param timeoutMs after this time, every connection is cut
   */
  stop(timeoutMs: number): Promise<void>;
}

/**
 * Begins to listen, at first for health checks only.
 *
 * @throws {StartupError} if the port is taken
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { log, limits } = options;
  const lines = new RepeatedLines(log);
  let served: Served = null;
  let closeSockets = (_timeoutMs: number) => {};
  let stopSessions = () => {};
  // Feeds over SSE do not finish by themselves: they are cut when the server stops, and their clients resume elsewhere.
  const feeds = new Set<ServerResponse>();
  let stopping: Promise<void> | null = null;
  const isStopping = () => stopping !== null;
  const onFeed = (response: ServerResponse) => {
    feeds.add(response);
    response.once('close', () => feeds.delete(response));
  };
  const server = openServer(limits, makeRoutes({ ...limits, served: () => served, isStopping, onFeed, lines }));
  const connections = new Connections(server, log);
  connections.start();
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const stopAll = async (timeoutMs: number) => {
    await stop(server, { feeds, connections, closeSockets, timeoutMs });
    stopSessions();
    connections.stop();
    lines.flush();
  };
  const stopOnce = (timeoutMs: number) => {
    stopping ??= stopAll(timeoutMs);
    return stopping;
  };
  const serve = ({ services, checkReady }: ServeOptions) => {
    const graphql = services && makeGraphqlParts(services, lines, options);
    served = { graphql, checkReady };
    if (!graphql) return;
    closeSockets = serveWebsockets({ ...limits, ...graphql, server, isStopping, lines });
    graphql.sessions.start();
    stopSessions = () => graphql.sessions.stop();
  };
  return { url: `http://${host}:${port}`, serve, stop: stopOnce };
}

function openServer({ requestTimeoutMs }: RequestLimits, serve: RequestListener): Server {
  const options = {
    headersTimeout: Math.min(HEADERS_TIMEOUT_MS, requestTimeoutMs),
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    // A header that was sent twice is refused with its value, rather than read as whichever came first.
    joinDuplicateHeaders: true,
    // Offers of other protocols, such as h2c of `curl --http2`, are ignored.
    shouldUpgradeCallback: ({ headers }: IncomingMessage) =>
      headers.upgrade?.toLowerCase() === 'websocket' && server.listenerCount('upgrade') > 0,
  };
  const server: Server = createServer(options, serve);
  return Object.assign(server, { maxHeadersCount: HEADERS_MAX, maxConnections: CONNECTIONS_MAX });
}

function makeGraphqlParts(services: Services, lines: RepeatedLines, { signInTokens, log, limits }: HttpServerOptions) {
  const { authenticator } = services;
  const sessions = new Sessions({ authenticator, log, ...limits });
  const gate = new Gate({ authenticator, ...limits });
  const handler = makeGraphqlHandler({ services, sessions, gate, lines, limits, corsOrigins: limits.corsOrigins });
  const session = { authenticator, signInTokens, gate, behindTls: limits.behindTls, lines };
  return { sessions, gate, handler, session, serveDashboard: makeDashboard(limits) };
}

/** Why a server can't listen, by the code of the error. */
const LISTEN_ERRORS: Record<string, string> = {
  EADDRINUSE: 'it is taken by another program',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'permission denied; ports below 1024 need the right to bind them',
  EPERM: 'permission denied',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name can not be resolved now',
};

async function listen(server: Server, { host, port }: HttpServerOptions) {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = LISTEN_ERRORS[code ?? ''] ?? message;
    throw new StartupError(`Can't listen on ${host}, port ${port}: ${reason}. Set PORT or HOST to another one.`, {
      cause,
    });
  }
}

/** How often a server that stops looks for connections whose requests have finished. */
const IDLE_CHECK_MS = 50;
/** How long clients of WebSockets may take to answer the close. */
const GOODBYE_MS = 2_000;

interface StopOptions {
  feeds: Set<ServerResponse>;
  connections: Connections;
  closeSockets: (timeoutMs: number) => void;
  timeoutMs: number;
}

/** Requests in flight may finish until the time is over; then every connection is cut. */
async function stop(server: Server, { feeds, connections, closeSockets, timeoutMs }: StopOptions) {
  const closed = new Promise((resolve) => server.once('close', resolve));
  server.close();
  closeSockets(Math.min(GOODBYE_MS, timeoutMs));
  for (const feed of feeds) feed.destroy();
  const idleCheck = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const cut = setTimeout(() => connections.destroyAll(), timeoutMs);
  await closed;
  clearInterval(idleCheck);
  clearTimeout(cut);
}
