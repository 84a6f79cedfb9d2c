import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../log.ts';

/** How often connections are checked for output that nobody reads. */
const CHECK_MS = 1_000;
/** How long output may wait for a connection that takes none of it. */
export const STALLED_MS_MAX = 60_000;
/** Bytes of output that may wait in a process, over all its connections. Beyond, those with the most are closed. */
export const PROCESS_OUTPUT_BYTES_MAX = 268_435_456;

/** Progress of a connection, as far as the last check saw. */
interface Progress {
  bytesTaken: number;
  bytesInChunk: number;
  at: number;
}

/**
 * Bytes of the chunk being written that the system has not taken yet. Node publishes no such figure, but keeps this one for
 * its own timeouts: without it, a slow reader of one large chunk would seem to take nothing. A test reads slowly.
 */
const readBytesInChunk = (socket: Socket): number =>
  (socket as Socket & { _handle?: { writeQueueSize?: number } })._handle?.writeQueueSize ?? 0;

/**
 * Open connections of a server, whatever they carry: requests, streams or WebSockets. Closes those whose output is not
 * read: after {@link STALLED_MS_MAX} without progress, or because too much waits in the process. Costs nothing per message.
 */
export class Connections {
  readonly #sockets = new Set<Socket>();
  readonly #progress = new WeakMap<Socket, Progress>();
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;

  constructor(server: Server, log: Log) {
    this.#log = log;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  start(): void {
    this.#timer = setInterval(() => this.check(), CHECK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Closes every connection at once. */
  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Closes connections whose output is not read. @param now in milliseconds, never going back */
  check(now = performance.now()): void {
    const waiting: Socket[] = [];
    let bytes = 0;
    for (const socket of this.#sockets) {
      if (socket.writableLength === 0) continue;
      if (this.#isStalled(socket, now)) {
        this.#cut(socket, 'stalled');
        continue;
      }
      waiting.push(socket);
      bytes += socket.writableLength;
    }
    if (bytes > PROCESS_OUTPUT_BYTES_MAX) this.#cutLargest(waiting, bytes);
  }

  #isStalled(socket: Socket, now: number): boolean {
    // `bytesWritten` includes waiting bytes.
    const bytesTaken = socket.bytesWritten - socket.writableLength;
    const bytesInChunk = readBytesInChunk(socket);
    const before = this.#progress.get(socket);
    const isSame = before?.bytesTaken === bytesTaken && before.bytesInChunk === bytesInChunk;
    if (isSame) return now - before.at > STALLED_MS_MAX;
    this.#progress.set(socket, { bytesTaken, bytesInChunk, at: now });
    return false;
  }

  #cutLargest(waiting: Socket[], bytes: number) {
    let left = bytes;
    for (const socket of waiting.toSorted((a, b) => b.writableLength - a.writableLength)) {
      if (left <= PROCESS_OUTPUT_BYTES_MAX) return;
      left -= socket.writableLength;
      this.#cut(socket, 'too much output waits in this process');
    }
  }

  #cut(socket: Socket, reason: string) {
    this.#log.info({ address: socket.remoteAddress, bytesWaiting: socket.writableLength, reason }, 'connection.cut');
    socket.destroy();
  }
}
