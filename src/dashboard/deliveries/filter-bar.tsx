import { Button, Group, Select } from '@mantine/core';
import { IconFilterOff } from '@tabler/icons-react';
import { useQuery } from 'urql';
import { StatusFilter, TextFilter, TextsFilter } from '../elements/filter-fields.tsx';
import { TimeField } from '../elements/time-field.tsx';
import type { Filters } from '../elements/use-filters.ts';
import { EndpointChoicesDocument } from '../generated/documents.ts';
import { useViewer } from '../session/session.tsx';
import { DELIVERY_STATUSES } from './delivery-filter.ts';

/** Filters of deliveries. */
export function FilterBar({ filters }: { filters: Filters }) {
  const { endpoint: onlyEndpoint } = useViewer();
  return (
    <Group gap="xs" align="flex-end" role="search" aria-label="Filter deliveries">
      <StatusFilter filters={filters} statuses={DELIVERY_STATUSES} />
      {!onlyEndpoint && <EndpointFilter filters={filters} />}
      <TextsFilter filters={filters} name="type" label="Event type" />
      <TextFilter filters={filters} name="sourceKey" label="Source key" />
      <TextFilter filters={filters} name="event" label="Event ID" />
      <TextFilter filters={filters} name="response" label="Answer" width={80} inputMode="numeric" />
      <TimeFilter filters={filters} name="from" label="Made after" />
      <TimeFilter filters={filters} name="to" label="Made before" />
      {filters.params.size > 0 && (
        <Button size="xs" variant="default" leftSection={<IconFilterOff size={14} />} onClick={filters.clear}>
          Clear
        </Button>
      )}
    </Group>
  );
}

function TimeFilter({ filters, name, label }: { filters: Filters; name: string; label: string }) {
  return (
    <TimeField
      size="xs"
      label={label}
      value={filters.params.get(name)}
      onChange={(value) => filters.set(name, value)}
    />
  );
}

/** One endpoint of those there are. */
function EndpointFilter({ filters }: { filters: Filters }) {
  const [{ data }] = useQuery({ query: EndpointChoicesDocument });
  const chosen = filters.params.get('endpoint');
  const choices = data?.endpoints.edges.map(({ node }) => ({ value: node.id, label: node.name })) ?? [];
  // One that was deleted, or stands further down.
  const isMissing = chosen && !choices.some(({ value }) => value === chosen);
  return (
    <Select
      size="xs"
      label="Endpoint"
      placeholder="Any"
      w={170}
      data={isMissing ? [...choices, { value: chosen, label: chosen }] : choices}
      value={chosen}
      onChange={(value) => filters.set('endpoint', value)}
      searchable
      clearable
      nothingFoundMessage="Not among the newest 100"
    />
  );
}
