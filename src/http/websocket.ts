import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CloseCode, type Context as Connection, handleProtocols, makeServer, type ServerOptions } from 'graphql-ws';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Credentials } from '../access/authenticate.ts';
import type { Caller } from '../access/caller.ts';
import { RequestError } from '../errors.ts';
import { readConnectionCredentials } from './credentials.ts';
import type { Gate } from './gate.ts';
import { GRAPHQL_PATH, type GraphqlHandler, type ServerContext } from './graphql-handler.ts';
import { type ConnectionExtra, openGraphqlSocket, shareResult } from './graphql-socket.ts';
import { adoptForwardedHost } from './page-origin.ts';
import { presentErrors, toGraphqlError } from './present-errors.ts';
import type { RepeatedLines } from './repeated-lines.ts';
import { chooseRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import type { Sessions } from './sessions.ts';
import { TRY_AGAIN_LATER } from './socket-flow.ts';

/** Largest message of a client. */
export const MESSAGE_BYTES_MAX = 1_048_576;
/** How long a client may take to send `connection_init`. */
export const INIT_MS_MAX = 3_000;
/** Operations that may be in progress over one WebSocket, subscriptions among them. */
export const OPERATIONS_PER_SOCKET_MAX = 1_000;
/** Bytes of their messages, all together: they are kept until the operations have ended. */
export const OPERATION_BYTES_PER_SOCKET_MAX = 8_388_608;
/** Parts of one message. */
const FRAGMENTS_MAX = 1_024;
/** Pieces in which an unfinished message may have arrived. */
const CHUNKS_MAX = 4_096;
/** How long a client may take to answer a close before its connection is cut. */
const CLOSE_MS_MAX = 5_000;
/** RFC 6455, section 7.4.1: after it, clients of graphql-ws connect again. */
const GOING_AWAY = 1_001;
const RETRY_AFTER_MS = 1_000;

export interface WebsocketOptions {
  server: Server;
  handler: GraphqlHandler;
  sessions: Sessions;
  gate: Gate;
  lines: RepeatedLines;
  /** Whether shutdown has begun: handshakes are refused. */
  isStopping: () => boolean;
  /** Proxies in front that set `X-Forwarded-Host`. */
  trustedProxies: number;
}

/**
 * Serves the `graphql-transport-ws` protocol, with the same schema, authentication and errors as HTTP. The key comes in
 * `connectionParams`, in the headers of the handshake, or in the cookie of a page of this host, and is checked when the
 * connection opens and again at each operation. If it is refused, revoked or expired, the connection is closed with 4403; if
 * the key has too many connections, or the database cannot be reached, with 1013.
 *
 * @returns a function that closes every connection with 1001, and cuts those that do not answer within the given time
 */
export function serveWebsockets(options: WebsocketOptions): (timeoutMs: number) => void {
  const { server, lines, isStopping, trustedProxies } = options;
  const sockets = new WebSocketServer({
    ...{ noServer: true, handleProtocols, closeTimeout: CLOSE_MS_MAX },
    ...{ maxPayload: MESSAGE_BYTES_MAX, maxFragments: FRAGMENTS_MAX, maxBufferedChunks: CHUNKS_MAX },
    // Compressed messages cost memory and time that no limit of their bytes bounds.
    perMessageDeflate: false,
  });
  const graphql = makeServer(makeProtocol(options));
  server.on('upgrade', (request, connection, head) => {
    if (isStopping()) return refuseUpgrade(connection, '503 Service Unavailable', 'Posthorn is stopping.');
    if (request.url?.split('?', 1)[0] !== GRAPHQL_PATH) {
      return refuseUpgrade(connection, '404 Not Found', `WebSockets are served at ${GRAPHQL_PATH}.`);
    }
    adoptForwardedHost(request.headers, trustedProxies);
    sockets.handleUpgrade(request, connection, head, (client) =>
      openGraphqlSocket(graphql, client, { request, connection: connection as Socket, lines }),
    );
  });
  return (timeoutMs) => closeAll(sockets, timeoutMs);
}

function refuseUpgrade(connection: Duplex, status: string, message: string) {
  connection.on('error', () => connection.destroy());
  const head = `HTTP/1.1 ${status}\r\nconnection: close\r\nretry-after: 1\r\ncontent-type: text/plain; charset=utf-8\r\n`;
  connection.end(`${head}content-length: ${Buffer.byteLength(message) + 1}\r\n\r\n${message}\n`, () =>
    connection.destroy(),
  );
}

type SocketConnection = Connection<Record<string, unknown>, ConnectionExtra>;

/** What is done at each step of the protocol. */
function makeProtocol(options: WebsocketOptions): ServerOptions<Record<string, unknown>, ConnectionExtra> {
  const { handler, lines } = options;
  const present = (errors: readonly unknown[], { request }: ConnectionExtra) =>
    presentErrors(errors.map(toGraphqlError), { requestId: requestIdOf(request), lines });
  return {
    connectionInitWaitTimeout: INIT_MS_MAX,
    onConnect: (connection) => connect(connection, options),
    onSubscribe: async ({ extra }, _, payload) => {
      const server = { requestId: requestIdOf(extra.request), requestBytes: extra.messageBytes };
      try {
        checkOperations(extra);
        const caller = await authenticate(extra, options);
        // Nothing reads them, and a subscription would keep them.
        Object.assign(payload, { extensions: undefined });
        return await prepare(handler, payload, { ...server, caller });
      } catch (error) {
        return [toGraphqlError(error)];
      }
    },
    execute: (args) => (args.rootValue as Enveloped).execute(args),
    subscribe: (args) => (args.rootValue as Enveloped).subscribe(args),
    onNext: ({ extra }, id, _, __, result) =>
      shareResult(extra, id, result.errors ? { ...result, errors: present(result.errors, extra) } : result),
    onError: ({ extra }, _, __, errors) => present(errors, extra),
  };
}

const authenticate = ({ credentials, request }: ConnectionExtra, { gate }: WebsocketOptions) =>
  gate.admit(credentials as Credentials, request);

/** Lets a client in. @returns false: it is refused with 4403 */
async function connect(connection: SocketConnection, options: WebsocketOptions): Promise<boolean> {
  const { extra } = connection;
  const { socket, request } = extra;
  try {
    extra.credentials = readConnectionCredentials(connection.connectionParams, request);
    // The parameters may be large, and are not needed any more.
    Object.assign(connection, { connectionParams: undefined });
    openSession(options.sessions, await authenticate(extra, options), socket);
    extra.acknowledge();
    return true;
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof RequestError && error.code !== 'RATE_LIMITED') return false;
    options.lines.write('info', message, { error: message }, 'websocket.refused');
    socket.close(TRY_AGAIN_LATER, 'Try again later');
    return true;
  }
}

/** @throws {RequestError} RATE_LIMITED if too much is in progress over the connection */
function checkOperations({ operations, operationBytes }: ConnectionExtra) {
  if (operations <= OPERATIONS_PER_SOCKET_MAX && operationBytes <= OPERATION_BYTES_PER_SOCKET_MAX) return;
  const message =
    operations > OPERATIONS_PER_SOCKET_MAX
      ? `This WebSocket has ${OPERATIONS_PER_SOCKET_MAX} operations in progress, the maximum. Wait until some have ended, or open another.`
      : `The operations in progress over this WebSocket have more than ${OPERATION_BYTES_PER_SOCKET_MAX} bytes, the maximum. Wait until some have ended.`;
  throw new RequestError('RATE_LIMITED', message, RETRY_AFTER_MS);
}

/** @throws {RequestError} RATE_LIMITED where the key has too many */
function openSession(sessions: Sessions, caller: Caller, socket: WebSocket): boolean {
  const end = sessions.open(caller, () => socket.close(CloseCode.Forbidden, 'Forbidden'));
  // It may have been closed while the key was looked up.
  if (socket.readyState === socket.OPEN) socket.once('close', end);
  else end();
  return true;
}

const requestIds = new WeakMap<IncomingMessage, string>();

/** One ID for all operations of a connection: the one that it came with, or a new one. */
function requestIdOf(request: IncomingMessage): string {
  const requestId = requestIds.get(request) ?? chooseRequestId(request.headers[REQUEST_ID_HEADER]);
  requestIds.set(request, requestId);
  return requestId;
}

/** Each connection by itself: what one client does wrong while it is closed concerns no other. */
function closeAll(sockets: WebSocketServer, timeoutMs: number) {
  for (const client of sockets.clients) client.close(GOING_AWAY, 'Going away');
  const timer = setTimeout(() => {
    for (const client of sockets.clients) client.terminate();
  }, timeoutMs);
  sockets.close(() => clearTimeout(timer));
}

type Enveloped = Pick<ReturnType<GraphqlHandler['getEnveloped']>, 'execute' | 'subscribe'>;

interface OperationPayload {
  query: string;
  operationName?: string | null;
  variables?: Record<string, unknown> | null;
}

/** Parses and validates an operation. @returns its arguments, or what is wrong with it */
async function prepare(handler: GraphqlHandler, payload: OperationPayload, server: ServerContext) {
  const { schema, execute, subscribe, contextFactory, parse, validate } = handler.getEnveloped({
    ...server,
    params: payload,
  });
  const document = parse(payload.query);
  const errors = validate(schema, document);
  if (errors.length > 0) return [...errors];
  return {
    schema,
    document,
    operationName: payload.operationName,
    variableValues: payload.variables,
    contextValue: await contextFactory(),
    rootValue: { execute, subscribe },
  };
}
