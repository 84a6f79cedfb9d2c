import type { GraphQLParams, Plugin } from 'graphql-yoga';
import { RequestError } from '../errors.ts';

/**
 * Refuses Apollo's automatic persisted queries in the words that its clients understand: they send the query's text again.
 * An operation that has its text is executed. Extensions are dropped, because a subscription would keep them.
 *
 * @see https://www.apollographql.com/docs/apollo-server/performance/apq
 */
export const refusePersistedQueries: Plugin = {
  onParams: ({ params }) => {
    const { query, extensions } = params as GraphQLParams | Record<string, undefined>;
    if (!isObject(extensions)) return;
    if (!query && isObject(extensions.persistedQuery)) {
      throw new RequestError('PERSISTED_QUERY_NOT_SUPPORTED', 'PersistedQueryNotSupported');
    }
    params.extensions = undefined;
  },
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
