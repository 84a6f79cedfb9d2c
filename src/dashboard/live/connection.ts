import { createClient } from 'graphql-ws';
import { useSyncExternalStore } from 'react';
import { accessHeaders } from '../session/access.ts';

/** The key, token or session has ended. */
const FORBIDDEN = 4403;
const RETRY_MS_MAX = 10_000;
/** How long a connection may be silent before it is tested, and how long the answer may take. */
const SILENCE_MS = 10_000;

/** `idle`: nothing is followed. */
export type ConnectionState = 'idle' | 'connecting' | 'live' | 'reconnecting' | 'offline';

let state: ConnectionState = 'idle';
const listeners = new Set<() => void>();

function setState(next: ConnectionState) {
  if (state === next) return;
  state = next;
  for (const listen of listeners) listen();
}

let wasLive = false;
let silence: ReturnType<typeof setTimeout> | undefined;

/** The one WebSocket that all feeds share. It connects when the first is followed, and again for as long as it takes. */
export const socket = createClient({
  url: new URL('/graphql', window.location.href.replace(/^http/, 'ws')).href,
  connectionParams: accessHeaders,
  retryAttempts: Number.POSITIVE_INFINITY,
  retryWait: waitToRetry,
  shouldRetry: (event) => (event as { code?: number }).code !== FORBIDDEN,
  keepAlive: SILENCE_MS,
  lazyCloseTimeout: 1_000,
  on: {
    connecting: () => setState(wasLive ? 'reconnecting' : 'connecting'),
    connected: () => {
      wasLive = true;
      setState('live');
    },
    closed: (event) => {
      clearTimeout(silence);
      const isWanted = (event as { code?: number }).code === 1_000;
      if (isWanted) wasLive = false;
      setState(isWanted ? 'idle' : navigator.onLine ? 'reconnecting' : 'offline');
    },
    ping: (isReceived) => {
      if (!isReceived) silence = setTimeout(() => socket.terminate(), SILENCE_MS);
    },
    pong: () => clearTimeout(silence),
  },
});

/** At random, so that not all pages are back in the same moment; at once when the machine is online again. */
function waitToRetry(retries: number): Promise<void> {
  const waitMs = Math.random() * Math.min(500 * 2 ** retries, RETRY_MS_MAX);
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      window.removeEventListener('online', go);
      resolve();
    };
    const timer = setTimeout(go, waitMs);
    window.addEventListener('online', go);
  });
}

// A connection that is cut says so only after a while: the browser knows it earlier.
window.addEventListener('offline', () => {
  if (state !== 'idle') setState('offline');
  socket.terminate();
});

/** How the live feeds are connected. */
export const useConnectionState = (): ConnectionState =>
  useSyncExternalStore(
    (listen) => {
      listeners.add(listen);
      return () => listeners.delete(listen);
    },
    () => state,
  );
