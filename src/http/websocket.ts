import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import { CloseCode, type Context as Connection, handleProtocols, makeServer, type ServerOptions } from 'graphql-ws';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Caller } from '../access/caller.ts';
import { RequestError } from '../errors.ts';
import type { Log } from '../log.ts';
import { readConnectionCredentials } from './credentials.ts';
import type { Gate } from './gate.ts';
import { GRAPHQL_PATH, type GraphqlHandler, type ServerContext } from './graphql-handler.ts';
import { type ConnectionExtra, openGraphqlSocket, shareResult } from './graphql-socket.ts';
import { presentErrors, toGraphqlError } from './present-errors.ts';
import { chooseRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import type { Sessions } from './sessions.ts';

/** Largest message of a client. */
export const MESSAGE_BYTES_MAX = 1_048_576;
/** How long clients may take to say goodbye when the server stops. */
const GOODBYE_MS = 2_000;
/** Close codes of RFC 6455, section 7.4.1, and of the IANA registry. After both, clients of graphql-ws connect again. */
const GOING_AWAY = 1_001;
const TRY_AGAIN_LATER = 1_013;

export interface WebsocketOptions {
  server: Server;
  handler: GraphqlHandler;
  sessions: Sessions;
  gate: Gate;
  log: Log;
  /** Whether clients may ask for the schema. */
  introspection: boolean;
}

/**
 * Serves the `graphql-transport-ws` protocol, with the same schema, authentication and errors as HTTP. The key comes
 * in `connectionParams`, or in the cookie of a page of this host, and is checked when the connection opens and again
 * at each operation. Where it fails, is revoked or expires, the connection is closed with 4403; with too many
 * connections of one key, or while the database is away, with 1013.
 *
 * @returns a function that closes every connection with 1001 and ends its subscriptions
 */
export function serveWebsockets(options: WebsocketOptions): () => Promise<void> {
  const { server, log } = options;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, handleProtocols });
  const graphql = makeServer(makeProtocol(options));
  server.on('upgrade', (request, socket, head) => {
    if (request.url?.split('?', 1)[0] !== GRAPHQL_PATH) {
      socket.on('error', () => socket.destroy());
      return socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
    }
    sockets.handleUpgrade(request, socket, head, (client) => openGraphqlSocket(graphql, client, { request, log }));
  });
  return () => closeAll(sockets);
}

/** What is done at each step of the protocol. */
function makeProtocol(options: WebsocketOptions): ServerOptions<Record<string, unknown>, ConnectionExtra> {
  const { handler, gate, log, introspection } = options;
  const authenticate = async ({ connectionParams, extra }: Connection<Record<string, unknown>, ConnectionExtra>) =>
    gate.admit(readConnectionCredentials(connectionParams, extra.request), extra.request);
  const present = (errors: readonly unknown[], { request }: ConnectionExtra) =>
    presentErrors(errors.map(toGraphqlError), { requestId: requestIdOf(request), log, introspection });
  return {
    onConnect: async (connection) => {
      const { socket } = connection.extra;
      try {
        return openSession(options.sessions, await authenticate(connection), socket);
      } catch (error) {
        if (error instanceof RequestError && error.code !== 'RATE_LIMITED') return false;
        log.info({ error: (error as Error).message }, 'websocket.refused');
        socket.close(TRY_AGAIN_LATER, 'Try again later');
        return true;
      }
    },
    onSubscribe: async (connection, _, payload) => {
      const { extra } = connection;
      try {
        const caller = await authenticate(connection);
        return await prepare(handler, payload, { requestId: requestIdOf(extra.request), caller });
      } catch (error) {
        return [toGraphqlError(error)];
      }
    },
    execute: (args) => (args.rootValue as Enveloped).execute(args),
    subscribe: (args) => (args.rootValue as Enveloped).subscribe(args),
    onNext: ({ extra }, id, _, __, result) =>
      result.errors ? { ...result, errors: present(result.errors, extra) } : shareResult(extra, id, result),
    onError: ({ extra }, _, __, errors) => present(errors, extra),
  };
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

async function closeAll(sockets: WebSocketServer) {
  const closed = [...sockets.clients].map((client) => once(client, 'close'));
  for (const client of sockets.clients) client.close(GOING_AWAY, 'Going away');
  const timer = setTimeout(() => {
    for (const client of sockets.clients) client.terminate();
  }, GOODBYE_MS);
  await Promise.all(closed);
  clearTimeout(timer);
  sockets.close();
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
