import { connect, createServer, type Server, type Socket } from 'node:net';

/** One connection of Posthorn to its database. */
interface Wire {
  client: Socket;
  server: Socket;
  /** Of the startup message. */
  isListener: boolean;
  /** What Postgres says is thrown away from now on, and the connection stays open. */
  isDeaf: boolean;
  /** The answer to a commit that was just sent is to be lost. */
  isDoomed: boolean;
}

/** Name that a connection for signals gives itself, as Postgres' startup message carries it. */
const LISTENER = Buffer.from('application_name\0posthorn-signals\0');
/** The word as `pg` sends it, at the end of a message. */
const COMMIT = Buffer.from('commit\0');
/** Time for a commit to be done before its connection is cut. */
const COMMIT_MS = 30;

/** The line between Posthorn and Postgres: it can be cut, go silent, and lose the answers to commits. */
export class DatabaseLine {
  /** Of Postgres. Null: connections are refused. */
  #port: number | null;
  readonly #wires = new Set<Wire>();
  #server!: Server;
  /** From 0 to 1: how likely the answer to a commit is lost. */
  commitLoss = 0;
  /** Answers to commits that were lost. */
  lostCommits = 0;

  /** @param port of Postgres */
  constructor(port: number) {
    this.#port = port;
  }

  async start(): Promise<void> {
    this.#server = createServer((client) => this.#serve(client)).listen(0, '127.0.0.1');
    await new Promise((resolve) => this.#server.once('listening', resolve));
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const wire of this.#wires) reset(wire);
    await closed;
  }

  /** The same connection string, over this line. */
  over(databaseUrl: string): string {
    const port = String((this.#server.address() as { port: number }).port);
    return Object.assign(new URL(databaseUrl), { port }).href;
  }

  /** Cuts all connections and lets none through. */
  close(): void {
    this.#port = null;
    this.cut(1);
  }

  /** Connections lead to this port from now on. */
  open(port: number): void {
    this.#port = port;
  }

  /** Cuts each connection with this likelihood. @returns how many */
  cut(likelihood: number): number {
    const chosen = [...this.#wires].filter(() => Math.random() < likelihood);
    for (const wire of chosen) reset(wire);
    return chosen.length;
  }

  /** From now on, connections that are there bring nothing of what Postgres says, and are not closed. @returns how many */
  deafen(which: 'listeners' | 'all'): number {
    const chosen = [...this.#wires].filter((wire) => which === 'all' || wire.isListener);
    for (const wire of chosen) wire.isDeaf = true;
    return chosen.length;
  }

  #serve(client: Socket) {
    if (this.#port === null) return void client.resetAndDestroy();
    const server = connect(this.#port, '127.0.0.1');
    const wire: Wire = { client, server, isListener: false, isDeaf: false, isDoomed: false };
    this.#wires.add(wire);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on('error', () => {});
      socket.once('close', () => {
        this.#wires.delete(wire);
        other.destroy();
      });
    }
    client.on('data', (chunk: Buffer) => {
      if (chunk.includes(LISTENER)) wire.isListener = true;
      if (chunk.includes(COMMIT)) this.#maybeDoom(wire);
      server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      if (!wire.isDeaf && !wire.isDoomed) client.write(chunk);
    });
  }

  #maybeDoom(wire: Wire) {
    if (wire.isDoomed || Math.random() >= this.commitLoss) return;
    wire.isDoomed = true;
    this.lostCommits += 1;
    setTimeout(() => reset(wire), COMMIT_MS);
  }
}

function reset({ client, server }: Wire) {
  client.resetAndDestroy();
  server.destroy();
}
