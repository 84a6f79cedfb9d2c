import { Button, Group, VisuallyHidden } from '@mantine/core';
import { IconArrowUp } from '@tabler/icons-react';
import { ErrorNotice } from '../elements/notices.tsx';
import { NEW_ROWS_MAX, type useDeliveryList } from './use-delivery-list.ts';

/** What is to be said of a list: that it could not be read, and that there are new rows, which come when they are asked for. */
export function ListState({ list }: { list: ReturnType<typeof useDeliveryList> }) {
  const { error, reload, newIds, rows } = list;
  const hasNew = newIds.size > 0 && rows.length > 0;
  return (
    <>
      {error && <ErrorNotice error={error} onRetry={reload} />}
      {/* Read out once, not each time that the number changes. */}
      <VisuallyHidden role="status">{hasNew ? 'There are new deliveries.' : ''}</VisuallyHidden>
      {hasNew && (
        <Group justify="center">
          <Button size="compact-sm" variant="light" leftSection={<IconArrowUp size={14} />} onClick={reload} my={4}>
            {describeNew(newIds.size)}
          </Button>
        </Group>
      )}
    </>
  );
}

function describeNew(count: number): string {
  if (count === 1) return '1 new delivery';
  return `${count.toLocaleString('en')}${count >= NEW_ROWS_MAX ? ' or more' : ''} new deliveries`;
}
