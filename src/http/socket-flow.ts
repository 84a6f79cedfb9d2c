import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

/** Bytes of output that wait for a client before nothing more is read from it. */
const PAUSE_BYTES = 65_536;
/** Bytes of output that may wait for one WebSocket, apart from its largest message. Beyond, it is closed with 1013. */
export const OUTPUT_BYTES_MAX = 16_777_216;
/** Messages and control frames that are read from one WebSocket in a second. Further ones wait. */
export const MESSAGES_PER_SECOND_MAX = 2_000;
/** Bytes that are accepted from a client before it has been let in. */
export const BYTES_BEFORE_ACK_MAX = 32_768;
/** Bytes of an unfinished message that are left alone, however slowly it arrives. */
const UNFINISHED_BYTES_MAX = 131_072;

/** Close codes of RFC 6455, section 7.4.1, and of the IANA registry. */
export const POLICY_VIOLATION = 1_008;
export const TOO_BIG = 1_009;
export const TRY_AGAIN_LATER = 1_013;

/**
 * Keeps a client from filling the memory of the process: it is not read from while its output waits or after too many
 * messages in a second, and it is closed if its output exceeds {@link OUTPUT_BYTES_MAX}.
 *
 * It reads, unless at least one of the two reasons holds: `#isOutputWaiting`, `#isTooFast`.
 */
export class SocketFlow {
  readonly #socket: WebSocket;
  readonly #connection: Socket;
  #isOutputWaiting = false;
  /** Bytes of the largest message since output began to wait: one large answer closes no connection. */
  #largestWaiting = 0;
  #isTooFast = false;
  #secondBegan = 0;
  #messages = 0;
  /** Bytes that had been read when the latest message or frame was complete. */
  #bytesAtMessage = 0;

  /** @param connection the connection beneath the WebSocket */
  constructor(socket: WebSocket, connection: Socket) {
    this.#socket = socket;
    this.#connection = connection;
    for (const event of ['message', 'ping', 'pong'] as const) socket.on(event, () => this.#onFrame());
  }

  /** Whether nothing is being read from the client, not even its answers to pings. */
  get isPaused(): boolean {
    return this.#isOutputWaiting || this.#isTooFast;
  }

  /**
   * Sends a message. Never rejects: a client that has left is not a fault.
   *
   * @returns resolves when the system took the message, or the client has left
   */
  send(message: Buffer | string): Promise<void> {
    const socket = this.#socket;
    // Nothing is sent any more, but a feed must not run at full speed until the client agrees to the close.
    if (socket.readyState === socket.CLOSING) return this.#untilClosed();
    if (socket.readyState !== socket.OPEN) return Promise.resolve();
    const waiting = socket.bufferedAmount;
    if (waiting - this.#largestWaiting > OUTPUT_BYTES_MAX) {
      socket.close(TRY_AGAIN_LATER, 'Too much output waits for this client');
      return this.#untilClosed();
    }
    if (waiting + message.length > PAUSE_BYTES) this.#pauseForOutput(message.length);
    return new Promise((resolve) => {
      socket.send(message, { binary: false }, () => {
        if (this.#isOutputWaiting && socket.bufferedAmount <= PAUSE_BYTES) this.#resumeAfterOutput();
        resolve();
      });
    });
  }

  /** Bounds what a client may send until the returned function is called: an unknown client has no need for more. */
  limitUntilAcknowledged(): () => void {
    let bytes = 0;
    const count = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BYTES_BEFORE_ACK_MAX) return;
      release();
      this.#socket.close(TOO_BIG, 'Too much was sent before connection_ack');
      // The rest of what it sends is not even read.
      this.#connection.end();
      this.#socket.pause();
    };
    const release = () => this.#connection.off('data', count);
    // Before ws reads the chunk.
    this.#connection.prependListener('data', count);
    return release;
  }

  /** Whether a large message has begun to arrive, and none was completed since the check that gave `before`. */
  checkUnfinished(before: number): { isUnfinished: boolean; mark: number } {
    const unfinished = this.#connection.bytesRead - this.#bytesAtMessage;
    const isUnfinished = !this.isPaused && unfinished > UNFINISHED_BYTES_MAX && before === this.#bytesAtMessage;
    return { isUnfinished, mark: this.#bytesAtMessage };
  }

  #onFrame() {
    this.#bytesAtMessage = this.#connection.bytesRead;
    const now = performance.now();
    if (now - this.#secondBegan >= 1_000) {
      this.#secondBegan = now;
      this.#messages = 0;
    }
    this.#messages += 1;
    if (this.#messages === MESSAGES_PER_SECOND_MAX) this.#pauseForSpeed(this.#secondBegan + 1_000 - now);
  }

  #pauseForSpeed(ms: number) {
    this.#isTooFast = true;
    this.#socket.pause();
    setTimeout(() => {
      this.#isTooFast = false;
      this.#resumeIfFree();
    }, ms);
  }

  #pauseForOutput(messageBytes: number) {
    this.#largestWaiting = Math.max(this.#largestWaiting, messageBytes);
    if (this.#isOutputWaiting) return;
    this.#isOutputWaiting = true;
    this.#socket.pause();
  }

  #resumeAfterOutput() {
    this.#isOutputWaiting = false;
    this.#largestWaiting = 0;
    this.#resumeIfFree();
  }

  #resumeIfFree() {
    if (!this.isPaused) this.#socket.resume();
  }

  #untilClosed(): Promise<void> {
    return new Promise((resolve) => this.#socket.once('close', () => resolve()));
  }
}
