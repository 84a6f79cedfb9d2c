import { RequestError } from '../errors.ts';

/** What a text of a filter must be: Postgres knows no NUL. */
export const FILTER_TEXT_RULE = 'must be Unicode text without NUL characters.';

/** Whether texts of a filter can be looked for; those left out can. */
export function areFilterTexts(texts: readonly string[] | string | null | undefined): boolean {
  const all = typeof texts === 'string' ? [texts] : (texts ?? []);
  return all.every((text) => !text.includes('\0') && text.isWellFormed());
}

/**
 * Checks the texts of a filter.
 *
 * @param name of the argument, for the message
 * @throws {RequestError} BAD_USER_INPUT
 */
export function checkFilterTexts(name: string, texts: readonly string[] | string | null | undefined): void {
  if (!areFilterTexts(texts)) throw new RequestError('BAD_USER_INPUT', `${name} ${FILTER_TEXT_RULE}`);
}
