import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A WebSocket as bare as a client of a benchmark can do with: it shares the machine with what it measures. */
export interface BareWebsocket {
  send(message: object): void;
  close(): Promise<void>;
}

const TEXT = 0x81;
const CLOSE = 0x88;
const PING = 0x89;
const PONG = 0x8a;

/** What is read from any socket comes here first, and is looked at before the next read: nothing is allocated. */
const shared = Buffer.alloc(262_144);

/**
 * Opens a WebSocket of RFC 6455.
 *
 * @param url of the server, without a path
 * @param onMessage gets the bytes of each message, good until it returns
 */
export async function openWebsocket(url: string, onMessage: (message: Buffer) => void): Promise<BareWebsocket> {
  const { hostname, port, host } = new URL(url);
  const opened = Promise.withResolvers<void>();
  let readFrames: ((bytes: Buffer) => void) | null = null;
  const take = (bytes: Buffer) => {
    if (readFrames) return readFrames(bytes);
    if (!bytes.includes('101 Switching Protocols')) return opened.reject(new Error(`The server answered ${bytes}.`));
    readFrames = makeFrameReader(socket, onMessage);
    opened.resolve();
  };
  const callback = (length: number) => {
    take(shared.subarray(0, length));
    return true;
  };
  const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread: { buffer: shared, callback } });
  socket.on('error', opened.reject);
  const head = ['GET /graphql HTTP/1.1', `host: ${host}`, 'connection: upgrade', 'upgrade: websocket'];
  head.push(`sec-websocket-key: ${randomBytes(16).toString('base64')}`, 'sec-websocket-version: 13');
  head.push('sec-websocket-protocol: graphql-transport-ws');
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  await opened.promise;
  return {
    send: (message) => sendFrame(socket, TEXT, Buffer.from(JSON.stringify(message))),
    close: async () => {
      const closed = once(socket, 'close');
      sendFrame(socket, CLOSE, Buffer.alloc(0));
      socket.end();
      await closed;
    },
  };
}

function makeFrameReader(socket: Socket, onMessage: (message: Buffer) => void): (bytes: Buffer) => void {
  /** The beginning of a frame that has not come whole. */
  let rest = Buffer.alloc(0);
  return (read) => {
    let bytes = rest.length > 0 ? Buffer.concat([rest, read]) : read;
    for (let size = sizeOfFrame(bytes); bytes.length >= size; size = sizeOfFrame(bytes)) {
      if (bytes[0] === TEXT) onMessage(bytes.subarray(sizeOfHead(bytes), size));
      if (bytes[0] === PING) sendFrame(socket, PONG, Buffer.from(bytes.subarray(sizeOfHead(bytes), size)));
      bytes = bytes.subarray(size);
    }
    rest = Buffer.from(bytes);
  };
}

/** Length of a frame's head, RFC 6455 section 5.2; a server does not mask. */
function sizeOfHead(bytes: Buffer): number {
  const length = (bytes[1] ?? 0) & 0x7f;
  if (length === 127) return 10;
  return length === 126 ? 4 : 2;
}

/** Length of the frame that begins here; infinite where its head is not there yet. */
function sizeOfFrame(bytes: Buffer): number {
  const head = sizeOfHead(bytes);
  if (bytes.length < head) return Number.POSITIVE_INFINITY;
  if (head === 10) return head + Number(bytes.readBigUInt64BE(2));
  return head + (head === 4 ? bytes.readUInt16BE(2) : (bytes[1] ?? 0) & 0x7f);
}

/** A client masks what it sends: with zeros here, which leave it as it is. */
function sendFrame(socket: Socket, opcode: number, payload: Buffer) {
  // A ping may come between the end of this side and that of the server.
  if (!socket.writable) return;
  const head =
    payload.length < 126
      ? Buffer.from([opcode, 0x80 | payload.length])
      : Buffer.from([opcode, 0x80 | 126, payload.length >> 8, payload.length & 0xff]);
  socket.write(Buffer.concat([head, Buffer.alloc(4), payload]));
}
