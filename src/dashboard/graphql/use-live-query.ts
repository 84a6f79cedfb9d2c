import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useThrottledCallback } from '@mantine/hooks';
import { useState } from 'react';
import type { AnyVariables } from 'urql';
import { useFollow } from '../live/follow.ts';
import { useSteadyQuery } from './use-steady-query.ts';

/** However much happens, a page reads no more often. */
const READ_MS = 400;

export interface LiveQueryOptions<Data, Variables, FeedVariables> {
  query: TypedDocumentNode<Data, Variables>;
  variables: Variables;
  /** Tells when to read anew. */
  feed: TypedDocumentNode<object, FeedVariables & { after?: string | null }>;
  feedVariables: FeedVariables;
}

/**
 * A query that is read anew whenever a feed tells of something. The feed begins where the first answer was read, so nothing
 * in between is missed. A component that uses it is about one thing: it has a key of its own for each.
 */
export function useLiveQuery<
  Data extends { liveCursor: string },
  Variables extends AnyVariables,
  FeedVariables extends object,
>({ query, variables, feed, feedVariables }: LiveQueryOptions<Data, Variables, FeedVariables>) {
  const { data, error, read } = useSteadyQuery({ query, variables });
  const readSoon = useThrottledCallback(read, READ_MS);
  const [cursor, setCursor] = useState<string | null>(null);
  /** The answer whose cursor is too old: the next one has another. */
  const [expired, setExpired] = useState<Data | undefined>();
  if (cursor === null && data && data !== expired) setCursor(data.liveCursor);
  useFollow(
    feed,
    { ...feedVariables, after: cursor },
    {
      pause: cursor === null,
      onData: readSoon,
      onExpired: () => {
        setExpired(data);
        setCursor(null);
        read();
      },
    },
  );
  return { data, error, read };
}
