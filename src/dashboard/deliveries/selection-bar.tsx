import { Button, Group, Text } from '@mantine/core';
import { IconBan, IconRefresh, IconX } from '@tabler/icons-react';
import type { BulkAction } from './bulk-change.ts';

export interface SelectionBarProps {
  /** Null: all that match. */
  count: number | null;
  /** All rows that are loaded are selected, and there are more. */
  canTakeAll: boolean;
  onTakeAll: () => void;
  onClear: () => void;
  onAct: (action: BulkAction) => void;
}

/** What can be done with the rows that are selected. */
export function SelectionBar({ count, canTakeAll, onTakeAll, onClear, onAct }: SelectionBarProps) {
  return (
    <Group px="sm" py={6} gap="xs" bg="var(--posthorn-active)" role="region" aria-label="Selection">
      <Text size="sm" fw={600}>
        {count === null ? 'All that match' : `${count.toLocaleString('en')} selected`}
      </Text>
      {canTakeAll && (
        <Button size="compact-sm" variant="default" onClick={onTakeAll}>
          Select all that match
        </Button>
      )}
      <Button size="compact-sm" leftSection={<IconRefresh size={14} />} onClick={() => onAct('retry')}>
        Retry
      </Button>
      <Button size="compact-sm" variant="default" leftSection={<IconBan size={14} />} onClick={() => onAct('cancel')}>
        Cancel deliveries
      </Button>
      <Button size="compact-sm" variant="default" leftSection={<IconX size={14} />} onClick={onClear}>
        Clear
      </Button>
    </Group>
  );
}
