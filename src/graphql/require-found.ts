import { RequestError } from '../errors.ts';

/**
 * Refuses to follow what is not there for the caller.
 *
 * @param counting of rows with that ID in the caller's environment
 * @param argument for the message
 * @throws {RequestError} BAD_USER_INPUT
 */
export async function requireFound(counting: Promise<number>, argument: string): Promise<void> {
  if ((await counting) === 0) throw new RequestError('BAD_USER_INPUT', `There is nothing with the ID in ${argument}.`);
}
