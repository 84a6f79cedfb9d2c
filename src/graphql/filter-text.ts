import { RequestError } from '../errors.ts';

/**
 * Checks the texts of a filter: Postgres knows no NUL.
 *
 * @param name of the argument, for the message
 * @throws {RequestError} BAD_USER_INPUT
 */
export function checkFilterTexts(name: string, texts: readonly string[] | string | null | undefined): void {
  const all = typeof texts === 'string' ? [texts] : (texts ?? []);
  if (all.every((text) => !text.includes('\0') && text.isWellFormed())) return;
  throw new RequestError('BAD_USER_INPUT', `${name} must be Unicode text without NUL characters.`);
}
