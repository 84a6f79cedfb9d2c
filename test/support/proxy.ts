import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { IssuedCertificate } from './certificates.ts';

/** What a proxy was asked for. */
export interface Connected {
  authority: string;
  host: string;
  authorization: string | undefined;
}

/** A small proxy that knows CONNECT and nothing else. */
export class ConnectProxy {
  connected: Connected[] = [];
  /** The status for an address. Other than 200, there is no connection; null: it never answers. */
  answer: (authority: string) => number | null = () => 200;
  /** Where an address really leads; else where it says. */
  routes: Record<string, number> = {};
  readonly #certificate: () => IssuedCertificate | null;
  readonly #sockets = new Set<Duplex>();
  #server!: Server;

  constructor(certificate: () => IssuedCertificate | null = () => null) {
    this.#certificate = certificate;
  }

  async start(): Promise<void> {
    const made = this.#certificate();
    this.#server = made ? createSecureServer({ cert: made.certificate, key: made.privateKey }) : createServer();
    this.#server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#connect(request, socket as Socket, head);
    });
    this.#server.on('connection', (socket: Socket) => this.#keep(socket));
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that it has open, to both sides. */
  get openCount(): number {
    return this.#sockets.size;
  }

  reset(): void {
    this.connected = [];
    this.routes = {};
    this.answer = () => 200;
  }

  #connect({ url: authority = '', headers }: IncomingMessage, socket: Socket, head: Buffer) {
    socket.on('error', () => {});
    this.connected.push({ authority, host: headers.host ?? '', authorization: headers['proxy-authorization'] });
    const status = this.answer(authority);
    if (status === null) return;
    if (status !== 200) return void socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 2\r\n\r\nno`);
    const { hostname, port } = new URL(`http://${authority}`);
    const onward = connect(
      this.routes[authority] ?? Number(port || 80),
      this.routes[authority] ? '127.0.0.1' : hostname,
    );
    this.#keep(onward);
    onward.on('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    onward.on('close', () => socket.destroy());
    socket.on('close', () => onward.destroy());
  }

  #keep(socket: Socket) {
    this.#sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
  }
}

/** A proxy for all tests of a file, that forgets after each what it was told. */
export function useProxy(certificate?: () => IssuedCertificate | null): ConnectProxy {
  const proxy = new ConnectProxy(certificate);
  beforeAll(() => proxy.start());
  afterEach(() => proxy.reset());
  afterAll(() => proxy.stop());
  return proxy;
}
