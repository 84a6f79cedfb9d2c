import { MultiSelect, TagsInput, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { useState } from 'react';
import { labelOf, type Status } from './status-badge.tsx';
import type { Filters } from './use-filters.ts';

const TYPING_MS = 350;

export interface FilterFieldProps {
  filters: Filters;
  /** In the address. */
  name: string;
  label: string;
}

/** Some of the statuses there are. */
export function StatusFilter({ filters, statuses }: { filters: Filters; statuses: Status[] }) {
  const chosen = filters.list('status');
  return (
    <MultiSelect
      size="xs"
      label="Status"
      placeholder={chosen.length === 0 ? 'Any' : undefined}
      data={statuses.map((value) => ({ value, label: labelOf(value) }))}
      value={chosen}
      onChange={(values) => filters.setList('status', values)}
      miw={130}
      maw={320}
      clearable
    />
  );
}

/** Texts, any of which may fit. */
export function TextsFilter({ filters, name, label }: FilterFieldProps) {
  const chosen = filters.list(name);
  return (
    <TagsInput
      size="xs"
      label={label}
      placeholder={chosen.length === 0 ? 'Any' : undefined}
      value={chosen}
      onChange={(values) => filters.setList(name, values)}
      miw={130}
      maw={320}
      clearable
    />
  );
}

export interface TextFilterProps extends FilterFieldProps {
  /** @default 130 */
  width?: number;
  inputMode?: 'numeric';
}

/** A text that counts when typing rests. */
export function TextFilter({ filters, name, label, width = 130, inputMode }: TextFilterProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const settle = useDebouncedCallback((value: string) => {
    filters.set(name, value.trim());
    setTyped(null);
  }, TYPING_MS);
  return (
    <TextInput
      size="xs"
      label={label}
      placeholder="Any"
      w={width}
      inputMode={inputMode}
      value={typed ?? filters.params.get(name) ?? ''}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        settle(event.currentTarget.value);
      }}
    />
  );
}
