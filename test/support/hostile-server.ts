import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterAll } from 'vitest';
import { ELSEWHERE_CERTIFICATE, EXPIRED_CERTIFICATE, HOSTILE_KEY } from './hostile-certificates.ts';

/** How often those that drip send something. */
const DRIP_MS = 10;
const BLOCK = Buffer.alloc(65_536, 'x');
const OK = 'HTTP/1.1 200 OK\r\n';
/** The size of a body that nobody should read. */
export const HUGE_BYTES = 200_000_000;
/** 64 MiB of zeros in 64 KiB. */
const GZIP_BOMB = gzipSync(Buffer.alloc(67_108_864));

/** What a server does to a connection. Nothing of it is left when the connection is closed. */
interface Behaviour {
  /** When a connection is there. */
  onConnect?: (socket: Socket) => void;
  /** When a request has come, at least its head. */
  onRequest?: (socket: Socket) => void;
  /** Certificate of a server that speaks TLS. */
  certificate?: string;
}

const reply = (bytes: string | Buffer): Behaviour => ({ onRequest: (socket) => socket.end(bytes) });
const say = (bytes: string | Buffer): Behaviour => ({ onRequest: (socket) => void socket.write(bytes) });

/** Sends a head, then something again and again, as fast as it is taken. */
const floodWith = (head: string, block: string | Buffer): Behaviour => ({
  onRequest: (socket) => {
    socket.write(head);
    const goOn = () => {
      while (!socket.destroyed && socket.write(block));
    };
    socket.on('drain', goOn);
    goOn();
  },
});

/** Sends a text byte by byte, and its last byte for ever. */
const drip = (text: string): Behaviour => ({
  onRequest: (socket) => {
    let sent = 0;
    const timer = setInterval(() => {
      socket.write(text[Math.min(sent, text.length - 1)] as string);
      sent += 1;
    }, DRIP_MS);
    socket.on('close', () => clearInterval(timer));
  },
});

/** Sends a body that is announced to be huge. */
const sendHuge: Behaviour = {
  onRequest: (socket) => {
    let left = HUGE_BYTES;
    socket.write(`${OK}content-length: ${HUGE_BYTES}\r\n\r\n`);
    const goOn = () => {
      for (let hasRoom = true; hasRoom && left > 0 && !socket.destroyed; left -= BLOCK.length) {
        hasRoom = socket.write(BLOCK.subarray(0, left));
      }
    };
    socket.on('drain', goOn);
    goOn();
  },
};

const withBody = (body: string | Buffer, headers = ''): Buffer =>
  Buffer.concat([
    Buffer.from(`${OK}${headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n`, 'latin1'),
    Buffer.from(body),
  ]);

/** Everything that an endpoint may do wrong, by what it does. */
export const BEHAVIOURS = {
  // Connections.
  'hangs up at once': { onConnect: (socket) => socket.destroy() },
  'resets at once': { onConnect: (socket) => socket.resetAndDestroy() },
  'hangs up after the request': { onRequest: (socket) => socket.end() },
  'resets after the request': { onRequest: (socket) => socket.resetAndDestroy() },
  'never answers': {},
  'hangs up in the head': reply(`${OK}x-half: `),
  // TLS.
  'speaks garbage for TLS': { onConnect: (socket) => socket.end('this is no TLS, and goes on for a while\r\n') },
  'speaks plain HTTP': { onConnect: (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n') },
  'hangs up in the handshake': { onConnect: (socket) => socket.once('data', () => socket.end()) },
  'never finishes the handshake': { onConnect: () => {} },
  'has an expired certificate': { certificate: EXPIRED_CERTIFICATE, ...reply(withBody('ok')) },
  'has a certificate of another host': { certificate: ELSEWHERE_CERTIFICATE, ...reply(withBody('ok')) },
  // Heads.
  'drips the head': drip(`${OK}x-slow: x`),
  'sends endless headers': floodWith(OK, 'x-more: and more\r\n'.repeat(1_000)),
  'sends one endless header': floodWith(`${OK}x-more: `, BLOCK),
  'sends an endless status line': floodWith('HTTP/1.1 200 ', BLOCK),
  'sends empty lines for ever': floodWith('', Buffer.alloc(65_536, '\r\n')),
  'sends 17 KiB of headers': say(`${OK}x-long: ${'x'.repeat(17_408)}\r\n\r\n`),
  'sends 2,000 headers': say(`${OK}${'x: y\r\n'.repeat(2_000)}content-length: 2\r\n\r\nok`),
  'greets as a mail server': say('220 mail.example.com ESMTP\r\n'),
  'greets as SSH': say('SSH-2.0-OpenSSH_9.9\r\n'),
  'sends random bytes': say(Buffer.from(Array.from({ length: 512 }, (_, index) => (index * 167 + 13) % 256))),
  'answers as HTTP/0.9': reply('<html>hello</html>'),
  'answers as HTTP/2': say(Buffer.from('0000120400000000000003000000640004000000', 'hex')),
  'answers with status 000': say('HTTP/1.1 000 Nothing\r\ncontent-length: 0\r\n\r\n'),
  'answers with status 999': reply('HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n'),
  'answers with status 20': say('HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n'),
  'answers with status 2000': say('HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n'),
  'sends a header without a colon': say(`${OK}no colon here\r\n\r\n`),
  'sends NUL in a header': say(`${OK}x-own: a\0b\r\ncontent-length: 0\r\n\r\n`),
  'sends two lengths': say(`${OK}content-length: 2\r\ncontent-length: 5\r\n\r\nhello`),
  'sends a length and chunks': say(
    `${OK}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  ),
  'sends a negative length': say(`${OK}content-length: -1\r\n\r\n`),
  'sends a length past all numbers': say(`${OK}content-length: ${'9'.repeat(40)}\r\n\r\n`),
  // Answers before the answer.
  'sends 103 for ever': floodWith('', 'HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n'.repeat(100)),
  'sends 20 early hints': say(`${'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(20)}${withBody('ok')}`),
  'sends 100 Continue unasked': say(`HTTP/1.1 100 Continue\r\n\r\n${withBody('ok')}`),
  'sends 100 Continue twice': say(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${withBody('ok')}`),
  'changes the protocol': say('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'),
  // Headers that are allowed.
  'sends odd headers': say(
    withBody(
      'ok',
      'x-latin: caf\xe9 \x80\xff\r\nx-twice: 1\r\nX-Twice: 2\r\n__proto__: odd\r\n__proto__: again\r\nconstructor: odd\r\nx-empty:\r\nx-tab: a\tb\r\n',
    ),
  ),
  'asks to be kept': say(withBody('ok', 'connection: keep-alive\r\nkeep-alive: timeout=600\r\n')),
  'redirects to metadata': say(
    'HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n\r\n',
  ),
  // Bodies.
  'drips the body': drip(`${OK}\r\n.`),
  'stalls in the body': say(`${OK}content-length: 100\r\n\r\nso far`),
  'sends a body for ever': floodWith(`${OK}\r\n`, BLOCK),
  'sends chunks for ever': floodWith(`${OK}transfer-encoding: chunked\r\n\r\n`, '1\r\nx\r\n'.repeat(1_000)),
  'sends an endless chunk extension': floodWith(`${OK}transfer-encoding: chunked\r\n\r\n5;`, BLOCK),
  'sends endless trailers': floodWith(
    `${OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`,
    'x-more: yes\r\n'.repeat(1_000),
  ),
  'sends 200 MB': sendHuge,
  'sends a gzip bomb': say(withBody(GZIP_BOMB, 'content-encoding: gzip\r\n')),
  'sends a body that is no UTF-8': say(withBody(Buffer.from([0x61, 0xff, 0xfe, 0x00, 0xc3, 0x28, 0x62]))),
  'breaks off a chunk': reply(`${OK}transfer-encoding: chunked\r\n\r\na\r\nso far`),
  'sends a chunk of no length': say(`${OK}transfer-encoding: chunked\r\n\r\n6\r\nso far\r\nxyz\r\n`),
  'sends less than announced': reply(`${OK}content-length: 100\r\n\r\nso far`),
  'sends more than announced': say(`${OK}content-length: 6\r\n\r\nso far and further\r\n`),
  'sends a second answer unasked': say(
    `${OK}content-length: 6\r\n\r\nso far${OK}content-length: 6\r\nx-for: the next one\r\n\r\nsmuggl`,
  ),
  'sends a body with 204': say('HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok'),
} satisfies Record<string, Behaviour>;

export type BehaviourName = keyof typeof BEHAVIOURS;

export interface HostileTarget {
  /** With `https` where that is what the behaviour is about. */
  url: string;
  /** Connections that were made. */
  made: () => number;
  /** Connections that are open. */
  open: () => number;
  /** Bytes that were given to connections, and taken or not. */
  bytesSent: () => number;
}

/** Servers that do everything wrong, each behaviour on a port of its own, on loopback only. */
export class HostileServers {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  /** @param scheme @default https where the behaviour has a certificate */
  async listen(name: BehaviourName, scheme?: 'http' | 'https'): Promise<HostileTarget> {
    const behaviour: Behaviour = BEHAVIOURS[name];
    const open = new Set<Socket>();
    const counts = { made: 0, bytes: 0 };
    const accept = (socket: Socket) => {
      counts.made += 1;
      open.add(socket);
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        counts.bytes += socket.bytesWritten;
        open.delete(socket);
        this.#sockets.delete(socket);
      });
      behaviour.onConnect?.(socket);
      if (behaviour.onConnect) socket.resume();
      else awaitRequest(socket, () => behaviour.onRequest?.(socket));
    };
    const { certificate: cert } = behaviour;
    const server = cert ? createTlsServer({ cert, key: HOSTILE_KEY }, accept) : createServer(accept);
    // A client that does not like the certificate hangs up.
    server.on('tlsClientError', () => {});
    this.#servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return {
      url: `${scheme ?? (cert ? 'https' : 'http')}://127.0.0.1:${(server.address() as AddressInfo).port}/in`,
      made: () => counts.made,
      open: () => open.size,
      bytesSent: () => counts.bytes + [...open].reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
    };
  }

  async stop(): Promise<void> {
    const closed = this.#servers.splice(0).map((server) => {
      const over = once(server, 'close');
      server.close();
      return over;
    });
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }
}

/** Calls back once for each request that comes, when its head is there. What comes of its body is dropped. */
function awaitRequest(socket: Socket, onRequest: () => void) {
  let head = '';
  socket.on('data', (chunk) => {
    head += chunk.toString('latin1');
    if (!head.includes('\r\n\r\n')) return;
    // A request that is on its way in pieces is one: the next one begins with its method.
    const isNew = /^(POST|PUT|PATCH) /.test(head);
    head = '';
    if (isNew) onRequest();
  });
}

/** Hostile servers for all tests of a file. */
export function useHostileServers(): HostileServers {
  const servers = new HostileServers();
  afterAll(() => servers.stop());
  return servers;
}
