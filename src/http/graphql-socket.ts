import type { IncomingMessage } from 'node:http';
import type { ExecutionResult } from 'graphql';
import { CloseCode, type WebSocket as GraphqlSocket, type Server } from 'graphql-ws';
import type { WebSocket } from 'ws';
import type { Log } from '../log.ts';
import { toSharedJson } from './shared-json.ts';

/** How often a connection is asked whether it still lives, and how long it may take to answer. */
const PING_MS = 12_000;

/** What belongs to a connection, beside what graphql-ws keeps of it. */
export interface ConnectionExtra {
  request: IncomingMessage;
  socket: WebSocket;
  /** Results that are about to be sent, by the ID of their operation. */
  outgoing: Map<string, ExecutionResult>;
}

/** Stands in a `next` message in place of a result that many share, and is replaced when the message is sent. */
const SHARED = { shared: true } as const;
const SHARED_END = `"payload":${JSON.stringify(SHARED)}}`;

/** Puts a result aside to be sent as bytes that are written once for all. @returns what graphql-ws is to take for it */
export function shareResult(extra: ConnectionExtra, operationId: string, result: ExecutionResult) {
  extra.outgoing.set(operationId, result);
  return SHARED as ExecutionResult;
}

/** Connects a WebSocket to graphql-ws. A message counts as sent when the socket took it, so slow clients are waited for. */
export function openGraphqlSocket(server: Server<ConnectionExtra>, socket: WebSocket, options: SocketOptions): void {
  const { request, log } = options;
  const extra: ConnectionExtra = { request, socket, outgoing: new Map() };
  const stopPinging = keepAlive(socket);
  socket.on('error', (error) => log.info({ error: error.message }, 'websocket.failed'));
  const closed = server.opened(toGraphqlSocket(extra, log), extra);
  socket.once('close', (code, reason) => {
    stopPinging();
    closed(code, String(reason)).catch((error: Error) => log.error({ error: error.message }, 'websocket.close_failed'));
  });
}

export interface SocketOptions {
  request: IncomingMessage;
  log: Log;
}

const toGraphqlSocket = (extra: ConnectionExtra, log: Log): GraphqlSocket => ({
  protocol: extra.socket.protocol,
  send: (text) => send(extra, text),
  close: (code, reason) => extra.socket.close(code, reason),
  onMessage: (receive) => {
    extra.socket.on('message', (data) => {
      receive(String(data)).catch((error: Error) => {
        log.error({ error: error.message, stack: error.stack }, 'websocket.message_failed');
        extra.socket.close(CloseCode.InternalServerError, 'Internal server error');
      });
    });
  },
});

function send({ socket, outgoing }: ConnectionExtra, text: string): Promise<void> {
  // Nothing goes out any more, but a feed must not run through at full speed until the client agrees to the close.
  if (socket.readyState === socket.CLOSING) return new Promise((resolve) => socket.once('close', () => resolve()));
  if (socket.readyState !== socket.OPEN) return Promise.resolve();
  const message = text.endsWith(SHARED_END) ? completeMessage(text, outgoing) : text;
  return new Promise((resolve, reject) => {
    socket.send(message, { binary: false }, (error) => (error ? reject(error) : resolve()));
  });
}

function completeMessage(text: string, outgoing: ConnectionExtra['outgoing']): Buffer | string {
  const { id } = JSON.parse(text) as { id: string };
  const result = outgoing.get(id);
  if (!result) return text;
  outgoing.delete(id);
  return Buffer.concat([
    Buffer.from(`{"id":${JSON.stringify(id)},"type":"next","payload":`),
    toSharedJson(result),
    END,
  ]);
}

const END = Buffer.from('}');

/** Pings, and cuts off who does not answer. @returns what ends it */
function keepAlive(socket: WebSocket): () => void {
  let isAlive = true;
  socket.on('pong', () => {
    isAlive = true;
  });
  const timer = setInterval(() => {
    if (!isAlive) return socket.terminate();
    isAlive = false;
    socket.ping();
  }, PING_MS);
  return () => clearInterval(timer);
}
