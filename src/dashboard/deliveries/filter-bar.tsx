import { Button, Group, MultiSelect, Select, TagsInput, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconFilterOff } from '@tabler/icons-react';
import { useState } from 'react';
import { useQuery } from 'urql';
import type { SetSearchParams } from 'wouter';
import { labelOf } from '../elements/status-badge.tsx';
import { TimeField } from '../elements/time-field.tsx';
import { EndpointChoicesDocument } from '../generated/documents.ts';
import { useViewer } from '../session/session.tsx';
import { DELIVERY_STATUSES } from './delivery-filter.ts';

const TYPING_MS = 350;

export interface FilterBarProps {
  params: URLSearchParams;
  setParams: SetSearchParams;
}

/** Filters of deliveries. They stand in the address, so a view can be kept and sent to others. */
export function FilterBar({ params, setParams }: FilterBarProps) {
  const { endpoint: onlyEndpoint } = useViewer();
  const set = (name: string, value: string | null | undefined) =>
    setParams(
      (now) => {
        const next = new URLSearchParams(now);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  const list = (name: string) => params.get(name)?.split(',').filter(Boolean) ?? [];
  return (
    <Group gap="xs" align="flex-end" role="search" aria-label="Filter deliveries">
      <MultiSelect
        size="xs"
        label="Status"
        placeholder={list('status').length === 0 ? 'Any' : undefined}
        data={DELIVERY_STATUSES.map((value) => ({ value, label: labelOf(value) }))}
        value={list('status')}
        onChange={(values) => set('status', values.join(','))}
        miw={130}
        maw={320}
        clearable
      />
      {!onlyEndpoint && <EndpointSelect value={params.get('endpoint')} onChange={(value) => set('endpoint', value)} />}
      <TagsInput
        size="xs"
        label="Event type"
        placeholder={list('type').length === 0 ? 'Any' : undefined}
        value={list('type')}
        onChange={(values) => set('type', values.join(','))}
        miw={130}
        maw={320}
        clearable
      />
      <Typed name="sourceKey" label="Source key" params={params} onSet={set} />
      <Typed name="event" label="Event ID" params={params} onSet={set} />
      <Typed name="response" label="Answer" params={params} onSet={set} width={80} inputMode="numeric" />
      <TimeField size="xs" label="Made after" value={params.get('from')} onChange={(value) => set('from', value)} />
      <TimeField size="xs" label="Made before" value={params.get('to')} onChange={(value) => set('to', value)} />
      {params.size > 0 && (
        <Button size="xs" variant="default" leftSection={<IconFilterOff size={14} />} onClick={() => setParams({})}>
          Clear
        </Button>
      )}
    </Group>
  );
}

interface FieldProps {
  name: string;
  label: string;
  params: URLSearchParams;
  onSet: (name: string, value: string | null) => void;
  /** @default 130 */
  width?: number;
  inputMode?: 'numeric';
}

/** A text that counts when typing rests. */
function Typed({ name, label, params, onSet, width = 130, inputMode }: FieldProps) {
  const shown = params.get(name) ?? '';
  const [typed, setTyped] = useState<string | null>(null);
  const settle = useDebouncedCallback((value: string) => {
    onSet(name, value.trim());
    setTyped(null);
  }, TYPING_MS);
  return (
    <TextInput
      size="xs"
      label={label}
      placeholder="Any"
      w={width}
      inputMode={inputMode}
      value={typed ?? shown}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        settle(event.currentTarget.value);
      }}
    />
  );
}

/** Chooses one endpoint of those there are. */
export function EndpointSelect({
  value,
  onChange,
}: {
  value: string | null;
  onChange: (value: string | null) => void;
}) {
  const [{ data }] = useQuery({ query: EndpointChoicesDocument });
  const choices = data?.endpoints.edges.map(({ node }) => ({ value: node.id, label: node.name })) ?? [];
  // One that was deleted, or stands further down.
  const isMissing = value !== null && value !== '' && !choices.some((choice) => choice.value === value);
  return (
    <Select
      size="xs"
      label="Endpoint"
      placeholder="Any"
      w={170}
      data={isMissing ? [...choices, { value, label: value }] : choices}
      value={value}
      onChange={onChange}
      searchable
      clearable
      nothingFoundMessage="Not among the newest 100"
    />
  );
}
