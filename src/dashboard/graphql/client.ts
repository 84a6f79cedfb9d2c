import { Client, type CombinedError, fetchExchange, mapExchange } from 'urql';
import { IS_EMBEDDED } from '../place.ts';
import { accessHeaders } from '../session/access.ts';

/** Tells that the server no longer knows who asks. */
export const signedOut = new EventTarget();

const isSignedOut = ({ response, graphQLErrors }: CombinedError) =>
  response?.status === 401 || graphQLErrors.some(({ extensions }) => extensions.code === 'UNAUTHENTICATED');

/** Queries and mutations, over HTTP. Nothing is kept: what pages show is read when they open, and goes on live. */
export const client = new Client({
  url: '/graphql',
  preferGetMethod: false,
  requestPolicy: 'network-only',
  // In a frame, a session that this browser may have with Posthorn is none of the page's around it.
  fetchOptions: () => ({ headers: accessHeaders(), credentials: IS_EMBEDDED ? 'omit' : 'same-origin' }),
  exchanges: [
    mapExchange({
      onError: (error) => {
        if (isSignedOut(error)) signedOut.dispatchEvent(new Event('signed-out'));
      },
    }),
    fetchExchange,
  ],
});

/** What went wrong, for people. */
export function describeError({ networkError, graphQLErrors }: CombinedError): string {
  if (graphQLErrors.length > 0) return graphQLErrors.map(({ message }) => message).join(' ');
  return networkError ? "Posthorn can't be reached. It may be restarting, or your connection is down." : 'That failed.';
}
