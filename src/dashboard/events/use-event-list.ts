import { useThrottledCallback } from '@mantine/hooks';
import { useCallback, useRef, useState } from 'react';
import type { CombinedError } from 'urql';
import {
  type EventFilter,
  EventListDocument,
  type EventRowFragment,
  StatsTicksDocument,
} from '../generated/documents.ts';
import { client } from '../graphql/client.ts';
import { useSteadyQuery } from '../graphql/use-steady-query.ts';
import { useFollow } from '../live/follow.ts';

const PAGE_ROWS = 50;
/** The beginning of the list is read again at most so often. */
const READ_MS = 2_000;

/** Older events, behind the first page as it was when they were asked for. */
interface Older {
  key: string;
  rows: EventRowFragment[];
  endCursor: string | null;
  hasNextPage: boolean;
  hasNew: boolean;
}

/**
 * A list of events, page by page. Its beginning is read again while something is published, delivered or fails; from when older
 * ones are shown it stands still, and says that there are new ones.
 */
export function useEventList(filter: EventFilter) {
  const key = JSON.stringify(filter);
  const { data, error, fetching, read } = useSteadyQuery({
    query: EventListDocument,
    variables: { first: PAGE_ROWS, after: null, filter },
    about: key,
  });
  const [held, setHeld] = useState<Older | null>(null);
  const older = held?.key === key ? held : null;
  const [isLoadingMore, setLoadingMore] = useState(false);
  const [moreError, setMoreError] = useState<CombinedError | null>(null);

  const isStill = useRef(false);
  isStill.current = older !== null;
  const readSoon = useThrottledCallback(() => {
    if (isStill.current) setHeld((now) => now && { ...now, hasNew: true });
    else read();
  }, READ_MS);
  useFollow(
    StatsTicksDocument,
    { intervalSeconds: 1 },
    {
      onData: ({ deliveryStats: { stats } }) => {
        if (stats.published + stats.attempts + stats.failed > 0) readSoon();
      },
    },
  );

  const end = older ?? data?.events.pageInfo;
  const first = data?.events.edges.map(({ node }) => node) ?? [];
  const rows = older?.rows ?? first;
  const loadMore = useCallback(async () => {
    setLoadingMore(true);
    setHeld({ key, rows, endCursor: end?.endCursor ?? null, hasNextPage: true, hasNew: older?.hasNew ?? false });
    const variables = { first: PAGE_ROWS, after: end?.endCursor, filter };
    const { data: more, error } = await client.query(EventListDocument, variables).toPromise();
    setLoadingMore(false);
    setMoreError(error ?? null);
    if (!more) return;
    const { edges, pageInfo } = more.events;
    const next = edges.map(({ node }) => node);
    setHeld((now) => (now?.key === key ? { ...now, rows: [...now.rows, ...next], ...pageInfo } : now));
  }, [key, rows, end, older, filter]);
  const reload = useCallback(() => {
    setHeld(null);
    setMoreError(null);
    read();
  }, [read]);
  return {
    ...{ rows, loadMore, reload, isLoadingMore },
    hasNextPage: end?.hasNextPage ?? false,
    hasNew: older?.hasNew ?? false,
    isLoading: fetching && !data,
    error: moreError ?? (data ? null : (error ?? null)),
  };
}
