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

/** What is wrong with a request to GraphQL, as far as its URL and headers tell; null: nothing. */
export function findRequestFault({ method, url, headers }: IncomingMessage): RequestFault | null {
  if (method === 'GET') return findParameterFault(new URLSearchParams(url?.split('?')[1]));
  if (method !== 'POST') return null;
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) {
    return { status: 415, message: 'Send JSON, with content-type: application/json.' };
  }
  const length = headers['content-length'];
  if (length === undefined) return { status: 411, message: 'Send the length of the body in content-length.' };
  if (Number(length) <= REQUEST_BYTES_MAX) return null;
  return { status: 413, message: `The request is larger than ${REQUEST_BYTES_MAX} bytes. Split it.` };
}

function findParameterFault(parameters: URLSearchParams): RequestFault | null {
  const wrong = ['variables', 'extensions'].find((name) => !isJsonOrEmpty(parameters.get(name)));
  return wrong === undefined
    ? null
    : { status: 400, message: `The parameter ${wrong} is no JSON. Write it as an object.` };
}

function isJsonOrEmpty(text: string | null): boolean {
  if (!text) return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
