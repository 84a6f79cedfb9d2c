import type { IncomingMessage, ServerResponse } from 'node:http';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import type { ExecutionArgs, ExecutionResult } from 'graphql';
import { createYoga, isAsyncIterable, mapAsyncIterator, type Plugin } from 'graphql-yoga';
import type { Caller } from '../access/caller.ts';
import { RequestError } from '../errors.ts';
import { Answer, RESOLVED_FIELDS_MAX } from '../graphql/answer.ts';
import { checkInputs } from '../graphql/check-inputs.ts';
import type { Context, Services } from '../graphql/context.ts';
import { CostLimitError, checkSubscriptionSize } from '../graphql/cost-limit.ts';
import { EventContents } from '../graphql/event-content.ts';
import { makeEventSummaryLoader } from '../graphql/event-summary.ts';
import { schema } from '../graphql/schema.ts';
import { subscribe } from '../graphql/subscribe.ts';
import { GRAPHIQL_POLICY } from './answer-headers.ts';
import { makeCorsPolicy } from './cors.ts';
import { readCredentials } from './credentials.ts';
import { streamResults } from './event-stream.ts';
import type { Gate } from './gate.ts';
import { limitOperations, makeDocumentCache, type OperationLimits, runInTime } from './operation-limits.ts';
import { headersOf } from './page-origin.ts';
import { refusePersistedQueries } from './persisted-queries.ts';
import { presentErrors, toGraphqlError } from './present-errors.ts';
import type { RepeatedLines } from './repeated-lines.ts';
import type { Sessions } from './sessions.ts';

export const GRAPHQL_PATH = '/graphql';

/**
 * Bytes of a request that subscribes: as many as its document and variables can have when every character is escaped, and some
 * more. Extensions and white space count here.
 */
export const SUBSCRIPTION_REQUEST_BYTES_MAX = 131_072;

const makeSizeError = (bytes: number) =>
  new CostLimitError('subscriptionRequest', bytes, SUBSCRIPTION_REQUEST_BYTES_MAX);

/** What the server knows of a request before GraphQL begins. */
export interface ServerContext {
  requestId: string;
  /** Bytes of the request's body, of its URL for GET, or of the message of a WebSocket: a subscription keeps them. */
  requestBytes: number;
  /** Set once the key was checked. */
  caller?: Caller;
  /** Cursor behind which a stream of server-sent events goes on. */
  lastEventId?: string | null;
}

const GRAPHIQL = {
  title: 'Posthorn',
  // No default headers: a placeholder for a key would replace the session of a page that is signed in.
  defaultQuery: `# Signed in to the dashboard in this browser? Then operations run with your session.
# Otherwise enter an API key in the tab "Headers" below: { "authorization": "Bearer <key>" }

query LatestDeliveries {
  deliveries(first: 10) {
    edges {
      node {
        id
        status
        attemptCount
        event { type payload }
        endpoint { name url }
        lastAttempt { responseStatus durationMs error { code message } }
      }
    }
  }
}

subscription Follow {
  deliveryChanges {
    cursor
    changes { previousStatus status delivery { id } }
  }
}
`,
};

export interface GraphqlHandlerOptions {
  services: Services;
  sessions: Sessions;
  gate: Gate;
  lines: RepeatedLines;
  limits: OperationLimits;
  /** Origins whose pages may ask, or `*` for any. */
  corsOrigins: string[];
}

/** What Node has of a request. */
interface NodeRequest {
  req: IncomingMessage;
  res: ServerResponse;
}

export type GraphqlHandler = ReturnType<typeof makeGraphqlHandler>;

/** Yoga with Posthorn's schema, authentication and errors. */
export function makeGraphqlHandler({ services, sessions, gate, lines, limits, corsOrigins }: GraphqlHandlerOptions) {
  return createYoga<ServerContext & Partial<NodeRequest>, Context>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    landingPage: false,
    // Without introspection it would know nothing.
    graphiql: limits.introspection ? GRAPHIQL : false,
    // Brings GraphiQL along, so that the page loads nothing from elsewhere.
    renderGraphiQL,
    logging: false,
    // No operation takes files.
    multipart: false,
    cors: makeCorsPolicy(corsOrigins),
    // Errors are presented below, in one place for HTTP, SSE and WebSocket.
    maskedErrors: false,
    // The server has refused what is too large; here it would cost a copy of every body.
    maxRequestBodySize: false,
    parserAndValidationCache: { documentCache: makeDocumentCache(), errorCache: makeDocumentCache() },
    context: (server) => makeContext(services, server),
    plugins: [
      authenticate(gate),
      refusePersistedQueries,
      limitOperations(limits),
      share(sessions, limits),
      present({ sessions, lines }),
      secureGraphiql,
    ],
  });
}

/** @param server with its caller: operations of unknown callers end before */
export function makeContext(services: Services, server: ServerContext): Context {
  const { requestId, caller, lastEventId = null } = server;
  if (!caller) throw new Error('An operation reached its context without a caller.');
  const answer = new Answer(Math.max(RESOLVED_FIELDS_MAX, services.complexityMax));
  const eventSummary = makeEventSummaryLoader(services.deliveries.pool, caller.endpointId);
  return {
    services,
    caller,
    requestId,
    now: new Date(),
    lastEventId,
    makeFresh: (as = caller) => makeContext(services, { ...server, caller: as }),
    answer,
    eventContents: new EventContents({ services, caller }, answer),
    loaders: { eventSummary, pages: new Map(), endpointStats: new Map() },
  };
}

/** Checks the key before the body is even read: without one, nothing can be found out, and little be asked of the server. */
function authenticate(gate: Gate): Plugin<object, ServerContext & NodeRequest> {
  return {
    onRequestParse: async ({ serverContext }) => {
      const { req, res } = serverContext;
      serverContext.caller = await gate.admit(readCredentials(headersOf(req.headers)), req, res);
      const lastEventId = req.headers['last-event-id'];
      serverContext.lastEventId = typeof lastEventId === 'string' ? lastEventId : null;
    },
  };
}

/** A page of code may do more than other answers. */
const secureGraphiql: Plugin = {
  onResponse: ({ response }) => {
    if (response.headers.get('content-type')?.startsWith('text/html')) {
      response.headers.set('content-security-policy', GRAPHIQL_POLICY);
    }
  },
};

/** Subscriptions over WebSocket and SSE alike: counted by key, and sharing the work of those that ask the same. */
function share(sessions: Sessions, { operationTimeoutMs, introspection }: OperationLimits): Plugin {
  const subscribeCounted = async (args: ExecutionArgs) => {
    let release = () => {};
    try {
      checkSubscriptionSize(args.document, args.variableValues);
      const { caller, requestBytes } = args.contextValue as Context & ServerContext;
      if (requestBytes > SUBSCRIPTION_REQUEST_BYTES_MAX) throw makeSizeError(requestBytes);
      checkInputs(args);
      release = sessions.addSubscription(caller, requestBytes);
      const result = await runInTime({
        timeoutMs: operationTimeoutMs,
        run: () => subscribe({ ...args, hideSuggestions: !introspection }, release),
      });
      if (!isAsyncIterable(result)) release();
      return result;
    } catch (error) {
      release();
      return { errors: [toGraphqlError(error)] };
    }
  };
  return { onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscribeCounted) };
}

interface PresentOptions {
  sessions: Sessions;
  lines: RepeatedLines;
}

/** The last step before a result is written. */
function present({ sessions, lines }: PresentOptions): Plugin<object, ServerContext> {
  return {
    onResultProcess: ({ request, result, setResult, resultProcessor, setResultProcessor, serverContext }) => {
      const { requestId } = serverContext;
      const presentOne = <T>(one: T, isResponse: boolean): T => {
        const { errors, data } = one as ExecutionResult;
        if (!errors) return one;
        const hasData = Object.values(data ?? {}).some((value) => value !== null);
        const options = { requestId, lines, isResponse, hasData };
        return { ...one, errors: presentErrors(errors.map(toGraphqlError), options) };
      };
      if (Array.isArray(result)) return setResult(result.map((one) => presentOne(one, true)));
      if (!isAsyncIterable(result)) return setResult(presentOne(result, true));
      // The client takes no stream: Yoga answers 406.
      if (!resultProcessor) return void result[Symbol.asyncIterator]().return?.();
      const stream = openStream(result as AsyncIterable<ExecutionResult>, {
        sessions,
        caller: serverContext.caller as Caller,
        signal: request.signal,
        presentOne: (one) => presentOne(one, false),
      });
      if (stream instanceof Response) setResultProcessor(() => stream, EVENT_STREAM);
      else setResult(presentOne(stream, true));
    },
  };
}

const EVENT_STREAM = 'text/event-stream';

interface StreamOptions {
  sessions: Sessions;
  caller: Caller;
  /** Is aborted when the client has gone. */
  signal: AbortSignal;
  presentOne: (result: ExecutionResult) => ExecutionResult;
}

/** @returns the stream; or the error, where the key has too many open */
function openStream(
  results: AsyncIterable<ExecutionResult>,
  { sessions, caller, signal, presentOne }: StreamOptions,
): Response | ExecutionResult {
  const presentError = (error: unknown) => presentOne({ errors: [toGraphqlError(error)] });
  const revoked = () => stream.end(presentError(new RequestError('UNAUTHENTICATED', 'The API key has ended.')));
  let close: () => void;
  try {
    close = sessions.open(caller, revoked);
  } catch (error) {
    void results[Symbol.asyncIterator]().return?.();
    return { errors: [toGraphqlError(error)] };
  }
  const stream = streamResults(mapAsyncIterator(results, presentOne), { presentError, onEnd: close });
  // Yoga neither cancels a stream whose response was closed, nor goes on with one that waits for it to drain.
  signal.addEventListener('abort', stream.abandon, { once: true });
  if (signal.aborted) stream.abandon();
  return stream.response;
}
