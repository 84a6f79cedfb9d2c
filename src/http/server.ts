import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StartupError } from '../errors.ts';
import type { Services } from '../graphql/context.ts';
import type { Log } from '../log.ts';
import { GRAPHQL_PATH, makeGraphqlHandler } from './graphql-handler.ts';
import { chooseRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import { SESSION_PATH, serveSession } from './session-routes.ts';
import { type SessionLimits, Sessions } from './sessions.ts';
import { serveWebsockets } from './websocket.ts';

/** Largest request. A `publishEvents` with bodies of 16 KiB each fits. */
export const REQUEST_BYTES_MAX = 16_777_216;

export interface HttpServerOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  /** Null: a worker, which answers health checks only. */
  services: Services | null;
  graphiql: boolean;
  sessionLimits: SessionLimits;
  /** Rejects while Posthorn can't do its work. */
  checkReady: () => Promise<void>;
  log: Log;
}

export interface HttpServer {
  /** Without a path, for example `http://127.0.0.1:4000`. */
  url: string;
  /** Ends subscriptions, lets requests finish, and closes. */
  stop(): Promise<void>;
}

/** Starts to listen. @throws {StartupError} where the port is taken */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { log } = options;
  const graphql = options.services && makeGraphqlParts(options.services, options);
  // Feeds over SSE never finish by themselves: they are cut off when the server stops, and their clients resume elsewhere.
  const feeds = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    const requestId = chooseRequestId(request.headers[REQUEST_ID_HEADER]);
    response.setHeader(REQUEST_ID_HEADER, requestId);
    const path = request.url?.split('?', 1)[0];
    if (path === '/healthz') return answer(response, 200, 'ok');
    if (path === '/readyz') return void answerReady(response, options);
    if (path === GRAPHQL_PATH && graphql) {
      const fault = findSizeFault(request);
      if (fault) return refuse(request, response, fault);
      if (request.headers.accept?.includes('text/event-stream')) {
        feeds.add(response);
        response.once('close', () => feeds.delete(response));
      }
      return void graphql.handler(request, response, { requestId });
    }
    if (path === SESSION_PATH && graphql) return void serveSession(request, response, graphql.session);
    answer(response, 404, `There is nothing here. GraphQL is at ${GRAPHQL_PATH}.`);
  });
  const closeSockets = graphql && serveWebsockets({ server, log, ...graphql });
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

function makeGraphqlParts(services: Services, { log, graphiql, sessionLimits }: HttpServerOptions) {
  const sessions = new Sessions({ authenticator: services.authenticator, log, ...sessionLimits });
  const handler = makeGraphqlHandler({ services, sessions, log, graphiql });
  return { services, sessions, handler, session: { authenticator: services.authenticator, log } };
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

interface SizeFault {
  status: number;
  message: string;
}

function findSizeFault({ method, headers }: IncomingMessage): SizeFault | null {
  if (method !== 'POST') return null;
  const length = headers['content-length'];
  if (length === undefined) return { status: 411, message: 'Send the length of the body in content-length.' };
  if (Number(length) <= REQUEST_BYTES_MAX) return null;
  return { status: 413, message: `The request is larger than ${REQUEST_BYTES_MAX} bytes. Split it.` };
}

function refuse(request: IncomingMessage, response: ServerResponse, { status, message }: SizeFault) {
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
