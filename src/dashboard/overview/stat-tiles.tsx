import { Paper, SimpleGrid, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { Ago, describeDuration } from '../elements/time.tsx';
import type { StatsTotalFragment } from '../generated/documents.ts';

const describeCount = (count: number): string =>
  count >= 100_000
    ? count.toLocaleString('en', { notation: 'compact', maximumFractionDigits: 1 })
    : count.toLocaleString('en');

export const describeRatio = (ratio: number | null): string =>
  // Rounded down: 100 % means that nothing failed.
  ratio === null ? '–' : `${(Math.floor(ratio * 1_000) / 10).toLocaleString('en')} %`;

export interface StatTilesProps {
  /** Null: not known yet. */
  total: StatsTotalFragment | null;
  waiting: number | null;
  oldestWaitingAt: string | null;
}

/** The numbers of a window, to be read at a glance. */
export function StatTiles({ total, waiting, oldestWaitingAt }: StatTilesProps) {
  const count = (value: number | undefined) => (value === undefined ? '–' : describeCount(value));
  const durations = total?.durationMs;
  return (
    <SimpleGrid cols={{ base: 2, sm: 4, lg: 7 }} spacing="sm">
      <Tile name="Published" value={count(total?.published)} />
      <Tile name="Delivered" value={count(total?.delivered)} />
      <Tile name="Failed" value={count(total?.failed)} isBad={(total?.failed ?? 0) > 0} note="dead letters" />
      <Tile name="Retried" value={count(total?.retried)} />
      <Tile
        name="Waiting now"
        value={count(waiting ?? undefined)}
        note={
          oldestWaitingAt && (
            <>
              oldest <Ago at={oldestWaitingAt} />
            </>
          )
        }
      />
      <Tile
        name="Success"
        value={describeRatio(total?.successRatio ?? null)}
        note={total && `of ${describeCount(total.attempts)} attempts`}
      />
      <Tile
        name="Attempt, p95"
        value={durations ? describeDuration(durations.p95) : '–'}
        note={durations && `p99 ${describeDuration(durations.p99)}`}
      />
    </SimpleGrid>
  );
}

interface TileProps {
  name: string;
  value: string;
  note?: ReactNode;
  isBad?: boolean;
}

function Tile({ name, value, note, isBad = false }: TileProps) {
  return (
    <Paper withBorder p="sm" component="dl" m={0}>
      <Text component="dt" size="xs" c="dimmed">
        {name}
      </Text>
      <Text
        component="dd"
        m={0}
        fz={24}
        lh={1.25}
        fw={650}
        c={isBad ? 'var(--mantine-color-error)' : undefined}
        style={{ fontVariantNumeric: 'tabular-nums' }}
      >
        {value}
      </Text>
      <Text component="dd" m={0} size="xs" c="dimmed" mih={18}>
        {note}
      </Text>
    </Paper>
  );
}
