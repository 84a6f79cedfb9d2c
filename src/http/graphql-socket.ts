import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { ExecutionResult } from 'graphql';
import { CloseCode, type WebSocket as GraphqlSocket, type Server } from 'graphql-ws';
import type { WebSocket } from 'ws';
import type { Credentials } from '../access/authenticate.ts';
import type { RepeatedLines } from './repeated-lines.ts';
import { toSharedJson } from './shared-json.ts';
import { POLICY_VIOLATION, SocketFlow } from './socket-flow.ts';
import { type ClientMessage, MESSAGES_BEFORE_ACK_MAX, readClientMessage } from './socket-messages.ts';

/** How often a connection is asked whether it still lives, and how long it may take to answer. */
const PING_MS = 12_000;
/** Bytes that the reason of a close may have, by RFC 6455. */
const REASON_BYTES_MAX = 123;

/** What belongs to a connection, beside what graphql-ws keeps of it. */
export interface ConnectionExtra {
  request: IncomingMessage;
  socket: WebSocket;
  /** What the client sent in `connection_init` or its handshake; `null` before. */
  credentials: Credentials | null;
  /** Is called when the client has been let in. */
  acknowledge: () => void;
  isAcknowledged: boolean;
  /** Operations that have not ended, and the bytes of their messages. */
  operations: number;
  operationBytes: number;
  /** Bytes of the message that is being handed to graphql-ws. */
  messageBytes: number;
  /** Results that are about to be sent, by the ID of their operation. */
  outgoing: Map<string, ExecutionResult>;
}

/** Stands in a `next` message in place of a result that many share, and is replaced when the message is sent. */
const SHARED = { shared: true } as const;
const SHARED_VALUE = `${JSON.stringify(SHARED)}}`;
const SHARED_END = `"payload":${SHARED_VALUE}`;

/** Puts a result aside to be sent as bytes that are written once for all. @returns what graphql-ws is to take for it */
export function shareResult(extra: ConnectionExtra, operationId: string, result: ExecutionResult) {
  extra.outgoing.set(operationId, result);
  return SHARED as ExecutionResult;
}

/** Connects a WebSocket to graphql-ws. A message counts as sent when the socket took it, so slow clients are waited for. */
export function openGraphqlSocket(server: Server<ConnectionExtra>, socket: WebSocket, options: SocketOptions): void {
  const { request, connection, lines } = options;
  const flow = new SocketFlow(socket, connection);
  const release = flow.limitUntilAcknowledged();
  const extra: ConnectionExtra = {
    ...{ request, socket, credentials: null, isAcknowledged: false },
    acknowledge: () => {
      extra.isAcknowledged = true;
      release();
    },
    ...{ operations: 0, operationBytes: 0, messageBytes: 0, outgoing: new Map() },
  };
  const stopPinging = keepAlive(socket, flow);
  socket.on('error', ({ message }) =>
    lines.write('info', message, { error: message, address: request.socket.remoteAddress }, 'websocket.failed'),
  );
  const closed = server.opened(toGraphqlSocket(extra, flow, lines), extra);
  socket.once('close', (code, reason) => {
    stopPinging();
    closed(code, String(reason)).catch((error: Error) =>
      lines.write('error', error.message, { error: error.message, stack: error.stack }, 'websocket.close_failed'),
    );
  });
}

export interface SocketOptions {
  request: IncomingMessage;
  /** The connection beneath the WebSocket. */
  connection: Socket;
  lines: RepeatedLines;
}

const toGraphqlSocket = (extra: ConnectionExtra, flow: SocketFlow, lines: RepeatedLines): GraphqlSocket => ({
  protocol: extra.socket.protocol,
  send: (text) => flow.send(text.endsWith(SHARED_END) ? completeMessage(text, extra.outgoing) : text),
  close: (code, reason) => extra.socket.close(code, shorten(reason)),
  onMessage: (receive) => {
    let messagesBeforeAck = 0;
    extra.socket.on('message', (data) => {
      // A chunk can hold messages behind the one that closed the connection.
      if (extra.socket.readyState !== extra.socket.OPEN) return;
      if (!extra.isAcknowledged) messagesBeforeAck += 1;
      if (messagesBeforeAck > MESSAGES_BEFORE_ACK_MAX) return refuse(extra, 'Too many messages before connection_ack');
      const message = readClientMessage(data as Buffer);
      if (typeof message === 'string') return refuse(extra, message);
      if (message.type === 'ping') return void answerPing(message, extra, flow);
      const end = countOperation(extra, message, (data as Buffer).length);
      extra.messageBytes = (data as Buffer).length;
      // graphql-ws reads a parsed message as well, and calls the hook of a subscribe at once.
      receive(message as unknown as string)
        .catch((error: Error) => {
          lines.write('error', error.message, { error: error.message, stack: error.stack }, 'websocket.message_failed');
          extra.socket.close(CloseCode.InternalServerError, 'Internal server error');
        })
        .finally(end);
    });
  },
});

const refuse = ({ socket }: ConnectionExtra, reason: string) => socket.close(CloseCode.BadRequest, reason);

function answerPing({ payload }: ClientMessage, extra: ConnectionExtra, flow: SocketFlow) {
  if (payload !== null && payload !== undefined && (typeof payload !== 'object' || Array.isArray(payload))) {
    return refuse(extra, 'Invalid message received');
  }
  return flow.send(JSON.stringify({ type: 'pong', ...(payload && { payload }) }));
}

/** Counts an operation, with all that its message makes the connection keep. @returns what is called when it has ended */
function countOperation(extra: ConnectionExtra, { type }: ClientMessage, bytes: number): () => void {
  if (type !== 'subscribe') return () => {};
  extra.operations += 1;
  extra.operationBytes += bytes;
  return () => {
    extra.operations -= 1;
    extra.operationBytes -= bytes;
  };
}

/** graphql-ws puts texts of clients into reasons, and ws throws if a reason is too long. */
function shorten(reason: string | undefined): string | undefined {
  if (reason === undefined || Buffer.byteLength(reason) <= REASON_BYTES_MAX) return reason;
  return `${reason.slice(0, REASON_BYTES_MAX / 3 - 1)}…`;
}

/** Runs for every message to every subscriber: it neither parses the message nor copies the result twice. */
function completeMessage(text: string, outgoing: ConnectionExtra['outgoing']): Buffer | string {
  const head = text.slice(0, -SHARED_VALUE.length);
  const id = readOperationId(head);
  const result = outgoing.get(id);
  if (!result) return text;
  outgoing.delete(id);
  const json = toSharedJson(result);
  const headBytes = Buffer.byteLength(head);
  const message = Buffer.allocUnsafe(headBytes + json.length + 1);
  message.write(head);
  json.copy(message, headBytes);
  message[message.length - 1] = CLOSING_BRACE;
  return message;
}

const CLOSING_BRACE = 0x7d;
const HEAD_START = '{"id":"';
const HEAD_END = '","type":"next","payload":';

/** @param head of a message as graphql-ws writes it, up to its payload */
function readOperationId(head: string): string {
  const isPlain = head.startsWith(HEAD_START) && head.endsWith(HEAD_END) && !head.includes('\\');
  return isPlain ? head.slice(HEAD_START.length, -HEAD_END.length) : JSON.parse(`${head}null}`).id;
}

/** Pings, and cuts a client that does not answer, or leaves a large message unfinished. @returns what ends it */
function keepAlive(socket: WebSocket, flow: SocketFlow): () => void {
  let isAlive = true;
  let mark = -1;
  socket.on('pong', () => {
    isAlive = true;
  });
  const timer = setInterval(() => {
    const unfinished = flow.checkUnfinished(mark);
    mark = unfinished.mark;
    if (unfinished.isUnfinished) socket.close(POLICY_VIOLATION, 'A message took too long to arrive');
    // The answers of a client that is not read from cannot be seen: `Connections` cuts one that takes no output.
    if (flow.isPaused) {
      isAlive = true;
      return;
    }
    if (!isAlive) return socket.terminate();
    isAlive = false;
    socket.ping();
  }, PING_MS);
  return () => clearInterval(timer);
}
