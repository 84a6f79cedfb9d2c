import { useHotkeys } from '@mantine/hooks';
import { useState } from 'react';

export interface RowKeysOptions {
  count: number;
  scrollTo: (index: number) => void;
  onOpen: (index: number) => void;
  onToggle: (index: number) => void;
  /** @param index null: no row is chosen */
  onRetry: (index: number | null) => void;
  onEscape: () => void;
}

/** Walks through rows by keys: j, k, Enter, x, r. @returns the row chosen, null: none */
export function useRowKeys({ count, scrollTo, onOpen, onToggle, onRetry, onEscape }: RowKeysOptions) {
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
    ['x', ofRow(onToggle)],
    ['r', () => onRetry(chosen)],
    ['Escape', onEscape, { preventDefault: false }],
  ]);
  return { active: chosen, setActive };
}
