import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { buildConnector } from 'undici';
import { AttemptError } from './attempt-error.ts';
import { RESPONSE_BYTES_MAX } from './response-limits.ts';

const CONTINUE = Buffer.from('HTTP/1.1 100');
const PROCESSING_LAST_DIGIT = 0x32;

/** Makes connections whose answers are bounded, also in parts that the HTTP parser passes over without a word. */
export const guardAnswers =
  (connect: buildConnector.connector): buildConnector.connector =>
  (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (socket) guard(socket);
      if (socket instanceof TLSSocket) keepAlert(socket);
      // biome-ignore lint/suspicious/noExplicitAny: either of the two, as it came
      (callback as any)(error, socket);
    });

/**
 * A server of TLS 1.3 that refuses a client certificate, or gets none, says so in an alert when the handshake is over for the
 * client. Node reports the alert as an error and then ends the stream, and undici would report that end in its place.
 */
function keepAlert(socket: TLSSocket) {
  let alert: Error | undefined;
  socket.once('error', (error) => {
    alert = error;
  });
  socket.once('end', () => {
    if (alert) socket.destroy(alert);
  });
}

/** A connection has one request at a time, so what is read after one was written is its answer. */
function guard(socket: Socket) {
  const read = socket.read.bind(socket);
  let bytesWritten = 0;
  let answerBytes = 0;
  socket.read = (size?: number): Buffer | null => {
    const chunk: Buffer | null = read(size);
    if (!chunk) return null;
    if (socket.bytesWritten !== bytesWritten) {
      bytesWritten = socket.bytesWritten;
      answerBytes = 0;
      acceptContinue(chunk);
    }
    answerBytes += chunk.length;
    if (answerBytes <= RESPONSE_BYTES_MAX) return chunk;
    socket.destroy(
      new AttemptError(
        'INVALID_RESPONSE',
        `The endpoint sent ${RESPONSE_BYTES_MAX / 1_024} KiB without a whole answer.`,
      ),
    );
    return null;
  };
}

/**
 * RFC 9110 section 15.2: 100 Continue may come though nobody asked for it, and is to be passed over. undici breaks off
 * at it, but passes over 102 Processing, so the one is made the other.
 */
function acceptContinue(chunk: Buffer) {
  if (chunk.subarray(0, CONTINUE.length).equals(CONTINUE)) chunk[CONTINUE.length - 1] = PROCESSING_LAST_DIGIT;
}
