import { useState } from 'react';

export interface Selection {
  ids: ReadonlySet<string>;
  /** Not only these IDs, but all that the filter lists. */
  isAll: boolean;
  isAny: boolean;
  /** Every row that is loaded is selected. */
  areRows: boolean;
  has: (id: string) => boolean;
  toggle: (id: string) => void;
  /** Selects every row that is loaded, or none. */
  toggleRows: () => void;
  takeAll: () => void;
  clear: () => void;
}

const NONE = { ids: new Set<string>() as ReadonlySet<string>, isAll: false };

/** Which rows are selected. @param about another filter begins with none */
export function useSelection(about: string, rows: { id: string }[]): Selection {
  const [held, setHeld] = useState({ about, ...NONE });
  const { ids, isAll } = held.about === about ? held : NONE;
  const select = (next: { ids: ReadonlySet<string>; isAll: boolean }) => setHeld({ about, ...next });
  const all = () => new Set(rows.map(({ id }) => id));
  const areRows = isAll || (rows.length > 0 && ids.size >= rows.length && rows.every(({ id }) => ids.has(id)));
  return {
    ids,
    isAll,
    isAny: isAll || ids.size > 0,
    areRows,
    has: (id) => isAll || ids.has(id),
    toggle: (id) => {
      const next = isAll ? all() : new Set(ids);
      if (!next.delete(id)) next.add(id);
      select({ ids: next, isAll: false });
    },
    toggleRows: () => select(areRows ? NONE : { ids: all(), isAll: false }),
    takeAll: () => select({ ids: all(), isAll: true }),
    clear: () => select(NONE),
  };
}
