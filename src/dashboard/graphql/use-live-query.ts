import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useThrottledCallback } from '@mantine/hooks';
import { useRef } from 'react';
import { useQuery } from 'urql';
import { useFollow } from '../live/follow.ts';

/** However much happens, a page reads no more often. */
const READ_MS = 400;

export interface LiveQueryOptions<Data, Variables, FeedVariables> {
  query: TypedDocumentNode<Data, Variables>;
  variables: Variables;
  /** Tells when to read anew. */
  feed: TypedDocumentNode<object, FeedVariables & { after?: string | null }>;
  feedVariables: FeedVariables;
}

/** A query that is read anew whenever a feed tells of something. The feed goes on where the query has read: nothing is missed. */
export function useLiveQuery<
  Data extends { liveCursor: string },
  Variables extends object,
  FeedVariables extends object,
>({ query, variables, feed, feedVariables }: LiveQueryOptions<Data, Variables, FeedVariables>) {
  const [result, read] = useQuery({ query, variables });
  const readSoon = useThrottledCallback(() => read({ requestPolicy: 'network-only' }), READ_MS);
  const isRead = result.data !== undefined && !result.stale;
  const cursor = useFirstCursor(result.data?.liveCursor, isRead, JSON.stringify(variables));
  useFollow(
    feed,
    { ...feedVariables, after: cursor },
    { pause: cursor === null, onData: readSoon, onExpired: readSoon },
  );
  return { ...result, read: readSoon };
}

/** The cursor that was read first: from there on the feed has its own. */
function useFirstCursor(cursor: string | undefined, isRead: boolean, key: string): string | null {
  const first = useRef<{ key: string; cursor: string } | null>(null);
  if (isRead && cursor !== undefined && first.current?.key !== key) first.current = { key, cursor };
  return first.current?.key === key ? first.current.cursor : null;
}
