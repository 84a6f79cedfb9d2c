import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { afterEach } from 'vitest';
import { WebSocket } from 'ws';
import type { Transport } from './following.ts';
import { ROOT_KEY } from './posthorn.ts';

export interface Change {
  status: string;
  previousStatus: string | null;
  changedAt: string;
  delivery?: { id: string };
}

export interface FeedResult {
  data?: { deliveryChanges: { cursor: string; changes: Change[] } } | null;
  errors?: { message: string; extensions: { code: string } }[];
}

/** How a connection ended: a close code, a status of HTTP, `complete`, or `cut` where nothing was said. */
export type FeedEnd = number | 'complete' | 'cut';

export interface ConnectOptions {
  /** Without a path. */
  url: string;
  key: string | null;
  query: string;
  variables?: Record<string, unknown>;
  headers?: Record<string, string>;
  onResult: (result: FeedResult) => void;
  /** Is called once. Nothing is told afterwards. */
  onEnd: (end: FeedEnd) => void;
}

/** A feed over a socket that tests hold in their hands. */
export interface Connection {
  /** Stops to read from the socket, as a client that is too slow. */
  pause(): void;
  resume(): void;
  /** Ends the socket without a word. */
  cut(): void;
}

/** Opens a WebSocket with one subscription. */
export function openWebsocketFeed(options: ConnectOptions): Connection {
  const { url, key, query, variables, headers, onResult } = options;
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers });
  const end = once(options.onEnd);
  const send = (message: object) => socket.send(JSON.stringify(message));
  socket.on('open', () =>
    send({ type: 'connection_init', payload: key === null ? {} : { authorization: `Bearer ${key}` } }),
  );
  socket.on('message', (data) => {
    if (end.isDone()) return;
    const { type, payload } = JSON.parse(String(data));
    if (type === 'connection_ack') send({ id: '1', type: 'subscribe', payload: { query, variables } });
    if (type === 'next') onResult(payload);
    if (type === 'error') onResult({ errors: payload });
    if (type === 'complete' || type === 'error') {
      end('complete');
      socket.close();
    }
  });
  socket.on('error', () => {});
  socket.on('close', (code) => end(code === 1006 ? 'cut' : code));
  return {
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    cut: () => {
      end('cut');
      socket.terminate();
    },
  };
}

/** Opens a stream of server-sent events. */
export function openSseFeed(options: ConnectOptions): Connection {
  const { url, key, query, variables, headers, onResult } = options;
  const end = once(options.onEnd);
  let response: IncomingMessage | null = null;
  const request: ClientRequest = httpRequest(`${url}/graphql`, {
    method: 'POST',
    agent: false,
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    },
  });
  request.on('response', (opened) => {
    response = opened;
    const isStream = opened.headers['content-type']?.includes('text/event-stream') === true;
    const read = isStream ? readEvents(end, onResult) : readWhole(end, onResult);
    const decoder = new StringDecoder('utf8');
    opened.on('data', (chunk: Buffer) => !end.isDone() && read(decoder.write(chunk)));
    opened.on('error', () => {});
    opened.on('close', () => end(isStream ? 'cut' : (opened.statusCode ?? 'cut')));
  });
  request.on('error', () => {});
  request.on('close', () => end('cut'));
  const body = JSON.stringify({ query, variables });
  request.setHeader('content-length', Buffer.byteLength(body));
  request.end(body);
  return {
    pause: () => response?.socket.pause(),
    resume: () => response?.socket.resume(),
    cut: () => {
      end('cut');
      request.destroy();
    },
  };
}

export const openFeed = (transport: Transport, options: ConnectOptions): Connection =>
  transport === 'SSE' ? openSseFeed(options) : openWebsocketFeed(options);

type End = ReturnType<typeof once>;

function once(onEnd: (end: FeedEnd) => void) {
  let isDone = false;
  const end = (reason: FeedEnd) => {
    if (isDone) return;
    isDone = true;
    onEnd(reason);
  };
  return Object.assign(end, { isDone: () => isDone });
}

/** Reads events as the HTML standard's section "Server-sent events" has them, as far as they came whole. */
function readEvents(end: End, onResult: ConnectOptions['onResult']): (text: string) => void {
  let rest = '';
  return (text) => {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      if (end.isDone()) return;
      const event = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (event === 'complete') end('complete');
      else if (event === 'next' && data) onResult(JSON.parse(data));
    }
  };
}

/** An answer that is no stream is one result. */
function readWhole(end: End, onResult: ConnectOptions['onResult']): (text: string) => void {
  let whole = '';
  return (text) => {
    whole += text;
    const result = tryParse(whole);
    if (result && !end.isDone()) onResult(result);
  };
}

function tryParse(text: string): FeedResult | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const CHANGES = 'status previousStatus changedAt delivery { id }';

export interface FollowerOptions {
  transport: Transport;
  /** Where to connect next, without a path. */
  nextUrl: () => string;
  /** @default the operator's key */
  key?: string;
  filter?: Record<string, unknown>;
  /** Cursor to begin behind. */
  after: string;
  /** What to select of a change. @default its status, the one before, its time and its delivery */
  fields?: string;
  /** After how many batches it cuts itself off. @default never */
  batchesUntilCut?: () => number;
  /** Is told each change, in place of keeping it. */
  onChange?: (change: Change) => void;
}

/** A client that is cut off and goes on behind the last cursor it got, again and again. */
export class Follower {
  readonly options: FollowerOptions;
  /** What it was told, one line a change. */
  readonly lines: string[] = [];
  /** Results with errors: of batches, or of a subscription that was refused. */
  readonly errors: { result: FeedResult; isFirst: boolean }[] = [];
  readonly ends: FeedEnd[] = [];
  connects = 0;
  cursor: string;
  connection!: Connection;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FollowerOptions) {
    this.options = options;
    this.cursor = options.after;
    this.#connect();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.connection.cut();
  }

  #connect() {
    const { transport, nextUrl, key = ROOT_KEY, filter, fields = CHANGES, batchesUntilCut } = this.options;
    this.connects += 1;
    let isFirst = true;
    let batchesLeft = batchesUntilCut?.() ?? Number.POSITIVE_INFINITY;
    const connection = openFeed(transport, {
      url: nextUrl(),
      key,
      query: `subscription ($filter: DeliveryChangeFilter, $after: String) {
        deliveryChanges(filter: $filter, after: $after) { cursor changes { ${fields} } } }`,
      variables: { filter, after: this.cursor },
      onResult: (result) => {
        this.#take(result, isFirst);
        isFirst = false;
        batchesLeft -= 1;
        if (batchesLeft === 0 || result.errors) connection.cut();
      },
      onEnd: (end) => {
        this.ends.push(end);
        // As clients do: not at once, and not all together.
        if (!this.#isStopped) this.#timer = setTimeout(() => this.#connect(), 5 + Math.random() * 40);
      },
    });
    this.connection = connection;
  }

  #take(result: FeedResult, isFirst: boolean) {
    const batch = result.data?.deliveryChanges;
    if (result.errors || !batch) {
      this.errors.push({ result, isFirst });
      return;
    }
    const onChange = this.options.onChange ?? ((change: Change) => this.lines.push(toLine(change)));
    for (const change of batch.changes) onChange(change);
    this.cursor = batch.cursor;
  }
}

const toLine = ({ delivery, previousStatus, status, changedAt }: Change): string =>
  `${delivery?.id ?? ''} ${previousStatus ?? 'new'} ${status} ${changedAt}`;

/** Followers for the tests of a file: those that a test left are stopped when it ends. */
export function useFollowers(): (options: FollowerOptions) => Follower {
  const followers: Follower[] = [];
  afterEach(() => {
    for (const follower of followers.splice(0)) follower.stop();
  });
  return (options) => {
    const follower = new Follower(options);
    followers.push(follower);
    return follower;
  };
}

export interface CuttingProxyOptions {
  /** Where connections lead, without a path. */
  target: string;
  /** After how many bytes to the client a connection is cut, wherever in a message that is. */
  bytesUntilCut: () => number;
}

/** A line that breaks: it cuts each connection off after some bytes. */
export class CuttingProxy {
  readonly #options: CuttingProxyOptions;
  readonly #sockets = new Set<Socket>();
  #server!: Server;
  cuts = 0;

  constructor(options: CuttingProxyOptions) {
    this.#options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
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

  #serve(client: Socket) {
    const { hostname, port } = new URL(this.#options.target);
    const server = connectTcp(Number(port), hostname);
    let bytesLeft = this.#options.bytesUntilCut();
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
    client.pipe(server);
    server.on('data', (chunk) => {
      client.write(chunk.subarray(0, bytesLeft));
      bytesLeft -= chunk.length;
      if (bytesLeft > 0) return;
      this.cuts += 1;
      // What was written goes out first: the client gets a part of a message.
      client.end(() => client.destroy());
      server.destroy();
    });
  }
}
