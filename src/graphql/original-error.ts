import { GraphQLError } from 'graphql';
import { RequestError } from '../errors.ts';

/** The error at the bottom: what a resolver threw may be wrapped more than once. Undefined: nothing was thrown. */
export function findOriginal(error: GraphQLError): Error | undefined {
  let original: Error | undefined = error.originalError;
  while (original instanceof GraphQLError && original.originalError) original = original.originalError;
  return original;
}

/** Whether an error is neither the caller's nor one that Posthorn raises itself, such as a database that is away. */
export function isUnforeseen(error: GraphQLError): boolean {
  const original = findOriginal(error);
  return original !== undefined && !(original instanceof GraphQLError) && !(original instanceof RequestError);
}
