import { Alert, Button, Group, Paper, Stack } from '@mantine/core';
import { useDisclosure, useMediaQuery } from '@mantine/hooks';
import { IconFilter } from '@tabler/icons-react';
import { useMemo } from 'react';
import { Link } from 'wouter';
import { PageTitle } from '../elements/page-title.tsx';
import { useFilters } from '../elements/use-filters.ts';
import { readDeliveryFilter } from './delivery-filter.ts';
import { DeliveryTable } from './delivery-table.tsx';
import { FilterBar } from './filter-bar.tsx';
import { NoDeliveries } from './no-deliveries.tsx';

/** All deliveries, live, with filters that stand in the address. */
export default function DeliveriesPage() {
  const filters = useFilters();
  const { params } = filters;
  const { filter, faults } = useMemo(() => readDeliveryFilter(params), [params]);
  const isNarrow = useMediaQuery('(max-width: 48em)');
  const [isOpen, { toggle }] = useDisclosure();
  const isFiltered = Object.keys(filter).length > 0;
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <PageTitle title="Deliveries" />
        {isNarrow && (
          <Button
            size="xs"
            variant="default"
            leftSection={<IconFilter size={14} />}
            onClick={toggle}
            aria-expanded={isOpen}
          >
            Filters{isFiltered ? ` (${Object.keys(filter).length})` : ''}
          </Button>
        )}
      </Group>
      {(!isNarrow || isOpen) && <FilterBar filters={filters} />}
      {faults.length > 0 ? (
        <Alert color="red" variant="outline" title="These filters are not understood" role="alert">
          {faults.join(' ')}
        </Alert>
      ) : (
        <Paper withBorder style={{ overflow: 'hidden' }}>
          <DeliveryTable
            filter={filter}
            maxHeight={isNarrow && !isOpen ? 'calc(100dvh - 130px)' : 'calc(100dvh - 280px)'}
            empty={
              <NoDeliveries>
                {isFiltered ? (
                  'None fits these filters. Take one away, or wait: what fits shows up here.'
                ) : (
                  <>
                    Nothing was delivered yet. <Link to="/events?publish">Publish an event</Link>, and its deliveries
                    show up here.
                  </>
                )}
              </NoDeliveries>
            }
          />
        </Paper>
      )}
    </Stack>
  );
}
