import { Checkbox } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type RefObject, useEffect, useImperativeHandle, useRef } from 'react';
import { Loading } from '../elements/notices.tsx';
import type { DeliveryRowFragment } from '../generated/documents.ts';
import { DeliveryRow } from './delivery-row.tsx';
import classes from './delivery-table.module.css';
import type { useDeliveryList } from './use-delivery-list.ts';
import type { Selection } from './use-selection.ts';

const ROW_PX = 53;
/** So many rows before the end, the next page is asked for. */
const AHEAD_ROWS = 30;
/** Drawn beyond what is in sight. */
const OVERSCAN_ROWS = 12;

export interface RowsHandle {
  scrollTo: (index: number) => void;
}

export interface DeliveryRowsProps {
  list: ReturnType<typeof useDeliveryList>;
  /** CSS length. */
  maxHeight: string;
  isOfEndpoint: boolean;
  /** ID of the row that keys have chosen; null: none. */
  active: string | null;
  /** Null: nothing can be selected. */
  selection: Selection | null;
  handle: RefObject<RowsHandle | null>;
  onOpen: (id: string) => void;
}

/** Rows of deliveries, of which those in sight are drawn. The next page is read when its time has come. */
export function DeliveryRows({ list, maxHeight, isOfEndpoint, active, selection, handle, onOpen }: DeliveryRowsProps) {
  const { rows, hasNextPage, isLoading, loadMore } = list;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN_ROWS,
  });
  useImperativeHandle(handle, () => ({ scrollTo: (index) => virtual.scrollToIndex(index) }), [virtual]);
  const items = virtual.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (lastShown >= rows.length - AHEAD_ROWS) loadMore();
  }, [lastShown, rows.length, loadMore]);
  return (
    <div ref={scroller} className={classes.scroller} style={{ maxHeight }}>
      <table className={classes.table} aria-rowcount={hasNextPage ? -1 : rows.length + 1}>
        <Head selection={selection} isOfEndpoint={isOfEndpoint} />
        <tbody>
          <Spacer height={items[0]?.start ?? 0} />
          {items.map(({ index }) => {
            const row = rows[index] as DeliveryRowFragment;
            return (
              <DeliveryRow
                key={row.id}
                {...{ row, index, isOfEndpoint }}
                isActive={row.id === active}
                isSelected={selection?.has(row.id) ?? false}
                onSelect={selection && (() => selection.toggle(row.id))}
                onOpen={() => onOpen(row.id)}
              />
            );
          })}
          <Spacer height={virtual.getTotalSize() - (items.at(-1)?.end ?? 0)} />
        </tbody>
      </table>
      {isLoading && <Loading label="Loading more deliveries" />}
    </div>
  );
}

function Head({ selection, isOfEndpoint }: Pick<DeliveryRowsProps, 'selection' | 'isOfEndpoint'>) {
  return (
    <thead>
      <tr>
        {selection && (
          <th className={classes.select} scope="col">
            <Checkbox
              size="xs"
              aria-label="Select all rows loaded"
              checked={selection.areRows}
              indeterminate={selection.isAny && !selection.areRows}
              onChange={selection.toggleRows}
            />
          </th>
        )}
        <th className={classes.status} scope="col">
          Status
        </th>
        <th scope="col">{isOfEndpoint ? 'Event' : 'Event and endpoint'}</th>
        <th className={classes.attempts} scope="col">
          Attempts
        </th>
        <th className={classes.response} scope="col">
          Last answer
        </th>
        <th className={classes.next} scope="col">
          Next attempt
        </th>
        <th className={classes.time} scope="col">
          Made
        </th>
      </tr>
    </thead>
  );
}

/** Stands for rows that are not in sight. */
function Spacer({ height }: { height: number }) {
  return height <= 0 ? null : (
    <tr className={classes.spacer} aria-hidden>
      <td style={{ height }} />
    </tr>
  );
}
