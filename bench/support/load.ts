import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface LoadResult {
  /** Requests a second. */
  rate: number;
  p50Ms: number;
  p99Ms: number;
}

export interface LoadOptions {
  /** Of the server, without a path. */
  url: string;
  key: string;
  connections: number;
  seconds: number;
  /** Body of every request. */
  body: string;
  /** What every answer's body must have in it. */
  expected: string;
}

/**
 * Sends GraphQL requests over keep-alive connections, one at a time on each, for some seconds. On bare sockets, since
 * the load shares the machine with what it measures: a client library takes as long for a request as the server.
 */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { url, connections, seconds } = options;
  const { hostname, port } = new URL(url);
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(hostname, Number(port))));
  const request = makeRequest(options);
  const latencies: number[] = [];
  const start = performance.now();
  const end = start + seconds * 1_000;
  const loop = async (socket: Socket) => {
    const exchange = makeExchange(socket, request);
    while (performance.now() < end) {
      const began = performance.now();
      const answer = await exchange();
      if (!answer.includes(options.expected)) throw new Error(`The server answered ${answer.slice(0, 800)}.`);
      latencies.push(performance.now() - began);
    }
  };
  try {
    await Promise.all(sockets.map(loop));
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  const elapsed = (performance.now() - start) / 1_000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor((latencies.length - 1) * share)] ?? 0;
  return { rate: latencies.length / elapsed, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function open(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

function makeRequest({ url, key, body }: LoadOptions): Buffer {
  const head = [
    'POST /graphql HTTP/1.1',
    `host: ${new URL(url).host}`,
    'content-type: application/json',
    `authorization: Bearer ${key}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

const HEAD_END = '\r\n\r\n';
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;

/** @returns a function that sends the request and resolves with the whole answer, head included */
function makeExchange(socket: Socket, request: Buffer): () => Promise<string> {
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
  return () => {
    pending = Promise.withResolvers();
    socket.write(request);
    return pending.promise;
  };
}
