import { setTimeout as sleep } from 'node:timers/promises';
import { complexityFromQuery } from '@pothos/plugin-complexity';
import {
  createSourceEventStream,
  type ExecutionArgs,
  type ExecutionResult,
  executeSubscriptionEvent,
  GraphQLError,
  Kind,
  type ValidatedSubscriptionArgs,
  validateSubscriptionArgs,
  visit,
} from 'graphql';
import { isAsyncIterable } from 'graphql-yoga';
import { type Caller, shareCaller } from '../access/caller.ts';
import { logFailure } from '../database-outage.ts';
import type { Context } from './context.ts';
import { CostLimitError } from './cost-limit.ts';
import { findOriginal, isUnforeseen } from './original-error.ts';
import { forgetScopes } from './scope-cache.ts';
import { Turnstile } from './turnstile.ts';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;
/** A selection that fails for so long ends its subscription: the client resumes behind what it was told last. */
const GIVE_UP_MS = 60_000;

/** Fields that are resolved for one result of a subscription. */
export const BATCH_FIELDS_MAX = 500_000;

/** Subscribers that are told in one turn of the event loop: some tenths of a millisecond's work. */
const turnstile = new Turnstile(10);

/** What selections made of a source event. Sources give all their subscribers the same object. */
const results = new WeakMap<object, Map<string, Promise<ExecutionResult>>>();
/** Cursors of results, whether or not the client selected them. */
const cursors = new WeakMap<ExecutionResult, string>();

/** Cursor to resume behind a result; null: its subscription can't be resumed. */
export const cursorOf = (result: ExecutionResult): string | null => cursors.get(result) ?? null;

/**
 * Subscribes as graphql-js does, but where subscribers ask the same of the same source event, their selection is
 * executed once. Where it fails for a reason that passes, it is executed again: nothing is skipped.
 *
 * @throws {CostLimitError} where telling one event would cost too much
 * @param onEnd is called when the stream has ended, whoever ended it; may be called more than once
 * @returns the stream, or what is wrong: then `onEnd` is not called
 */
export async function subscribe(
  args: ExecutionArgs,
  onEnd: () => void,
): Promise<AsyncIterable<ExecutionResult> | ExecutionResult> {
  const validated = validateSubscriptionArgs(args);
  if (!('schema' in validated)) return { errors: validated };
  checkComplexity(validated, args.variableValues ?? {});
  const source = await createSourceEventStream(validated);
  if (!isAsyncIterable(source)) return source;
  const { key, caller } = shareCaller((validated.contextValue as Context).caller);
  const selection = describeSelection(validated, key);
  const execute = async (event: unknown) => {
    const result = await executeOnce({ ...validated, rootValue: event }, { selection, caller });
    await turnstile.pass();
    return result;
  };
  return mapEvents(source, { map: execute, onEnd });
}

/** Fields are checked when they are executed, which for a subscription is at each event: too late to refuse it. */
function checkComplexity(args: ValidatedSubscriptionArgs, variables: Record<string, unknown>) {
  const { schema, operation, fragmentDefinitions, contextValue } = args;
  const document = { kind: Kind.DOCUMENT, definitions: [operation, ...Object.values(fragmentDefinitions)] } as const;
  const { complexity } = complexityFromQuery(document, { schema, variables, ctx: contextValue as object });
  const { complexityMax } = (contextValue as Context).services;
  if (complexity > complexityMax) throw new CostLimitError('complexity', complexity, complexityMax);
}

interface MapOptions<T, U extends object> {
  map: (event: T) => Promise<U>;
  onEnd: () => void;
}

/** As graphql-js maps a source stream to a response stream, with fewer steps for every subscriber and event. */
function mapEvents<T, U extends object>(
  source: AsyncIterable<T>,
  { map, onEnd }: MapOptions<T, U>,
): AsyncIterableIterator<U> {
  const iterator = source[Symbol.asyncIterator]();
  let isLast = false;
  const end = async () => {
    onEnd();
    await iterator.return?.();
    return { done: true as const, value: undefined };
  };
  return {
    next: async () => {
      try {
        if (isLast) return await end();
        const { done, value } = await iterator.next();
        if (done) return await end();
        const result = await map(value);
        isLast = lastResults.has(result);
        return { done: false, value: result };
      } catch (error) {
        await end();
        throw error;
      }
    },
    return: end,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Results after which there are no more. */
const lastResults = new WeakSet<object>();

/** A result that tells why its subscription ends. */
function endWith(error: Error): ExecutionResult {
  const result = { errors: [new GraphQLError(error.message, { originalError: error })] };
  lastResults.add(result);
  return result;
}

interface SharedSelection {
  /** What is selected, and for whom. */
  selection: string;
  /** For whom: all that rules may read. */
  caller: Caller;
}

function executeOnce(
  args: ValidatedSubscriptionArgs,
  { selection, caller }: SharedSelection,
): Promise<ExecutionResult> {
  const event = args.rootValue as object;
  let bySelection = results.get(event);
  if (!bySelection) {
    bySelection = new Map();
    results.set(event, bySelection);
  }
  let result = bySelection.get(selection);
  if (!result) {
    result = executeSurely(args, caller);
    bySelection.set(selection, result);
  }
  return result;
}

async function executeSurely(args: ValidatedSubscriptionArgs, caller: Caller): Promise<ExecutionResult> {
  const { makeFresh, services } = args.contextValue as Context;
  const start = performance.now();
  for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
    // Loaders and plugins remember in the context, and a subscription lives long.
    const contextValue = makeFresh(caller);
    const { answer } = contextValue;
    // A batch may have many changes. They are resolved some at a time.
    answer.resolvedFieldsMax = BATCH_FIELDS_MAX;
    const result = await new Promise<ExecutionResult>((resolve, reject) => {
      const controller = new AbortController();
      answer.onExceeded = (exceeded) => {
        resolve(endWith(exceeded));
        controller.abort(exceeded);
      };
      const options = { contextValue, externalAbortSignal: controller.signal };
      Promise.resolve(executeSubscriptionEvent({ ...args, ...options })).then(resolve, reject);
    });
    forgetScopes(contextValue);
    if (answer.exceeded) return result;
    const error = result.errors?.find(isUnforeseen);
    if (!error) {
      const { cursor } = args.rootValue as { cursor?: string };
      if (cursor !== undefined) cursors.set(result, cursor);
      return answer.complete(result);
    }
    if (performance.now() - start > GIVE_UP_MS) throw error;
    logFailure(
      services.log,
      { level: 'warn', error: findOriginal(error) ?? error, retryInMs: waitMs },
      'feed.selection_failed',
    );
    await sleep(waitMs);
  }
}

/**
 * What the result for a source event depends on besides the event: the document, the variables in it, and the caller.
 *
 * @param callerKey equal for callers who may share results
 */
function describeSelection(args: ValidatedSubscriptionArgs, callerKey: string): string {
  const { document, operation, variableValues } = args;
  const used = [...findUsedVariables(args)].toSorted();
  return JSON.stringify([
    document.loc?.source.body ?? document,
    operation.name?.value,
    used.map((name) => [name, variableValues.coerced[name]]),
    callerKey,
  ]);
}

/** Without those in the arguments of the root field: they chose the source already, `after` above all. */
function findUsedVariables({ operation, fragmentDefinitions }: ValidatedSubscriptionArgs): Set<string> {
  const roots = operation.selectionSet.selections.map((selection) =>
    selection.kind === Kind.FIELD ? { ...selection, arguments: [] } : selection,
  );
  const names = new Set<string>();
  for (const node of [...roots, ...Object.values(fragmentDefinitions)]) {
    visit(node, { Variable: ({ name }) => void names.add(name.value) });
  }
  return names;
}
