import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request as an endpoint saw it. */
export interface Seen {
  /** Null: no whole answer of HTTP. */
  status: number | null;
}

/** How an endpoint takes a request. */
interface Behaviour {
  /** What it is created with, besides its URL. */
  input?: Record<string, unknown>;
  /** Whether deliveries to it may end as dead letters. */
  mayFail?: boolean;
  /** @returns the status answered; null: the answer was no HTTP, or none */
  answer: (
    request: { body: string; earlier: number },
    response: ServerResponse,
  ) => Promise<number | null> | number | null;
}

const end = (response: ServerResponse, status: number): number => {
  response.writeHead(status).end('ok');
  return status;
};

const QUICK_RETRIES = { maxRetries: 10, delaysSeconds: [1], jitter: 0 };
/** Where nothing but retries that fail would be left, the endpoint would be backed off from, and rest for longer each time. */
const NO_RETRIES = { ...QUICK_RETRIES, maxRetries: 0 };
/** One event in so many fails at first. */
const FLAKY_ABOUT = 3;
/** One event in so many is refused for good by the picky one. */
const PICKY_ABOUT = 5;
/** One event in so many is answered badly. */
const BAD_ABOUT = 4;
const SLOW_MS_MAX = 200;

const GOOD: Record<string, Behaviour> = {
  good: { answer: (_, response) => end(response, 200) },
  slow: {
    answer: async (_, response) => {
      await sleep(Math.random() * SLOW_MS_MAX);
      return end(response, 200);
    },
  },
  /** Fails one event in some the first time. */
  flaky: {
    input: { retryPolicy: QUICK_RETRIES },
    answer: ({ body, earlier }, response) =>
      end(response, earlier === 0 && JSON.parse(body).number % FLAKY_ABOUT === 0 ? 500 : 200),
  },
  picky: {
    mayFail: true,
    input: { retryPolicy: NO_RETRIES },
    answer: ({ body }, response) => end(response, JSON.parse(body).number % PICKY_ABOUT === 0 ? 500 : 200),
  },
  /** Has a lane of its own. */
  limited: { input: { rateLimitPerSecond: 500 }, answer: (_, response) => end(response, 200) },
};

const BAD_INPUT = { retryPolicy: NO_RETRIES, timeoutMs: 300 };

/** Breaks HTTP for one event in some, or its lane would take minutes: one attempt at a time while all fail. */
const bad = (misbehave: (response: ServerResponse) => number | null): Behaviour => ({
  mayFail: true,
  input: BAD_INPUT,
  answer: ({ body }, response) =>
    JSON.parse(body).number % BAD_ABOUT === 0 ? misbehave(response) : end(response, 200),
});

/** Writes to the socket itself, and hangs up. @returns the status that counts */
const hangUpAfter = (text: string, status: number | null) =>
  bad((response) => {
    response.socket?.end(text);
    return status;
  });

/** Each in its own way. A response that begins with a 2xx is a success, whatever comes of its body. */
const BAD: Record<string, Behaviour> = {
  resets: bad((response) => {
    response.socket?.resetAndDestroy();
    return null;
  }),
  stalls: bad(() => null),
  'promises-more': hangUpAfter('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nshort', 200),
  'sends-more': hangUpAfter('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and garbage behind it\r\n\r\n', 200),
  garbage: hangUpAfter('\u0000\u0001 this is no HTTP \r\n\r\n', null),
  'ends-in-headers': hangUpAfter('HTTP/1.1 200 OK\r\nx-half: ', null),
};

/** Name of the endpoint that receives operational events. */
export const OPERATOR = 'operator';

/** A real HTTP server with endpoints of all kinds, which notes every request by endpoint and `webhook-id`. */
export class Endpoints {
  readonly behaviours: Record<string, Behaviour>;
  /** By `NAME webhook-id`. */
  readonly seen = new Map<string, Seen[]>();
  /** Are told of requests, for faults that strike at a certain point of an attempt. */
  readonly watchers = new Set<(name: string, moment: 'received' | 'answered') => void>();
  #server!: Server;

  constructor({ withBad }: { withBad: boolean }) {
    this.behaviours = withBad ? { ...GOOD, ...BAD } : GOOD;
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => void this.#take(request, response)).listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  url(name: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${name}`;
  }

  async #take(request: IncomingMessage, response: ServerResponse) {
    const name = request.url?.slice(1) ?? '';
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      // A sender that was killed half way has sent nothing.
      return;
    }
    const key = `${name} ${request.headers['webhook-id']}`;
    const list = this.seen.get(key) ?? [];
    this.seen.set(key, list);
    const seen: Seen = { status: null };
    const earlier = list.length;
    list.push(seen);
    this.#tell(name, 'received');
    const body = Buffer.concat(chunks).toString();
    const { answer } = this.behaviours[name === OPERATOR ? 'good' : name] as Behaviour;
    seen.status = await answer({ body, earlier }, response);
    this.#tell(name, 'answered');
  }

  #tell(name: string, moment: 'received' | 'answered') {
    for (const watcher of this.watchers) watcher(name, moment);
  }
}
