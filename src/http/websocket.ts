import type { IncomingMessage, Server } from 'node:http';
import { GraphQLError } from 'graphql';
import { CloseCode } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Caller } from '../access/caller.ts';
import type { Services } from '../graphql/context.ts';
import type { Log } from '../log.ts';
import { readConnectionParams } from './credentials.ts';
import { GRAPHQL_PATH, type GraphqlHandler, type ServerContext } from './graphql-handler.ts';
import { presentErrors } from './present-errors.ts';
import { chooseRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import type { Sessions } from './sessions.ts';

/** Largest message of a client. */
const MESSAGE_BYTES_MAX = 1_048_576;
/** How often a quiet connection is asked whether it still lives. */
const PING_MS = 12_000;
/** Try Again Later, of the IANA registry of WebSocket close codes: clients of graphql-ws connect again after a while. */
const TRY_AGAIN_LATER = 1_013;

export interface WebsocketOptions {
  server: Server;
  handler: GraphqlHandler;
  services: Services;
  sessions: Sessions;
  log: Log;
}

/** What graphql-ws keeps of a connection. */
interface Connection {
  extra: { request: IncomingMessage; socket: WebSocket };
  connectionParams?: Record<string, unknown>;
}

/**
 * Serves the `graphql-transport-ws` protocol, with the same schema, authentication and errors as HTTP. The key comes
 * in `connectionParams` and is checked when the connection opens, and again at each operation. Where it fails, is
 * revoked or expires, the connection is closed with 4403; with too many connections of one key, with 1013.
 *
 * @returns a function that closes every connection with 1001 and ends its subscriptions
 */
export function serveWebsockets(options: WebsocketOptions): () => Promise<void> {
  const { server, handler, services, sessions, log } = options;
  const socketServer = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX });
  server.on('upgrade', (request, socket, head) => {
    if (request.url?.split('?', 1)[0] !== GRAPHQL_PATH) return socket.destroy();
    socketServer.handleUpgrade(request, socket, head, (client) => socketServer.emit('connection', client, request));
  });
  const authenticate = ({ connectionParams, extra }: Connection) =>
    services.authenticator.authenticate(readConnectionParams(connectionParams, extra.request));
  const present = (errors: readonly GraphQLError[], requestId: string) => presentErrors(errors, { requestId, log });
  // One ID for all operations of a connection: the one that it came with, or a new one.
  const requestIds = new WeakMap<object, string>();
  const requestIdOf = ({ extra }: Connection) => {
    const requestId = requestIds.get(extra) ?? chooseRequestId(extra.request.headers[REQUEST_ID_HEADER]);
    requestIds.set(extra, requestId);
    return requestId;
  };

  const disposable = useServer(
    {
      onConnect: async (connection) => {
        const { socket } = connection.extra;
        const caller = await authenticate(connection).catch(() => null);
        if (!caller) return false;
        const close = openSession(sessions, caller, socket);
        if (close && socket.readyState === socket.OPEN) socket.once('close', close);
        else close?.();
        return true;
      },
      onSubscribe: async (connection, _, payload) => {
        const requestId = requestIdOf(connection);
        try {
          const caller = await authenticate(connection);
          return await prepare(handler, payload, { requestId, caller });
        } catch (error) {
          const wrapped = error instanceof GraphQLError ? error : wrap(error as Error);
          return present([wrapped], requestId);
        }
      },
      execute: (args) => (args.rootValue as Enveloped).execute(args),
      subscribe: (args) => (args.rootValue as Enveloped).subscribe(args),
      onNext: (connection, _, __, ___, result) =>
        result.errors ? { ...result, errors: present(result.errors, requestIdOf(connection)) } : undefined,
      onError: (connection, _, __, errors) => present(errors.map(toError), requestIdOf(connection)),
    },
    socketServer,
    PING_MS,
  );
  return async () => {
    await disposable.dispose();
    socketServer.close();
  };
}

/** @returns what ends the session; undefined: the key has too many, and the connection is closed */
function openSession(sessions: Sessions, caller: Caller, socket: WebSocket): (() => void) | undefined {
  try {
    return sessions.open(caller, () => socket.close(CloseCode.Forbidden, 'Forbidden'));
  } catch (error) {
    socket.close(TRY_AGAIN_LATER, (error as Error).message);
    return undefined;
  }
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
  if (errors.length > 0) return presentable(errors);
  return {
    schema,
    document,
    operationName: payload.operationName,
    variableValues: payload.variables,
    contextValue: await contextFactory(),
    rootValue: { execute, subscribe },
  };
}

const presentable = (errors: readonly GraphQLError[]) => [...errors];

const wrap = (error: Error) => new GraphQLError(error.message, { originalError: error });

const toError = (error: unknown) => (error instanceof GraphQLError ? error : wrap(error as Error));
