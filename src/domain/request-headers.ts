/** RFC 9110 section 5.6.2: a header name is a token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5, without obs-text: visible characters, space and tab, no space at either end. */
const VALUE = /^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/;

export const HEADERS_MAX = 32;
export const HEADER_VALUE_MAX_CHARS = 4_096;

/** Set by Posthorn or by HTTP itself; an endpoint's own headers may not use them. */
const RESERVED = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
]);

/** What is wrong with a header that an endpoint wants sent; null: nothing. */
export function findHeaderFault(name: string, value: unknown): string | null {
  if (!TOKEN.test(name)) return "is no header name: letters, digits and !#$%&'*+-.^_`|~ are allowed.";
  // Many servers hand `_` and `-` on as one and the same, RFC 3875 section 4.1.18.
  const plain = name.toLowerCase().replaceAll('_', '-');
  if (RESERVED.has(plain) || plain.startsWith('webhook-')) return 'is set by Posthorn itself. Choose another name.';
  if (typeof value !== 'string' || value.length > HEADER_VALUE_MAX_CHARS || (value !== '' && !VALUE.test(value))) {
    return `must be a text of visible ASCII characters, ${HEADER_VALUE_MAX_CHARS} at most.`;
  }
  return null;
}
