import { Button, Checkbox, Group, Text } from '@mantine/core';
import { IconArrowUp, IconInbox } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { EmptyState, ErrorNotice, Loading, tell, tellFault } from '../elements/notices.tsx';
import { useRowKeys } from '../elements/use-row-keys.ts';
import { type DeliveryFilter, type DeliveryRowFragment, RetryDeliveryDocument } from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { useMay } from '../session/session.tsx';
import type { BulkAction, BulkTarget } from './bulk-change.ts';
import { BulkModal } from './bulk-modal.tsx';
import { DeliveryRow } from './delivery-row.tsx';
import classes from './delivery-table.module.css';
import { NOT_RETRYABLE } from './not-retryable.ts';
import { SelectionBar } from './selection-bar.tsx';
import { useDeliveryList } from './use-delivery-list.ts';

const ROW_PX = 53;
/** So many rows before the end, the next page is asked for. */
const AHEAD_ROWS = 30;

export interface DeliveryTableProps {
  filter: DeliveryFilter;
  /** CSS length. */
  maxHeight: string;
  /** Stands where no delivery fits. */
  empty: ReactNode;
  /** The endpoint is the same for all rows, and not named. @default false */
  isOfEndpoint?: boolean;
}

/** Deliveries that a filter lists, live: rows change in place, new ones are announced, some or all can be changed at once. */
export function DeliveryTable({ filter, maxHeight, empty, isOfEndpoint = false }: DeliveryTableProps) {
  const list = useDeliveryList(filter);
  const { rows, hasNextPage, isLoading, error, loadMore, reload } = list;
  const mayRetry = useMay('DELIVERIES_RETRY');
  const [selected, setSelected] = useState<ReadonlySet<string> | 'all'>(new Set());
  const [bulk, setBulk] = useState<{ action: BulkAction; target: BulkTarget } | null>(null);
  const [, navigate] = useLocation();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (lastShown >= rows.length - AHEAD_ROWS) loadMore();
  }, [lastShown, rows.length, loadMore]);
  const key = JSON.stringify(filter);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a selection is of what its filter listed
  useEffect(() => setSelected(new Set()), [key]);

  const toggle = (id: string) =>
    setSelected((now) => {
      const next = new Set(now === 'all' ? rows.map((row) => row.id) : now);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  const isSelected = (id: string) => selected === 'all' || selected.has(id);
  const count = selected === 'all' ? 0 : selected.size;
  const startBulk = (action: BulkAction) =>
    setBulk({ action, target: selected === 'all' ? { filter } : { ids: [...selected] } });
  const rowAt = (index: number) => rows[index] as DeliveryRowFragment;
  const { active, setActive } = useRowKeys({
    count: rows.length,
    scrollTo: (index) => virtual.scrollToIndex(index),
    onOpen: (index) => navigate(`/deliveries/${rowAt(index).id}`),
    onToggle: (index) => mayRetry && toggle(rowAt(index).id),
    onRetry: (index) => {
      if (!mayRetry || bulk) return;
      if (selected === 'all' || count > 0) startBulk('retry');
      else if (index !== null) void retryRow(rowAt(index));
    },
    onEscape: () => setSelected(new Set()),
  });

  if (error && rows.length === 0) return <ErrorNotice error={error} onRetry={reload} />;
  if (isLoading && rows.length === 0) return <Loading label="Loading deliveries" />;
  const [first, last] = [items[0], items.at(-1)];
  const isAll = selected === 'all' || (rows.length > 0 && count === rows.length);
  return (
    <>
      <NewRows count={list.newIds.size} onShow={reload} />
      {(selected === 'all' || count > 0) && (
        <SelectionBar
          count={selected === 'all' ? null : count}
          canTakeAll={selected !== 'all' && isAll && hasNextPage}
          onTakeAll={() => setSelected('all')}
          onClear={() => setSelected(new Set())}
          onAct={startBulk}
        />
      )}
      {rows.length === 0 ? (
        empty
      ) : (
        <div ref={scroller} className={classes.scroller} style={{ maxHeight }}>
          <table className={classes.table} aria-rowcount={hasNextPage ? -1 : rows.length + 1}>
            <thead>
              <tr>
                {mayRetry && (
                  <th className={classes.select} scope="col">
                    <Checkbox
                      size="xs"
                      aria-label="Select all rows loaded"
                      checked={isAll}
                      indeterminate={!isAll && count > 0}
                      onChange={() => setSelected(isAll ? new Set() : new Set(rows.map(({ id }) => id)))}
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
            <tbody>
              <Spacer height={first?.start ?? 0} />
              {items.map(({ index }) => {
                const row = rowAt(index);
                return (
                  <DeliveryRow
                    key={row.id}
                    row={row}
                    index={index}
                    isActive={index === active}
                    isSelected={isSelected(row.id)}
                    onSelect={mayRetry ? () => toggle(row.id) : null}
                    onOpen={() => {
                      setActive(index);
                      navigate(`/deliveries/${row.id}`);
                    }}
                    isOfEndpoint={isOfEndpoint}
                  />
                );
              })}
              <Spacer height={virtual.getTotalSize() - (last?.end ?? 0)} />
            </tbody>
          </table>
          {isLoading && <Loading label="Loading more deliveries" />}
          {error && <ErrorNotice error={error} onRetry={reload} />}
        </div>
      )}
      {bulk && (
        <BulkModal
          {...bulk}
          onClose={(hasChanged) => {
            setBulk(null);
            if (hasChanged) setSelected(new Set());
          }}
        />
      )}
    </>
  );
}

async function retryRow(row: DeliveryRowFragment) {
  if (row.notRetryableReason) return tellFault(NOT_RETRYABLE[row.notRetryableReason]);
  const result = await perform(RetryDeliveryDocument, { input: { deliveryId: row.id } });
  if (result.ok) tell(`One attempt of ${row.event.type} is queued.`);
  else tellFault(result.message);
}

/** Stands for rows that are not in sight. */
function Spacer({ height }: { height: number }) {
  return height <= 0 ? null : (
    <tr className={classes.spacer} aria-hidden>
      <td style={{ height }} />
    </tr>
  );
}

/** Says that there are new rows, which come when they are asked for. */
function NewRows({ count, onShow }: { count: number; onShow: () => void }) {
  return (
    <Group justify="center" role="status" mih={count > 0 ? 34 : 0}>
      {count > 0 && (
        <Button size="compact-sm" variant="light" leftSection={<IconArrowUp size={14} />} onClick={onShow} my={4}>
          {count === 1 ? '1 new delivery' : `${count.toLocaleString('en')} new deliveries`}
        </Button>
      )}
    </Group>
  );
}

/** For lists of deliveries without a filter. */
export const NoDeliveries = ({ children }: { children: ReactNode }) => (
  <EmptyState icon={IconInbox} title="No deliveries">
    <Text span inherit>
      {children}
    </Text>
  </EmptyState>
);
