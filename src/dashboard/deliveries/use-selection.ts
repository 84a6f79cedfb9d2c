import { useRef, useState } from 'react';

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

interface Held {
  about: string;
  ids: ReadonlySet<string>;
  isAll: boolean;
}

/** Which rows are selected. @param about another filter begins with none */
export function useSelection(about: string, rows: { id: string }[]): Selection {
  const [held, setHeld] = useState<Held>({ about, ...NONE });
  const { ids, isAll } = held.about === about ? held : NONE;
  // Rows are drawn anew only where they changed, so what they call may be of an earlier time.
  const latest = useRef({ about, rows });
  latest.current = { about, rows };
  const change = (next: (ids: ReadonlySet<string>, isAll: boolean) => Omit<Held, 'about'>) =>
    setHeld((now) => {
      const { about } = latest.current;
      return { about, ...(now.about === about ? next(now.ids, now.isAll) : next(NONE.ids, false)) };
    });
  const loaded = () => new Set(latest.current.rows.map(({ id }) => id));
  const areRows = isAll || (rows.length > 0 && rows.every(({ id }) => ids.has(id)));
  return {
    ids,
    isAll,
    isAny: isAll || ids.size > 0,
    areRows,
    has: (id) => isAll || ids.has(id),
    toggle: (id) =>
      change((ids, isAll) => {
        const next = isAll ? loaded() : new Set(ids);
        if (!next.delete(id)) next.add(id);
        return { ids: next, isAll: false };
      }),
    toggleRows: () => change(() => (areRows ? NONE : { ids: loaded(), isAll: false })),
    takeAll: () => change(() => ({ ids: loaded(), isAll: true })),
    clear: () => change(() => NONE),
  };
}
