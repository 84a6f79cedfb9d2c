import { useEffect, useState, useSyncExternalStore } from 'react';

const TICK_MS = 1_000;

let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function listen(listener: () => void) {
  if (listeners.size === 0) {
    now = Date.now();
    timer = setInterval(() => {
      now = Date.now();
      for (const tell of listeners) tell();
    }, TICK_MS);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) clearInterval(timer);
  };
}

/** The time, each second: one clock for the whole page, which stands still while nothing shows it. */
export const useNow = (): number => useSyncExternalStore(listen, () => now);

/** A time that moves on at intervals, but not while nobody sees the page. */
export function usePulse(intervalMs: number): number {
  const [at, setAt] = useState(() => Date.now());
  useEffect(() => {
    const beat = () => {
      if (!document.hidden) setAt(Date.now());
    };
    const timer = setInterval(beat, intervalMs);
    document.addEventListener('visibilitychange', beat);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', beat);
    };
  }, [intervalMs]);
  return at;
}
