import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, beforeEach } from 'vitest';

interface Feed {
  end: () => void;
  silence: () => void;
}

/** Stands between a client and Posthorn, and does to live feeds what networks do. Lists and the like just pass. */
export class Network {
  /** Where requests go on to: the URL of a Posthorn. */
  target = '';
  #server!: Server;
  /** Feeds that could not be opened, because nobody listens at the target. */
  refusedCount = 0;
  readonly #sockets = new Set<Duplex>();
  readonly #feeds = new Set<Feed>();
  #held: (() => void)[] | null = null;

  async start(): Promise<void> {
    this.#server = createServer((incoming, response) => void this.#pass(incoming, response));
    this.#server.on('upgrade', (incoming, socket) => void this.#upgrade(incoming, socket));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/graphql`;
  }

  /** Feeds that are open. */
  get feedCount(): number {
    return this.#feeds.size;
  }

  /** Feeds that wait for {@link release}. */
  get heldCount(): number {
    return this.#held?.length ?? 0;
  }

  /** From now on, feeds that are opened wait. */
  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const goOn of held) goOn();
  }

  /** Breaks every feed that is open. @returns how many */
  cut(): number {
    const count = this.#feeds.size;
    for (const { end } of this.#feeds) end();
    return count;
  }

  /** WebSockets that are open stay open, and carry nothing more. @returns how many */
  silence(): number {
    for (const { silence } of this.#feeds) silence();
    return this.#feeds.size;
  }

  reset(target: string): void {
    this.cut();
    this.release();
    this.refusedCount = 0;
    this.target = target;
  }

  async #pass(incoming: IncomingMessage, response: ServerResponse) {
    // Clients of GraphQL that would take a stream too name it among others.
    const isFeed = incoming.headers.accept === 'text/event-stream';
    if (isFeed) await this.#wait();
    const { method, url, headers } = incoming;
    const outgoing = request(new URL(url ?? '/', this.target), { method, headers });
    if (isFeed) this.#keep(incoming.socket, { onEnd: () => outgoing.destroy() });
    outgoing.on('error', (error) => {
      if (isFeed) this.#countRefused(error);
      if (response.headersSent) incoming.socket.destroy();
      else response.writeHead(502).end();
    });
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('error', () => incoming.socket.destroy());
      answer.pipe(response);
    });
    incoming.pipe(outgoing);
  }

  async #upgrade(incoming: IncomingMessage, socket: Duplex) {
    await this.#wait();
    const { hostname, port } = new URL(this.target);
    const server = connect(Number(port), hostname);
    const silence = () => void server.unpipe().pause().removeAllListeners('close');
    this.#keep(socket, { silence, onEnd: () => server.destroy() });
    const lines = incoming.rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`));
    server.write(`GET ${incoming.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
    server.on('error', (error) => this.#countRefused(error)).on('close', () => socket.destroy());
    socket.on('error', () => server.destroy());
    server.pipe(socket);
    socket.pipe(server);
  }

  /** Remembers a feed for as long as it is open. */
  #keep(socket: Duplex, { onEnd, silence = () => {} }: { onEnd: () => void; silence?: () => void }) {
    const end = () => {
      this.#feeds.delete(feed);
      socket.destroy();
      onEnd();
    };
    const feed = { end, silence };
    this.#feeds.add(feed);
    socket.once('close', end);
  }

  #countRefused(error: NodeJS.ErrnoException) {
    if (error.code === 'ECONNREFUSED') this.refusedCount += 1;
  }

  #wait(): Promise<void> | void {
    const held = this.#held;
    if (held) return new Promise((resolve) => held.push(resolve));
  }
}

/** A network for all tests of a file. Each begins with no feed open, and none held back. */
export function useNetwork(findTarget: () => string): Network {
  const network = new Network();
  beforeAll(() => network.start());
  beforeEach(() => network.reset(findTarget()));
  afterAll(() => network.stop());
  return network;
}
