import type { AttemptPartsFragment } from '../generated/documents.ts';

/** As a POSIX shell takes a text to the letter. */
const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Set by curl itself, or true of one connection alone. */
const LEFT_OUT = new Set(['content-length', 'host', 'connection']);

/** Terminals act by these when they are pasted, quoted or not. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

/**
 * The command that makes the request of an attempt again, with its body and the headers that are known: nothing in it is
 * read as a file name, a pattern or a command.
 *
 * @returns null: there are control characters in it, which no command line can hold safely
 */
export function makeCurlCommand(attempt: AttemptPartsFragment, body: string): string | null {
  const { requestMethod, requestUrl, requestHeaders } = attempt;
  const headers = Object.entries(requestHeaders as Record<string, string | null>)
    .filter(([name]) => !LEFT_OUT.has(name.toLowerCase()))
    .map(([name, value]) => `-H ${quote(`${name}: ${value ?? '<hidden: fill in>'}`)}`);
  const parts = [`curl --globoff -X ${requestMethod} ${quote(requestUrl)}`, ...headers, `--data-raw ${quote(body)}`];
  return parts.some((part) => CONTROL.test(part)) ? null : parts.join(' \\\n  ');
}
