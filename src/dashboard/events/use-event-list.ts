import { useThrottledCallback } from '@mantine/hooks';
import { useCallback, useEffect, useRef, useState } from 'react';
import type { CombinedError } from 'urql';
import {
  type EventFilter,
  EventListDocument,
  type EventListQuery,
  type EventRowFragment,
  StatsTicksDocument,
} from '../generated/documents.ts';
import { client } from '../graphql/client.ts';
import { useFollow } from '../live/follow.ts';

const PAGE_ROWS = 50;
/** A list that is at its beginning is read again at most so often. */
const READ_MS = 2_000;

interface Pages {
  rows: EventRowFragment[];
  pageCount: number;
  endCursor: string | null;
  hasNextPage: boolean;
}

const NO_PAGES: Pages = { rows: [], pageCount: 0, endCursor: null, hasNextPage: false };

/** Puts what was read of the beginning in front of what was read further down. */
function mergeFirst(now: Pages, { events: { edges, pageInfo } }: EventListQuery): Pages {
  const first = edges.map(({ node }) => node);
  if (now.pageCount <= 1) return { rows: first, pageCount: 1, ...pageInfo };
  const read = new Set(first.map(({ id }) => id));
  const oldest = first.at(-1)?.id ?? '';
  return { ...now, rows: [...first, ...now.rows.filter(({ id }) => !read.has(id) && id < oldest)] };
}

/** A list of events, page by page; its beginning is read again while something is published, delivered or fails. */
export function useEventList(filter: EventFilter) {
  const [pages, setPages] = useState(NO_PAGES);
  const [isLoading, setLoading] = useState(true);
  const [error, setError] = useState<CombinedError | null>(null);
  const key = JSON.stringify(filter);
  const shownKey = useRef(key);
  shownKey.current = key;

  const load = useCallback(
    async (after: string | null) => {
      const variables = { first: PAGE_ROWS, after, filter: JSON.parse(key) as EventFilter };
      const { data, error } = await client
        .query(EventListDocument, variables, { requestPolicy: 'network-only' })
        .toPromise();
      if (shownKey.current !== key) return;
      setLoading(false);
      setError(error ?? null);
      if (!data) return;
      const { edges, pageInfo } = data.events;
      setPages((now) =>
        after === null
          ? mergeFirst(now, data)
          : { rows: [...now.rows, ...edges.map(({ node }) => node)], pageCount: now.pageCount + 1, ...pageInfo },
      );
    },
    [key],
  );
  useEffect(() => {
    setPages(NO_PAGES);
    setLoading(true);
    void load(null);
  }, [load]);

  const reload = useCallback(() => void load(null), [load]);
  const readSoon = useThrottledCallback(reload, READ_MS);
  useFollow(
    StatsTicksDocument,
    { intervalSeconds: 1 },
    {
      onData: ({ deliveryStats: { stats } }) => {
        if (stats.published + stats.attempts + stats.failed > 0) readSoon();
      },
    },
  );
  const loadMore = useCallback(() => {
    setLoading(true);
    void load(pages.endCursor);
  }, [load, pages.endCursor]);
  return { ...pages, isLoading, error, loadMore, reload };
}
