import { useCallback, useEffect, useReducer, useRef } from 'react';
import type { CombinedError } from 'urql';
import {
  type DeliveryFilter,
  DeliveryListChangesDocument,
  DeliveryListDocument,
  type DeliveryListQuery,
  type DeliveryRowFragment,
} from '../generated/documents.ts';
import { client } from '../graphql/client.ts';
import { useFollow } from '../live/follow.ts';
import { fits } from './delivery-filter.ts';

const PAGE_ROWS = 100;
/** New deliveries are counted so far; more stand as “or more”. */
export const NEW_ROWS_MAX = 1_000;

interface ListState {
  /** As it was read: nothing moves while it is looked at. */
  rows: DeliveryRowFragment[];
  /** Deliveries that fit by now and are not among the rows. */
  newIds: ReadonlySet<string>;
  /** What was told while a page was on its way, which may have been read before. */
  toldMeanwhile: ReadonlyMap<string, DeliveryRowFragment>;
  endCursor: string | null;
  hasNextPage: boolean;
  /** Where the feed goes on; null: nothing was read yet. */
  cursor: string | null;
  isLoading: boolean;
  error: CombinedError | null;
}

const EMPTY: ListState = {
  ...{
    rows: [],
    newIds: new Set(),
    toldMeanwhile: new Map(),
    endCursor: null,
    hasNextPage: false,
    cursor: null,
    isLoading: true,
    error: null,
  },
};

type Action =
  | { type: 'began' }
  | { type: 'emptied' }
  | { type: 'read'; data: DeliveryListQuery; isFirst: boolean }
  | { type: 'failed'; error: CombinedError }
  | { type: 'changed'; deliveries: DeliveryRowFragment[]; filter: DeliveryFilter };

function reduce(state: ListState, action: Action): ListState {
  switch (action.type) {
    case 'began':
      return { ...state, isLoading: true, error: null, toldMeanwhile: new Map() };
    case 'emptied':
      return EMPTY;
    case 'failed':
      return { ...state, isLoading: false, error: action.error };
    case 'read':
      return applyPage(state, action);
    case 'changed':
      return applyChanges(state, action);
  }
}

function applyPage(state: ListState, { data, isFirst }: { data: DeliveryListQuery; isFirst: boolean }): ListState {
  const { edges, pageInfo } = data.deliveries;
  const read = edges.map(({ node }) => newer(node, state.toldMeanwhile.get(node.id)));
  return {
    rows: isFirst ? read : [...state.rows, ...read],
    newIds: isFirst ? new Set() : state.newIds,
    toldMeanwhile: new Map(),
    endCursor: pageInfo.endCursor,
    hasNextPage: pageInfo.hasNextPage,
    cursor: isFirst ? data.liveCursor : state.cursor,
    isLoading: false,
    error: null,
  };
}

const newer = (read: DeliveryRowFragment, told: DeliveryRowFragment | undefined) =>
  told && told.updatedAt > read.updatedAt ? told : read;

/** Rows change in place; what is new is only counted. */
function applyChanges(state: ListState, { deliveries, filter }: Extract<Action, { type: 'changed' }>): ListState {
  const changed = new Map(deliveries.map((delivery) => [delivery.id, delivery]));
  const toldMeanwhile = state.isLoading ? new Map([...state.toldMeanwhile, ...changed]) : state.toldMeanwhile;
  const rows = state.rows.map((row) => changed.get(row.id) ?? row);
  for (const { id } of state.rows) changed.delete(id);
  return { ...state, rows, toldMeanwhile, newIds: addNew(state, [...changed.values()], filter) };
}

function addNew({ rows, newIds, hasNextPage }: ListState, others: DeliveryRowFragment[], filter: DeliveryFilter) {
  if (newIds.size >= NEW_ROWS_MAX) return newIds;
  const oldest = hasNextPage ? (rows.at(-1)?.createdAt ?? '') : '';
  const next = new Set(newIds);
  for (const delivery of others) {
    if (fits(delivery, filter) && delivery.createdAt >= oldest) next.add(delivery.id);
    else next.delete(delivery.id);
  }
  return next;
}

/** A list of deliveries, page by page, that follows what happens to them. */
export function useDeliveryList(filter: DeliveryFilter) {
  const [state, dispatch] = useReducer(reduce, EMPTY);
  const key = JSON.stringify(filter);
  const latest = useRef(0);

  const load = useCallback(
    async (after: string | null) => {
      latest.current += 1;
      const turn = latest.current;
      dispatch({ type: 'began' });
      const variables = { first: PAGE_ROWS, after, filter: JSON.parse(key) as DeliveryFilter };
      const { data, error } = await client.query(DeliveryListDocument, variables).toPromise();
      // Another filter was chosen meanwhile.
      if (turn !== latest.current) return;
      if (data) dispatch({ type: 'read', data, isFirst: after === null });
      else if (error) dispatch({ type: 'failed', error });
    },
    [key],
  );
  const reload = useCallback(() => load(null), [load]);

  useEffect(() => {
    dispatch({ type: 'emptied' });
    void load(null);
  }, [load]);

  const { endpointId, eventId } = filter;
  useFollow(
    DeliveryListChangesDocument,
    { after: state.cursor, filter: { ...(endpointId && { endpointId }), ...(eventId && { eventId }) } },
    {
      pause: state.cursor === null,
      onData: ({ deliveryChanges }) =>
        dispatch({ type: 'changed', deliveries: deliveryChanges.changes.map(({ delivery }) => delivery), filter }),
      onExpired: reload,
    },
  );

  // Nothing moves where nothing is.
  const isEmpty = state.rows.length === 0 && state.newIds.size > 0 && !state.isLoading;
  useEffect(() => {
    if (isEmpty) void load(null);
  }, [isEmpty, load]);

  const { endCursor, hasNextPage, isLoading, error } = state;
  const loadMore = useCallback(() => {
    if (hasNextPage && !isLoading && !error) void load(endCursor);
  }, [load, hasNextPage, isLoading, error, endCursor]);
  return { ...state, loadMore, reload };
}
