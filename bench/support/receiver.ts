import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ReceiverReport, ReceiverRequest } from './receiving.ts';

/**
 * A receiver of webhooks. How it answers stands in the path: `/ok/…` with 200, `/500/…` with 500, `/never/…` not at
 * all, and `?delayMs=` after so long. Counts requests by path and `webhook-id`. In the body of `/ok/timed/…` it looks
 * for `sentAtMs`. Says its port when it listens, and answers the messages of receiving.ts.
 */

const SENT_AT = /"sentAtMs":([\d.]+)/;

let seen = new Set<string>();
let requests = 0;
let latenciesMs: number[] = [];
/** What came over connections that have closed since. */
let closedKeys: string[] = [];
const keysOfSockets = new WeakMap<Socket, string[]>();

const server = createServer((request, response) => {
  const url = request.url ?? '';
  count(request, url);
  if (url.startsWith('/ok/timed/')) readLatency(request);
  else request.resume();
  request.on('end', () => answer(url, response));
});

function count(request: IncomingMessage, url: string) {
  const key = `${url} ${request.headers['webhook-id']}`;
  seen.add(key);
  requests += 1;
  keysOfSockets.get(request.socket)?.push(key);
}

async function readLatency(request: IncomingMessage) {
  const chunks: Buffer[] = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const sentAtMs = Number(SENT_AT.exec(Buffer.concat(chunks).toString('latin1'))?.[1]);
    if (sentAtMs > 0) latenciesMs.push(performance.timeOrigin + performance.now() - sentAtMs);
  });
}

function answer(url: string, response: ServerResponse) {
  if (url.startsWith('/never/')) return;
  response.statusCode = url.startsWith('/500/') ? 500 : 200;
  const delayMs = Number(/[?&]delayMs=(\d+)/.exec(url)?.[1] ?? 0);
  if (delayMs > 0) setTimeout(() => response.end('ok'), delayMs);
  else response.end('ok');
}

const work: Record<ReceiverRequest['ask'], () => object> = {
  reset: () => {
    seen = new Set();
    requests = 0;
    latenciesMs = [];
    closedKeys = [];
    return {};
  },
  report: (): ReceiverReport => ({ requests, distinct: seen.size, latenciesMs }),
  count: () => ({ distinct: seen.size }),
  takeClosedKeys: () => ({ keys: closedKeys.splice(0) }),
};

server.on('connection', (socket) => {
  const keys: string[] = [];
  keysOfSockets.set(socket, keys);
  socket.once('close', () => closedKeys.push(...keys));
});
process.on('message', ({ ask }: ReceiverRequest) => process.send?.(work[ask]()));
process.on('disconnect', () => process.exit());
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.send?.({ port: (server.address() as AddressInfo).port });
