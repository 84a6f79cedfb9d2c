import { connect, createServer, type Server, type Socket } from 'node:net';

/** Types of messages that make Postgres execute a statement: simple query and Execute. */
const QUERY = 0x51;
const EXECUTE = 0x45;

export interface StatementLineOptions {
  /** Where Postgres is. */
  databaseUrl: string;
  /** Number of the statement, over all connections and from 1 on, at which `onReached` is called. `null`: never. */
  stopAt: number | null;
  /** Whether Postgres still gets that statement. Its answer is never delivered. */
  isDelivered: boolean;
  /** Called once. Nothing passes from then on. */
  onReached: () => void;
}

/** A line between a process and Postgres that counts statements, and stops at one of them. */
export class StatementLine {
  readonly #options: StatementLineOptions;
  readonly #sockets = new Set<Socket>();
  #server!: Server;
  #hasStopped = false;
  /** Statements that the process has sent. */
  count = 0;

  constructor(options: StatementLineOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#server = createServer((client) => this.#serve(client)).listen(0, '127.0.0.1');
    await new Promise((resolve) => this.#server.once('listening', resolve));
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** The database's URL, over this line. */
  get url(): string {
    const port = String((this.#server.address() as { port: number }).port);
    return Object.assign(new URL(this.#options.databaseUrl), { port }).href;
  }

  #serve(client: Socket) {
    const { port, hostname } = new URL(this.#options.databaseUrl);
    const server = connect(Number(port), hostname);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    let rest: Buffer = Buffer.alloc(0);
    let isStarted = false;
    client.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        // The first message has no type.
        const start = isStarted ? 1 : 0;
        if (rest.length < start + 4) return;
        const length = start + rest.readUInt32BE(start);
        if (rest.length < length) return;
        this.#pass(rest.subarray(0, length), isStarted, server);
        rest = rest.subarray(length);
        isStarted = true;
      }
    });
    server.on('data', (chunk: Buffer) => {
      if (!this.#hasStopped) client.write(chunk);
    });
  }

  #pass(message: Buffer, isTyped: boolean, server: Socket) {
    const { stopAt, isDelivered, onReached } = this.#options;
    const isStatement = isTyped && (message[0] === QUERY || message[0] === EXECUTE);
    if (isStatement && !this.#hasStopped) {
      this.count += 1;
      if (this.count === stopAt) {
        this.#hasStopped = true;
        if (isDelivered) server.write(message);
        // A Sync lets Postgres execute what it was sent.
        if (isDelivered && message[0] === EXECUTE) server.write(Buffer.from([0x53, 0, 0, 0, 4]));
        onReached();
        return;
      }
    }
    if (!this.#hasStopped) server.write(message);
  }
}
