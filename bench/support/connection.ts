import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ROOT_KEY } from './processes.ts';

/** A keep-alive connection to a server, for one request at a time. */
export interface Connection {
  /** Sends a request. @returns the whole answer, head included */
  exchange(request: Buffer): Promise<string>;
  /** False where the server has closed it, which it does after some idle seconds. */
  isOpen(): boolean;
  close(): void;
}

/**
 * Opens a bare socket: the load shares the machine with what it measures, and a client library takes as long for a
 * request as the server.
 *
 * @param url of the server, without a path
 */
export async function openConnection(url: string): Promise<Connection> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  return { exchange: makeExchange(socket), isOpen: () => !socket.destroyed, close: () => socket.destroy() };
}

/** A GraphQL request with the operator's key. @param body as JSON @param environmentId left out: the default one */
export function makeRequest(url: string, body: string, environmentId?: string): Buffer {
  const head = [
    'POST /graphql HTTP/1.1',
    `host: ${new URL(url).host}`,
    'content-type: application/json',
    `authorization: Bearer ${ROOT_KEY}`,
    `content-length: ${Buffer.byteLength(body)}`,
    ...(environmentId === undefined ? [] : [`x-environment-id: ${environmentId}`]),
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

const HEAD_END = '\r\n\r\n';
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;

function makeExchange(socket: Socket): (request: Buffer) => Promise<string> {
  let received = '';
  let pending: PromiseWithResolvers<string> | undefined;
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
    const headEnd = received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const length = Number(CONTENT_LENGTH.exec(received)?.[1] ?? 0);
    if (received.length < headEnd + HEAD_END.length + length) return;
    pending?.resolve(received);
    received = '';
  });
  socket.on('error', (error) => pending?.reject(error));
  socket.on('close', () => pending?.reject(new Error('The server closed a connection.')));
  return (request) => {
    pending = Promise.withResolvers();
    if (socket.destroyed) pending.reject(new Error('The server closed a connection.'));
    else socket.write(request);
    return pending.promise;
  };
}
