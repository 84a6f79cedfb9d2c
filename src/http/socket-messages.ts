import { JsonLimitError, parseMessageJson } from './request-json.ts';

/** Messages that are accepted before `connection_ack`. */
export const MESSAGES_BEFORE_ACK_MAX = 10;
/** Bytes of a message that carries no operation, such as `ping` with its payload. */
export const CONTROL_MESSAGE_BYTES_MAX = 1_024;
/** Characters of an operation's ID: every message about the operation repeats it. */
export const OPERATION_ID_CHARS_MAX = 128;
/** Bytes of `connection_init`. */
const INIT_BYTES_MAX = 16_384;

/** A message of `graphql-transport-ws` that a client may send. Its payload is checked by graphql-ws. */
export interface ClientMessage {
  type: 'connection_init' | 'ping' | 'pong' | 'subscribe' | 'complete';
  id?: string;
  payload?: unknown;
}

/** Bytes that a message of each type may have; `subscribe` is limited by the size of any message. */
const BYTES_MAX: Record<ClientMessage['type'], number> = {
  connection_init: INIT_BYTES_MAX,
  ping: CONTROL_MESSAGE_BYTES_MAX,
  pong: CONTROL_MESSAGE_BYTES_MAX,
  complete: CONTROL_MESSAGE_BYTES_MAX,
  subscribe: Number.POSITIVE_INFINITY,
};

/**
 * Reads a message of a client.
 *
 * @returns the message, or in words why the protocol does not allow it: the connection is then closed with 4400
 */
export function readClientMessage(data: Buffer): ClientMessage | string {
  const message = parse(data);
  if (message instanceof JsonLimitError) return message.message;
  if (!isObject(message)) return 'Invalid message received';
  const { type, id } = message;
  if (typeof type !== 'string' || !Object.hasOwn(BYTES_MAX, type)) return 'Unexpected message type';
  if (data.length > BYTES_MAX[type as ClientMessage['type']]) return `Too large a message of type ${type}`;
  if (typeof id === 'string' && id.length > OPERATION_ID_CHARS_MAX) {
    return `Operation ID longer than ${OPERATION_ID_CHARS_MAX} characters`;
  }
  return message as unknown as ClientMessage;
}

function parse(data: Buffer): unknown {
  try {
    return parseMessageJson(String(data));
  } catch (error) {
    return error instanceof JsonLimitError ? error : undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
