import { RequestError } from '../errors.ts';

/** What an argument names is not there for the caller. */
export const notFound = (argument: string) =>
  new RequestError('BAD_USER_INPUT', `There is nothing with the ID in ${argument}.`);

/**
 * Refuses to follow what is not there for the caller.
 *
 * @param counting of rows with that ID that the caller may see
 * @param argument for the message
 * @throws {RequestError} BAD_USER_INPUT
 */
export async function requireFound(counting: Promise<number>, argument: string): Promise<void> {
  if ((await counting) === 0) throw notFound(argument);
}
