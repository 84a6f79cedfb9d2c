import { StartupError } from '../errors.ts';

/**
 * Ends the process with code 1. An error of the set-up is one line on standard error. Anything else is an error of
 * Posthorn, whose stack is needed.
 */
export function exitOnFailure(error: unknown): never {
  const text = error instanceof StartupError ? error.message.replaceAll(/\s*\n\s*/g, ' ') : (error as Error).stack;
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
