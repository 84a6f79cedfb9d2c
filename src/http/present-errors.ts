import { GraphQLError } from 'graphql';
import { isDatabaseUnavailable } from '../database-errors.ts';
import { RequestError, ServiceUnavailableError, UnknownOutcomeError } from '../errors.ts';
import { CostLimitError } from '../graphql/cost-limit.ts';
import { findOriginal } from '../graphql/original-error.ts';
import type { RepeatedLines } from './repeated-lines.ts';

interface HttpPart {
  status?: number;
  headers?: Record<string, string>;
  /** The status is for clients that take `application/graphql-response+json`; others get 200. */
  spec?: boolean;
}

const HTTP_BY_CODE: Record<string, HttpPart> = {
  UNAUTHENTICATED: { status: 401, headers: { 'www-authenticate': 'Bearer' } },
  COST_LIMIT_EXCEEDED: { status: 400, spec: true },
  OPERATION_TIMEOUT: { status: 504 },
  // Clients look for this code in an answer that succeeded.
  PERSISTED_QUERY_NOT_SUPPORTED: { status: 200 },
};

/** Errors that an answer has. */
export const ERRORS_MAX = 100;
/** Characters of an error's message. */
export const MESSAGE_CHARS_MAX = 1_000;

/** A variable's value does not fit its type, or the operation is not named rightly: the document itself is fine. */
const INPUT_MESSAGE =
  /^(Variable "\$\w+" (got|has) invalid value|Variable "\$\w+" of .* (was not provided|must not be null)|Could not determine what operation|Must provide operation name|Unknown operation named)/;

export interface PresentOptions {
  requestId: string;
  lines: RepeatedLines;
  /** The errors are those of a response of HTTP, whose status and headers follow from them. */
  isResponse?: boolean;
  /** Some fields of the response have a value. @default false */
  hasData?: boolean;
}

/** What was thrown, as an error of GraphQL with that beneath it. */
export const toGraphqlError = (error: unknown): GraphQLError =>
  error instanceof GraphQLError ? error : new GraphQLError((error as Error).message, { originalError: error as Error });

/**
 * Makes the top-level errors of an operation fit for its caller: each has a code and the request's ID, and what was
 * not foreseen is logged and masked.
 */
export const presentErrors = (errors: readonly GraphQLError[], options: PresentOptions): GraphQLError[] =>
  errors.slice(0, ERRORS_MAX).map((error) => presentError(error, options));

/** A message may show a whole value of the caller's. */
const shorten = (message: string): string =>
  message.length <= MESSAGE_CHARS_MAX ? message : `${message.slice(0, MESSAGE_CHARS_MAX - 1).toWellFormed()}…`;

function presentError(error: GraphQLError, options: PresentOptions): GraphQLError {
  const { requestId, lines, isResponse, hasData = false } = options;
  const { code, message, retryAfterMs } = classify(error);
  if (code === 'INTERNAL_SERVER_ERROR') {
    const original = findOriginal(error);
    const cause = original instanceof UnknownOutcomeError ? (original.cause as Error) : original;
    const message = String(cause?.message);
    const path = error.path?.join('.');
    lines.write('error', message, { requestId, path, error: message, stack: cause?.stack }, 'request.failed');
  }
  return new GraphQLError(shorten(message), {
    nodes: error.nodes,
    source: error.source,
    positions: error.positions,
    path: error.path,
    extensions: {
      code,
      requestId,
      retryAfterMs,
      ...(isResponse && { http: chooseHttp(error, { code, retryAfterMs, hasData }) }),
    },
  });
}

interface Chosen {
  code: string;
  retryAfterMs: number | undefined;
  hasData: boolean;
}

/** A body that is not even JSON is refused with 400, also to clients that ask for 200 with every GraphQL answer. */
function chooseHttp({ extensions, path }: GraphQLError, { code, retryAfterMs, hasData }: Chosen) {
  if (isBadRequest(extensions)) return { status: 400 };
  // A credential that names another tenant. A field that lacks a scope has a path, and is part of an answer.
  if (code === 'FORBIDDEN' && path === undefined) return { status: 403 };
  if (retryAfterMs === undefined) return extensions.http ?? HTTP_BY_CODE[code];
  const headers = { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) };
  if (code === 'SERVICE_UNAVAILABLE') return hasData ? { headers } : { status: 503, headers };
  // Beside a field that was refused, others may have succeeded, so the status stays as it is.
  return path === undefined ? { status: 429, headers } : { headers };
}

const isBadRequest = ({ code, http }: GraphQLError['extensions']) =>
  code === 'BAD_REQUEST' && (http as { status?: number } | undefined)?.status === 400;

function classify(error: GraphQLError): { code: string; message: string; retryAfterMs?: number } {
  const original = findOriginal(error);
  if (original instanceof RequestError) return original;
  if (original instanceof CostLimitError) return { code: 'COST_LIMIT_EXCEEDED', message: original.message };
  if (original instanceof UnknownOutcomeError) return { code: 'INTERNAL_SERVER_ERROR', message: original.message };
  if (isDatabaseUnavailable(original)) return new ServiceUnavailableError(original);
  if (INPUT_MESSAGE.test(error.message.slice(0, MESSAGE_CHARS_MAX)))
    return { code: 'BAD_USER_INPUT', message: error.message };
  // Raised by graphql-js or Yoga about the request itself: nothing was thrown by a resolver.
  if (!original || original instanceof GraphQLError) return { code: codeOfRequestFault(error), message: error.message };
  const message = 'Something went wrong here. Try again, and report the requestId if it stays.';
  return { code: 'INTERNAL_SERVER_ERROR', message };
}

function codeOfRequestFault({ extensions, path }: GraphQLError): string {
  if (extensions.code === 'BAD_REQUEST' || path !== undefined) return 'BAD_USER_INPUT';
  return 'GRAPHQL_VALIDATION_FAILED';
}
