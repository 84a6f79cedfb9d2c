import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { OUTPUT_BYTES_MAX, SocketFlow } from '../../src/http/socket-flow.ts';

/** A WebSocket whose output is taken when a test says so. */
class SlowSocket extends EventEmitter {
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readyState = 1;
  bufferedAmount = 0;
  isPaused = false;
  closedWith: number | null = null;
  readonly #taken: (() => void)[] = [];

  send(message: Buffer, _: object, done: () => void) {
    this.bufferedAmount += message.length;
    this.#taken.push(() => {
      this.bufferedAmount -= message.length;
      done();
    });
  }

  /** The system takes the oldest message. */
  take() {
    this.#taken.shift()?.();
  }

  pause() {
    this.isPaused = true;
  }

  resume() {
    this.isPaused = false;
  }

  close(code: number) {
    this.closedWith = code;
    this.readyState = 2;
  }
}

describe('a WebSocket whose client is slow', () => {
  let socket: SlowSocket;
  let flow: SocketFlow;
  beforeEach(() => {
    socket = new SlowSocket();
    flow = new SocketFlow(socket as unknown as WebSocket, new EventEmitter() as unknown as Socket);
  });
  const send = (bytes: number) => void flow.send(Buffer.alloc(bytes));

  it('is not read from while more than 64 KiB wait for it, and is read from again afterwards', () => {
    send(1_000);
    expect(socket.isPaused).toBe(false);
    send(65_536);
    expect(socket.isPaused).toBe(true);
    socket.take();
    expect(socket.isPaused).toBe(false);
    socket.take();
    expect(socket.bufferedAmount).toBe(0);
  });

  it('is closed with 1013 if more waits than it may', () => {
    for (let n = 0; n < 16; n += 1) send(OUTPUT_BYTES_MAX / 15);
    expect(socket.closedWith).toBeNull();
    for (let n = 0; n < 2; n += 1) send(OUTPUT_BYTES_MAX / 15);
    expect(socket.closedWith).toBe(1013);
  });

  it('is not closed for one large message, alone or with small ones after it', () => {
    send(4 * OUTPUT_BYTES_MAX);
    for (let n = 0; n < 100; n += 1) send(100);
    expect(socket.closedWith).toBeNull();
    for (let n = 0; n < 101; n += 1) socket.take();
    // Afterwards, the large one does not count any more.
    for (let n = 0; n < 3; n += 1) send(OUTPUT_BYTES_MAX / 1.5);
    expect(socket.closedWith).toBeNull();
    send(OUTPUT_BYTES_MAX / 1.5);
    expect(socket.closedWith).toBe(1013);
  });
});
