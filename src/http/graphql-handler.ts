import type { IncomingMessage, ServerResponse } from 'node:http';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import type DataLoader from 'dataloader';
import { GraphQLError } from 'graphql';
import { createYoga, isAsyncIterable, mapAsyncIterator, type Plugin } from 'graphql-yoga';
import type { Caller } from '../access/caller.ts';
import type { Context, Services } from '../graphql/context.ts';
import { makeEventSummaryLoader } from '../graphql/event-summary.ts';
import { schema } from '../graphql/schema.ts';
import type { Log } from '../log.ts';
import { readCredentials } from './credentials.ts';
import { presentErrors } from './present-errors.ts';

export const GRAPHQL_PATH = '/graphql';

/** What the server knows of a request before GraphQL begins. */
export interface ServerContext {
  requestId: string;
  /** Set once the key was checked. */
  caller?: Caller;
}

const GRAPHIQL = {
  title: 'Posthorn',
  headers: '{ "authorization": "Bearer PUT-YOUR-KEY-HERE" }',
  defaultQuery: `# Put your API key into Headers, below. Then try:

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
  log: Log;
  /** Serves GraphiQL to browsers. */
  graphiql: boolean;
}

export type GraphqlHandler = ReturnType<typeof makeGraphqlHandler>;

/** Yoga with Posthorn's schema, authentication and errors. */
export function makeGraphqlHandler({ services, log, graphiql }: GraphqlHandlerOptions) {
  return createYoga<ServerContext & { req?: IncomingMessage; res?: ServerResponse }, Context>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    landingPage: false,
    graphiql: graphiql ? GRAPHIQL : false,
    // Brings GraphiQL along, so that the page loads nothing from elsewhere.
    renderGraphiQL,
    logging: false,
    // No operation takes files.
    multipart: false,
    // Keys are sent in headers, never in cookies, so a page of another origin can do nothing in a user's name.
    cors: { origin: '*', credentials: false },
    // Errors are presented below, in one place for HTTP, SSE and WebSocket.
    maskedErrors: false,
    // The server has refused what is too large; here it would cost a copy of every body.
    maxRequestBodySize: false,
    context: (server) => makeContext(services, server),
    plugins: [authenticate(services), present(log)],
  });
}

/** @param server with its caller: operations of unknown callers end before */
export function makeContext(services: Services, { requestId, caller }: ServerContext): Context {
  if (!caller) throw new Error('An operation reached its context without a caller.');
  const eventSummary = makeEventSummaryLoader(services.deliveries.pool);
  return {
    services,
    caller,
    requestId,
    loaders: { eventSummary, pages: new Map<string, DataLoader<string, { id: string }[]>>() },
  };
}

/** Checks the key before the document is even parsed: without one, nothing of the schema can be found out. */
function authenticate(services: Services): Plugin<object, ServerContext> {
  return {
    onParams: async ({ request, context }) => {
      const credentials = readCredentials((name) => request.headers.get(name));
      (context as ServerContext).caller = await services.authenticator.authenticate(credentials);
    },
  };
}

/** The last step before a result is written. */
function present(log: Log): Plugin<object, ServerContext> {
  return {
    onResultProcess: ({ result, setResult, serverContext }) => {
      const options = { requestId: serverContext.requestId, log };
      const presentOne = <T>(one: T): T => {
        const errors = (one as { errors?: GraphQLError[] }).errors;
        return errors ? { ...one, errors: presentErrors(errors.map(toGraphqlError), options) } : one;
      };
      if (Array.isArray(result)) setResult(result.map(presentOne));
      else setResult(isAsyncIterable(result) ? mapAsyncIterator(result, presentOne) : presentOne(result as object));
    },
  };
}

const toGraphqlError = (error: unknown): GraphQLError =>
  error instanceof GraphQLError ? error : new GraphQLError((error as Error).message, { originalError: error as Error });
