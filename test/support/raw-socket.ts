import { once } from 'node:events';
import { WebSocket } from 'ws';

export interface SocketMessage {
  type: string;
  id?: string;
  payload?: unknown;
}

/** A WebSocket that sends whatever a test says, allowed by the protocol or not. */
export interface RawSocket {
  socket: WebSocket;
  /** Everything that came, in order. */
  messages: SocketMessage[];
  /** The code with which it was closed, or `null` while it is open. */
  readonly closed: number | null;
  readonly reason: string;
  /** Sends a message, or a text as it is. @param after waits for a message of that type first */
  send(message: object | string, after?: string): void;
  /** The next message that fits, from the beginning. @returns `null` if the socket was closed before it came */
  next(fits: (message: SocketMessage) => boolean): Promise<SocketMessage | null>;
  /** Waits for the close. @returns its code */
  waitForClose(): Promise<number>;
  cut(): void;
}

export interface RawSocketOptions {
  headers?: Record<string, string>;
}

/** Opens a WebSocket, and sends nothing by itself. @param url without a path */
export async function openRawSocket(url: string, { headers = {} }: RawSocketOptions = {}): Promise<RawSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers });
  const messages: SocketMessage[] = [];
  let closed: number | null = null;
  let reason = '';
  const listeners = new Set<() => void>();
  const notify = () => {
    for (const listener of [...listeners]) listener();
  };
  socket.on('error', () => {});
  socket.on('message', (data) => {
    messages.push(JSON.parse(String(data)));
    notify();
  });
  socket.on('close', (code, text) => {
    closed = code;
    reason = String(text);
    notify();
  });
  const waitFor = <T>(look: () => T | undefined) =>
    new Promise<T>((resolve) => {
      const listener = () => {
        const found = look();
        if (found === undefined) return;
        listeners.delete(listener);
        resolve(found);
      };
      listeners.add(listener);
      listener();
    });
  const next = (fits: (message: SocketMessage) => boolean) =>
    waitFor(() => messages.find(fits) ?? (closed === null ? undefined : null));
  const write = (message: object | string) =>
    socket.readyState === WebSocket.OPEN &&
    socket.send(typeof message === 'string' ? message : JSON.stringify(message), () => {});
  await once(socket, 'open');
  return {
    socket,
    messages,
    get closed() {
      return closed;
    },
    get reason() {
      return reason;
    },
    send: (message, after) => {
      if (after === undefined) write(message);
      else void next(({ type }) => type === after).then((found) => found && write(message));
    },
    next,
    waitForClose: () => waitFor(() => closed ?? undefined),
    cut: () => socket.terminate(),
  };
}

/** Opens a WebSocket and lets it in. @param key goes into `connectionParams` */
export async function openLetIn(url: string, key: string): Promise<RawSocket> {
  const socket = await openRawSocket(url);
  socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${key}` } });
  const ack = await socket.next(({ type }) => type === 'connection_ack');
  if (!ack) throw new Error(`The WebSocket was closed with ${socket.closed} instead of being let in.`);
  return socket;
}
