import { useHotkeys } from '@mantine/hooks';
import { useState } from 'react';

export interface RowKeysOptions {
  count: number;
  /** Left out: all rows are drawn, and the one chosen is found by its mark. */
  scrollTo?: (index: number) => void;
  onOpen: (index: number) => void;
  /** Left out: rows can't be selected. */
  onToggle?: (index: number) => void;
  /** @param index null: no row is chosen. Left out: rows can't be retried. */
  onRetry?: (index: number | null) => void;
  onEscape?: () => void;
}

/** Walks through rows by keys: j, k, Enter, x, r. @returns the row chosen, null: none */
export function useRowKeys({ count, scrollTo = showMarked, onOpen, onToggle, onRetry, onEscape }: RowKeysOptions) {
  const [active, setActive] = useState<number | null>(null);
  const chosen = active !== null && active < count ? active : null;
  const move = (step: number) => {
    if (count === 0) return;
    const next = chosen === null ? 0 : Math.min(Math.max(chosen + step, 0), count - 1);
    setActive(next);
    scrollTo(next);
  };
  const ofRow = (act: (index: number) => void) => () => {
    if (chosen !== null) act(chosen);
  };
  useHotkeys([
    ['j', () => move(1)],
    ['k', () => move(-1)],
    // On a link or a button, Enter is its own.
    ['Enter', ofRow(onOpen), { preventDefault: false }],
    ['x', ofRow((index) => onToggle?.(index))],
    ['r', () => onRetry?.(chosen)],
    ['Escape', () => onEscape?.(), { preventDefault: false }],
  ]);
  return { active: chosen, setActive };
}

/** Brings the row into sight that is marked as the one chosen, once it is drawn. */
const showMarked = () =>
  requestAnimationFrame(() => document.querySelector('tr[data-active]')?.scrollIntoView({ block: 'nearest' }));

/** What marks a row of the library's table as the one chosen. */
export const markRow = (isChosen: boolean) => ({
  'data-active': isChosen || undefined,
  bg: isChosen ? 'var(--posthorn-active)' : undefined,
});
