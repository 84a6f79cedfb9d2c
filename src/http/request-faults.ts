import type { IncomingMessage } from 'node:http';

/** Largest request. A `publishEvents` with bodies of 16 KiB each fits. */
export const REQUEST_BYTES_MAX = 16_777_216;

/** Why a request is refused before its body is read. */
export interface RequestFault {
  status: number;
  message: string;
}

/** A form of another page can't send JSON, so what it sends in a user's name is refused here. */
const JSON_TYPE = /^application\/json(;|$)/;

/** What is wrong with a request to GraphQL, as far as its headers tell; null: nothing. */
export function findRequestFault({ method, headers }: IncomingMessage): RequestFault | null {
  if (method !== 'POST') return null;
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) {
    return { status: 415, message: 'Send JSON, with content-type: application/json.' };
  }
  const length = headers['content-length'];
  if (length === undefined) return { status: 411, message: 'Send the length of the body in content-length.' };
  if (Number(length) <= REQUEST_BYTES_MAX) return null;
  return { status: 413, message: `The request is larger than ${REQUEST_BYTES_MAX} bytes. Split it.` };
}
