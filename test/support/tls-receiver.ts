import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** A request as it came over TLS. */
export interface SecureRequest {
  path: string;
  host: string | undefined;
  /** Common name of the client certificate; null: none was shown. */
  client: string | null;
  /** The name that the client asked for in the handshake; false: none. */
  servername: string | false | null | undefined;
  /** Tells connections apart. */
  clientPort: number | undefined;
}

/** A real HTTPS server that keeps what it gets. */
export class TlsReceiver {
  requests: SecureRequest[] = [];
  /** Holds answers back where it is there. */
  gate: Promise<void> | null = null;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(options: ServerOptions) {
    this.#server = createServer(options, (...exchange) => void this.#answer(...exchange));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('tlsClientError', () => {});
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  get openCount(): number {
    return this.#sockets.size;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path = '/', host = '127.0.0.1'): string {
    return `https://${host}:${this.port}${path}`;
  }

  #answer: (...exchange: Parameters<RequestListener>) => Promise<void> = async (request, response) => {
    const socket = request.socket as TLSSocket;
    const client = socket.getPeerCertificate().subject?.CN;
    this.requests.push({
      path: request.url ?? '',
      host: request.headers.host,
      client: client ? String(client) : null,
      servername: socket.servername,
      clientPort: socket.remotePort,
    });
    request.resume();
    await this.gate;
    response.end('ok');
  };
}
