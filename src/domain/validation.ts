import { z } from 'zod';
import { InvalidInputError } from '../errors.ts';

/**
 * Checks an input, and gives it as the schema has it.
 *
 * @param path where the input stands in a larger one
 * @throws {InvalidInputError} with every fault
 */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown, path: string[] = []): z.output<T> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new InvalidInputError(
    parsed.error.issues.map((issue) => ({ path: [...path, ...issue.path.map(String)], message: issue.message })),
  );
}

/** Characters of a name. */
export const NAME_MAX_CHARS = 128;

/** Names of things that people make. */
export const NAME_SCHEMA = z
  .string()
  .trim()
  .min(1, 'must have at least one character.')
  .max(NAME_MAX_CHARS, `may have ${NAME_MAX_CHARS} characters at most.`)
  .refine((text) => !text.includes('\0') && text.isWellFormed(), 'must be Unicode text without NUL characters.');
