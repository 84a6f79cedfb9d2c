import {
  type ASTVisitor,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  getOperationAST,
  type ValidationContext,
  validate,
} from 'graphql';
import { type GraphQLParams, isAsyncIterable, type Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import { RequestError } from '../errors.ts';
import { checkInputs } from '../graphql/check-inputs.ts';
import type { Context } from '../graphql/context.ts';
import { isIntrospecting, isIntrospection, parseWithinLimits } from '../graphql/cost-limit.ts';
import { forgetScopes } from '../graphql/scope-cache.ts';
import { Turnstile } from '../graphql/turnstile.ts';
import { describeLostMutations } from './lost-mutations.ts';
import { toGraphqlError } from './present-errors.ts';
import { JsonLimitError, parseRequestJson } from './request-json.ts';

/** Characters of documents that are kept parsed. */
const KEPT_CHARS_MAX = 4_194_304;
/** A longer document is not kept: it holds values that hardly come again. */
const KEPT_DOCUMENT_CHARS_MAX = 65_536;

/** Keeps what was made of documents, by their text. */
export const makeDocumentCache = <T extends object>() =>
  new LRUCache<string, T>({
    maxSize: KEPT_CHARS_MAX,
    maxEntrySize: KEPT_DOCUMENT_CHARS_MAX,
    sizeCalculation: (_, text) => text.length + 1,
  });

export interface OperationLimits {
  operationTimeoutMs: number;
  /** Whether clients may ask for the schema. */
  introspection: boolean;
}

/** What several operations cost together would have no limit. */
const BATCH_MESSAGE =
  'A request has one operation: batches are not taken. Send each by itself, or select several fields.';

/**
 * Mutations that begin in one turn of the event loop: some milliseconds' work. Where a hundred come at once, the first
 * are with the database while the others are still being executed.
 */
const mutations = new Turnstile(32);
/** Operations about the schema that begin in one turn of the event loop. They wait for nothing, and may take long. */
const introspections = new Turnstile(1);

/** Limits of size before a document is validated, and of time when it is executed. The same for HTTP and WebSocket. */
export function limitOperations({ operationTimeoutMs, introspection }: OperationLimits): Plugin {
  return {
    onRequestParse: ({ request, setRequestParser }) => {
      if (request.method === 'POST') setRequestParser(parseRequest);
      return {
        onRequestParseDone: ({ requestParserResult }) => {
          if (!Array.isArray(requestParserResult)) return;
          throw refuseRequest(BATCH_MESSAGE);
        },
      };
    },
    onParse: ({ setParseFn }) => setParseFn(parseWithinLimits),
    onValidate: ({ addValidationRule, setValidationFn }) => {
      if (introspection) return;
      addValidationRule(RefuseIntrospection);
      setValidationFn((schema, document, rules) => validate(schema, document, rules, { hideSuggestions: true }));
    },
    onExecute: ({ executeFn, setExecuteFn }) =>
      setExecuteFn((args: ExecutionArgs) => {
        const isMutation = getOperationAST(args.document, args.operationName)?.operation === 'mutation';
        return runInTime({
          timeoutMs: operationTimeoutMs,
          isMutation,
          run: async (signal, giveUp): Promise<ExecutionResult> => {
            const context = args.contextValue as Context;
            try {
              context.largeInputs = checkInputs(args);
              context.answer.onExceeded = (error) => giveUp(isMutation ? addAdvice(error) : error);
              if (isIntrospecting(args.document)) await introspections.pass();
              if (isMutation) await mutations.pass();
              const result = await executeFn(Object.assign({}, args, { signal, hideSuggestions: !introspection }));
              return context.answer.complete(isMutation ? describeLostMutations(result) : result);
            } catch (error) {
              if (error instanceof RequestError) return { errors: [toGraphqlError(error)] };
              throw error;
            } finally {
              forgetScopes(context);
            }
          },
        });
      }),
  };
}

/** A mutation is carried out before its answer is found to be too large. */
const addAdvice = (error: Error) =>
  Object.assign(error, { message: `${error.message} The change may be stored: read it before you send it again.` });

/** Reads the body of a request. What is wrong with it is told by errors that become answers with status 400. */
async function parseRequest(request: Request): Promise<GraphQLParams> {
  const params = await readJson(request);
  if (typeof params === 'object' && params !== null) return params;
  throw refuseRequest('The body of the request must be a JSON object with query and variables.');
}

async function readJson(request: Request): Promise<unknown> {
  try {
    return await parseRequestJson(await request.text());
  } catch (error) {
    if (error instanceof JsonLimitError) throw refuseRequest(error.message);
    if (error instanceof SyntaxError) throw refuseRequest('The body of the request is not valid JSON.');
    throw error;
  }
}

const refuseRequest = (message: string) =>
  new GraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status: 400 } } });

function RefuseIntrospection(context: ValidationContext): ASTVisitor {
  const message =
    'Introspection is off here. The schema stands in schema.graphql; POSTHORN_INTROSPECTION=on turns it on.';
  return {
    Field: (node) => {
      if (isIntrospection(node.name.value)) context.reportError(new GraphQLError(message, { nodes: node }));
    },
  };
}

interface Run<T> {
  timeoutMs: number;
  isMutation?: boolean;
  /**
   * @param signal is aborted when the operation is given up: nothing more is to be begun
   * @param giveUp ends the operation with an error
   */
  run: (signal: AbortSignal, giveUp: (error: Error) => void) => Promise<T>;
}

/** @returns the result of the operation; or why it was given up, by itself or once the time is over */
export async function runInTime<T>({ timeoutMs, isMutation, run }: Run<T>): Promise<T | ExecutionResult> {
  const controller = new AbortController();
  const timeUp = Promise.withResolvers<ExecutionResult>();
  const giveUp = (error: Error) => {
    controller.abort(error);
    timeUp.resolve({ errors: [toGraphqlError(error)] });
  };
  const timer = setTimeout(() => giveUp(makeTimeoutError(timeoutMs, isMutation === true)), timeoutMs);
  const result = run(controller.signal, giveUp);
  const dropIfLate = (late: T) => {
    if (controller.signal.aborted && isAsyncIterable(late)) void late[Symbol.asyncIterator]().return?.();
  };
  result.then(dropIfLate, () => {});
  try {
    return await Promise.race([result, timeUp.promise]);
  } catch (error) {
    if (controller.signal.aborted) return timeUp.promise;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function makeTimeoutError(timeoutMs: number, isMutation: boolean): RequestError {
  const advice = isMutation
    ? 'What it was to change may be changed, in whole or in part: look before you send it again.'
    : 'Ask for less at once, or try again later.';
  return new RequestError(
    'OPERATION_TIMEOUT',
    `This operation took longer than ${timeoutMs} ms and was given up. ${advice}`,
  );
}
