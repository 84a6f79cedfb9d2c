import type { AttemptPartsFragment } from '../generated/documents.ts';

/** As a POSIX shell takes a text to the letter. */
const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Set by curl itself, or true of one connection alone. */
const LEFT_OUT = new Set(['content-length', 'host', 'connection']);

/** The command that makes the request of an attempt again, with its body and the headers that are known. */
export function makeCurlCommand(attempt: AttemptPartsFragment, body: string): string {
  const { requestMethod, requestUrl, requestHeaders } = attempt;
  const headers = Object.entries(requestHeaders as Record<string, string | null>)
    .filter(([name]) => !LEFT_OUT.has(name.toLowerCase()))
    .map(([name, value]) => `-H ${quote(`${name}: ${value ?? '<hidden: fill in>'}`)}`);
  return [`curl -X ${requestMethod} ${quote(requestUrl)}`, ...headers, `--data-binary ${quote(body)}`].join(' \\\n  ');
}
