import { type ReactNode, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { Loading, tell, tellFault } from '../elements/notices.tsx';
import { useRowKeys } from '../elements/use-row-keys.ts';
import { type DeliveryFilter, type DeliveryRowFragment, RetryDeliveryDocument } from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { useMay } from '../session/session.tsx';
import type { BulkAction, BulkTarget } from './bulk-change.ts';
import { BulkModal } from './bulk-modal.tsx';
import { DeliveryRows, type RowsHandle } from './delivery-rows.tsx';
import { ListState } from './list-state.tsx';
import { NOT_RETRYABLE } from './not-retryable.ts';
import { SelectionBar } from './selection-bar.tsx';
import { useDeliveryList } from './use-delivery-list.ts';
import { useSelection } from './use-selection.ts';

export interface DeliveryTableProps {
  filter: DeliveryFilter;
  /** CSS length. */
  maxHeight: string;
  /** Stands where no delivery fits. */
  empty: ReactNode;
  /** The endpoint is the same for all rows, and not named. @default false */
  isOfEndpoint?: boolean;
}

interface Bulk {
  action: BulkAction;
  target: BulkTarget;
  note: string | null;
}

/** Deliveries that a filter lists, live: rows change in place, new ones are announced, some or all can be changed at once. */
export function DeliveryTable({ filter, maxHeight, empty, isOfEndpoint = false }: DeliveryTableProps) {
  const list = useDeliveryList(filter);
  const { rows } = list;
  const mayRetry = useMay('DELIVERIES_RETRY');
  const selection = useSelection(JSON.stringify(filter), rows);
  const [bulk, setBulk] = useState<Bulk | null>(null);
  const [, navigate] = useLocation();
  const handle = useRef<RowsHandle>(null);
  const retryRow = useRetry();

  const startBulk = (action: BulkAction) =>
    setBulk(
      selection.isAll
        ? { action, target: { filter: freeze(filter, rows) }, note: noteOf(action, filter) }
        : { action, target: { ids: [...selection.ids] }, note: null },
    );
  const { active, setActive } = useRowKeys({
    ids: rows.map(({ id }) => id),
    scrollTo: (index) => handle.current?.scrollTo(index),
    onOpen: (id) => navigate(`/deliveries/${id}`),
    onToggle: (id) => mayRetry && selection.toggle(id),
    onRetry: (id) => {
      const row = rows.find((one) => one.id === id);
      if (mayRetry && selection.isAny) startBulk('retry');
      else if (mayRetry && row) void retryRow(row);
    },
    onEscape: selection.clear,
  });
  return (
    <>
      <ListState list={list} />
      {selection.isAny && (
        <SelectionBar
          count={selection.isAll ? null : selection.ids.size}
          canTakeAll={!selection.isAll && selection.areRows && list.hasNextPage}
          onTakeAll={selection.takeAll}
          onClear={selection.clear}
          onAct={startBulk}
        />
      )}
      {list.isLoading && rows.length === 0 && <Loading label="Loading deliveries" />}
      {!list.isLoading && !list.error && rows.length === 0 && empty}
      {rows.length > 0 && (
        <DeliveryRows
          {...{ list, maxHeight, isOfEndpoint, active, handle }}
          selection={mayRetry ? selection : null}
          onOpen={(id) => {
            setActive(id);
            navigate(`/deliveries/${id}`);
          }}
        />
      )}
      {bulk && (
        <BulkModal
          {...bulk}
          onClose={(hasChanged) => {
            setBulk(null);
            if (hasChanged) selection.clear();
          }}
        />
      )}
    </>
  );
}

/** What is published from now on is not meant. */
function freeze(filter: DeliveryFilter, [newest]: DeliveryRowFragment[]): DeliveryFilter {
  if (!newest) return filter;
  const next = new Date(Date.parse(newest.createdAt) + 1).toISOString();
  const { createdBefore } = filter;
  return { ...filter, createdBefore: createdBefore && createdBefore < next ? createdBefore : next };
}

const noteOf = (action: BulkAction, { statuses }: DeliveryFilter): string | null =>
  action === 'retry' && (!statuses || statuses.includes('DELIVERED'))
    ? 'Those that were delivered already are among them, and are sent again. Filter by status to leave them out.'
    : null;

/** Retries one delivery. Asking for one again that is on its way does nothing. */
function useRetry() {
  const underWay = useRef(new Set<string>());
  return async ({ id, event, notRetryableReason }: DeliveryRowFragment) => {
    if (notRetryableReason) return tellFault(NOT_RETRYABLE[notRetryableReason]);
    if (underWay.current.has(id)) return;
    underWay.current.add(id);
    const result = await perform(RetryDeliveryDocument, { input: { deliveryId: id } });
    underWay.current.delete(id);
    if (result.ok) tell(`One attempt of ${event.type} is queued.`);
    else tellFault(result.message);
  };
}
