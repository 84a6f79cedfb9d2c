import { createClient } from 'graphql-ws';
import { useSyncExternalStore } from 'react';
import { signedOut } from '../graphql/client.ts';
import { accessHeaders, onNewToken } from '../session/access.ts';

const RETRY_MS_MAX = 10_000;
/** The key, token or session has ended. */
const FORBIDDEN = 4403;
/** How long a connection may be silent before it is tested, and how long the answer may take. */
const SILENCE_MS = 10_000;

/** `idle`: nothing is followed. */
export type ConnectionState = 'idle' | 'connecting' | 'live' | 'reconnecting' | 'offline';

let state: ConnectionState = 'idle';
/** Feeds that the server refused or ended, until they go on. */
let brokenFeeds = 0;
const listeners = new Set<() => void>();

function tellListeners() {
  for (const listen of listeners) listen();
}

function setState(next: ConnectionState) {
  if (state === next) return;
  state = next;
  tellListeners();
}

/** Counts a feed that does not go on. @returns what is to be called once, when it does or nobody wants it any more */
export function countBrokenFeed(): () => null {
  brokenFeeds += 1;
  tellListeners();
  return () => {
    brokenFeeds -= 1;
    tellListeners();
    return null;
  };
}

let wasLive = false;
let silence: ReturnType<typeof setTimeout> | undefined;

/** The one WebSocket that all feeds share. It connects when the first is followed, and again for as long as it takes. */
export const socket = createClient({
  url: new URL('/graphql', window.location.href.replace(/^http/, 'ws')).href,
  connectionParams: accessHeaders,
  retryAttempts: Number.POSITIVE_INFINITY,
  retryWait: waitToRetry,
  // Also where the key has ended: who asks is checked, and a page that may go on does.
  shouldRetry: () => true,
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
      const { code } = event as { code?: number };
      if (code === FORBIDDEN) signedOut.dispatchEvent(new Event('check'));
      const isWanted = code === 1_000;
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

// What is open was opened with the token before: feeds of who had that must not go on.
onNewToken(() => socket.terminate());

/** How the live feeds are connected. */
export const useConnectionState = (): ConnectionState =>
  useSyncExternalStore(
    (listen) => {
      listeners.add(listen);
      return () => listeners.delete(listen);
    },
    () => (state === 'live' && brokenFeeds > 0 ? 'reconnecting' : state),
  );
