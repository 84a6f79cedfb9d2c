import { HEADER_VALUE_MAX_CHARS } from '../domain/request-headers.ts';
import type { Answer } from './exchange.ts';

/** Shorter ones are words that stand in many answers, and no secrets. */
const HIDDEN_CHARS_MIN = 8;
const HIDDEN = '[hidden]';
/** Longest text that is hidden: a header's value, each character escaped. */
export const HIDDEN_BYTES_MAX = 2 * HEADER_VALUE_MAX_CHARS;

/**
 * An answer without the values of an endpoint's own headers, where it repeats them: they are secrets, and whoever may read
 * deliveries must not find them there. Also without their parts, as the token in `Bearer …`, and as JSON writes them.
 */
export function hideValues(answer: Answer, own: Record<string, string>): Answer {
  const secrets = Object.values(own).flatMap((value) => [value, ...value.split(/\s+/)]);
  const hidden = secrets.filter((secret) => secret.length >= HIDDEN_CHARS_MIN);
  return [...new Set(hidden.flatMap(spellings))].reduce(hideOne, answer);
}

/** As it is, and as JSON writes it: some programs escape slashes too. */
function spellings(secret: string): string[] {
  const escaped = JSON.stringify(secret).slice(1, -1);
  return [secret, escaped, escaped.replaceAll('/', '\\/')];
}

function hideOne({ status, headers, body }: Answer, secret: string): Answer {
  const hide = (text: string) => text.replaceAll(secret, HIDDEN);
  const repeats = Object.entries(headers).filter(([, value]) => String(value).includes(secret));
  const masked = repeats.map(([name, value]) => [name, Array.isArray(value) ? value.map(hide) : hide(String(value))]);
  return {
    status,
    headers: masked.length > 0 ? { ...headers, ...Object.fromEntries(masked) } : headers,
    // Values are ASCII, so bytes can be compared one by one, whatever the body is.
    body: body.includes(secret) ? Buffer.from(hide(body.toString('latin1')), 'latin1') : body,
  };
}
