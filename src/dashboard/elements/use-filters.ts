import { useMemo } from 'react';
import { useSearchParams } from 'wouter';

/** Filters that stand in the address, so that a view can be kept and sent to others. */
export interface Filters {
  params: URLSearchParams;
  /** @param value null or empty takes the filter away */
  set: (name: string, value: string | null) => void;
  /** Values that stand in the address with commas between them. */
  list: (name: string) => string[];
  setList: (name: string, values: string[]) => void;
  clear: () => void;
}

export function useFilters(): Filters {
  const [params, setParams] = useSearchParams();
  return useMemo(() => {
    const set = (name: string, value: string | null) =>
      setParams(
        (now) => {
          const next = new URLSearchParams(now);
          if (value) next.set(name, value);
          else next.delete(name);
          return next;
        },
        { replace: true },
      );
    return {
      params,
      set,
      list: (name) => readList(params, name),
      setList: (name, values) => set(name, values.join(',')),
      clear: () => setParams({}, { replace: true }),
    };
  }, [params, setParams]);
}

/** `status=FAILED,RETRYING` */
export const readList = (params: URLSearchParams, name: string): string[] =>
  params.get(name)?.split(',').filter(Boolean) ?? [];
