import { ENVIRONMENT_ID } from '../place.ts';

let token: string | null = null;
const listeners = new Set<() => void>();

/** From now on, asks with a browser token instead of the session's cookie. It is kept in memory alone. */
export function holdToken(newToken: string): void {
  if (token === newToken) return;
  token = newToken;
  for (const listen of listeners) listen();
}

/** Is told whenever there is another token. */
export function onNewToken(listener: () => void): void {
  listeners.add(listener);
}

/** What requests say of who asks, beside the cookie: as headers of HTTP, or as parameters of a WebSocket. */
export const accessHeaders = (): Record<string, string> => ({
  ...(token !== null && { authorization: `Bearer ${token}` }),
  ...(ENVIRONMENT_ID !== null && { 'x-environment-id': ENVIRONMENT_ID }),
});
