import { type ExecutionResult, GraphQLError } from 'graphql';
import { isDatabaseUnavailable, isWithoutEffect } from '../database-errors.ts';
import { RequestError, UnknownOutcomeError } from '../errors.ts';
import { findOriginal } from '../graphql/original-error.ts';

const MESSAGE =
  'The connection to the database broke before it answered: the change may be stored or not. Read what it was to change before you send it again.';

/**
 * Says of mutations that lost the database that they may have been stored, unless they surely were not: those may be sent
 * again. An error below a field of the mutation itself comes after the change was stored.
 */
export function describeLostMutations(result: ExecutionResult): ExecutionResult {
  if (!result.errors) return result;
  return { ...result, errors: result.errors.map(describeLostMutation) };
}

function describeLostMutation(error: GraphQLError): GraphQLError {
  const original = findOriginal(error);
  if (original instanceof RequestError || original instanceof UnknownOutcomeError) return error;
  const isBelowMutation = (error.path?.length ?? 0) > 1;
  if (!isDatabaseUnavailable(original) || (isWithoutEffect(original) && !isBelowMutation)) return error;
  const { nodes, source, positions, path } = error;
  const originalError = new UnknownOutcomeError(original, MESSAGE);
  return new GraphQLError(MESSAGE, { nodes, source, positions, path, originalError });
}
