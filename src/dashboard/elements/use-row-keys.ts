import { useState } from 'react';
import { useKeys } from './use-keys.ts';

export interface RowKeysOptions {
  /** IDs of the rows, in their order. */
  ids: string[];
  /** Left out: all rows are drawn, and the one chosen is found by its mark. */
  scrollTo?: (index: number) => void;
  onOpen: (id: string) => void;
  /** Left out: rows can't be selected. */
  onToggle?: (id: string) => void;
  /** @param id null: no row is chosen. Left out: rows can't be retried. */
  onRetry?: (id: string | null) => void;
  onEscape?: () => void;
}

/** Walks through rows by keys: j, k, Enter, x, r. @returns the ID of the row chosen, null: none */
export function useRowKeys({ ids, scrollTo = showMarked, onOpen, onToggle, onRetry, onEscape }: RowKeysOptions) {
  const [active, setActive] = useState<string | null>(null);
  const index = active === null ? -1 : ids.indexOf(active);
  const chosen = index === -1 ? null : active;
  const move = (step: number) => {
    if (ids.length === 0) return;
    const next = index === -1 ? 0 : Math.min(Math.max(index + step, 0), ids.length - 1);
    setActive(ids[next] as string);
    scrollTo(next);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    Enter: () => chosen && onOpen(chosen),
    x: () => chosen && onToggle?.(chosen),
    r: () => onRetry?.(chosen),
    Escape: () => onEscape?.(),
  });
  return { active: chosen, setActive };
}

/** Brings the row into sight that is marked as the one chosen, once it is drawn. */
const showMarked = () => {
  requestAnimationFrame(() => document.querySelector('tr[data-active]')?.scrollIntoView({ block: 'nearest' }));
};

/** What marks a row of the library's table as the one chosen. */
export const markRow = (isChosen: boolean) => ({
  'data-active': isChosen || undefined,
  bg: isChosen ? 'var(--posthorn-active)' : undefined,
});
