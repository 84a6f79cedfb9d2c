import type { Dispatcher } from 'undici';
import { AttemptError } from './attempt-error.ts';
import { LOOK_AHEAD_BYTES } from './hide-values.ts';
import { RESPONSE_BODY_BYTES_KEPT } from './response-body.ts';
import { RESPONSE_BODY_BYTES_READ } from './response-limits.ts';
import type { StallClock } from './stall-clock.ts';

export interface Request {
  origin: string;
  /** With its query. */
  path: string;
  method: Dispatcher.HttpMethod;
  headers: Record<string, string>;
  body: Buffer;
  /** From the look-up of the name to the last byte of the response. Time in which this process did nothing is added. */
  timeoutMs: number;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** The part that is kept, followed by at most {@link LOOK_AHEAD_BYTES} more, in which a value to hide may end. */
  body: Buffer;
}

const BODY_BYTES_MAX = RESPONSE_BODY_BYTES_KEPT + LOOK_AHEAD_BYTES;

/** The deadline passed before a status came. */
export class DeadlineError extends Error {
  override readonly name = 'TimeoutError';
}

/**
 * Makes one request. Once the status is there, the response counts: a body that stalls, breaks or never ends takes
 * nothing back.
 *
 * @throws {DeadlineError}
 * @throws what the connection failed with
 */
export const exchange = (
  dispatcher: Dispatcher,
  request: Request,
  stalls: Pick<StallClock, 'stalledMs'> = NO_STALLS,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { timeoutMs, ...options } = request;
    // As `host` and `content-length`, a header of HTTP itself: bodies are kept as they come, for people to read.
    const headers = { ...options.headers, 'accept-encoding': 'identity' };
    dispatcher.dispatch({ ...options, headers }, new Exchange({ timeoutMs, stalls, resolve, reject }));
  });

const NO_STALLS = { stalledMs: 0 };
/** Stalls extend a deadline by at most this. */
const ADDED_MS_MAX = 60_000;

interface ExchangeOptions {
  timeoutMs: number;
  stalls: Pick<StallClock, 'stalledMs'>;
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

/**
 * Takes what undici tells of a request. Its `request()` does not heed a deadline until the connection is there, and
 * makes a stream of each body, which costs as much as the rest of a small response.
 */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions;
  readonly #startedAt = performance.now();
  readonly #stalledBefore: number;
  #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | undefined;
  #head: Omit<Answer, 'body'> | undefined;
  #kept: Buffer[] = [];
  #bytes = 0;
  #isOver = false;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#stalledBefore = options.stalls.stalledMs;
    this.#timer = this.#wait(options.timeoutMs);
  }

  #wait = (ms: number) => setTimeout(() => this.#checkDeadline(), ms);

  /** After a stall, bytes that the endpoint has sent meanwhile are read before this is called again. */
  #checkDeadline() {
    const { timeoutMs, stalls } = this.#options;
    const addedMs = Math.min(stalls.stalledMs - this.#stalledBefore, ADDED_MS_MAX);
    const leftMs = Math.ceil(this.#startedAt + timeoutMs + addedMs - performance.now());
    if (leftMs > 1) this.#timer = this.#wait(leftMs);
    else this.#hangUp(new DeadlineError('The deadline passed.'));
  }

  onRequestStart(controller: Dispatcher.DispatchController) {
    this.#controller = controller;
    if (this.#isOver) controller.abort(new DeadlineError('The deadline passed before the request began.'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Answer['headers']) {
    if (status < 100) {
      this.#hangUp(
        new AttemptError('INVALID_RESPONSE', `The endpoint answered with status ${status}, which HTTP lacks.`),
      );
    }
    // 1xx: the response is still to come, RFC 9110 section 15.2.
    if (status >= 200) this.#head = { status, headers };
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer) {
    if (this.#bytes <= BODY_BYTES_MAX) this.#kept.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > RESPONSE_BODY_BYTES_READ) this.#hangUp(new Error('The body is longer than what is read.'));
  }

  onResponseEnd() {
    this.#end(null);
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error) {
    this.#end(error);
  }

  #hangUp(reason: Error) {
    this.#end(reason);
    this.#controller?.abort(reason);
  }

  #end(error: Error | null) {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    const { resolve, reject } = this.#options;
    if (this.#head) resolve({ ...this.#head, body: this.#joinBody() });
    else reject(error ?? new Error('The response ended before it began.'));
    this.#kept = [];
  }

  #joinBody(): Buffer {
    return Buffer.concat(this.#kept, Math.min(this.#bytes, BODY_BYTES_MAX));
  }
}
