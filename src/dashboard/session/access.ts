import { ENVIRONMENT_ID } from '../place.ts';

let token: string | null = null;

/** From now on, asks with a browser token instead of the session's cookie. It is kept in memory alone. */
export function holdToken(newToken: string): void {
  token = newToken;
}

/** What requests say of who asks, beside the cookie: as headers of HTTP, or as parameters of a WebSocket. */
export const accessHeaders = (): Record<string, string> => ({
  ...(token !== null && { authorization: `Bearer ${token}` }),
  ...(ENVIRONMENT_ID !== null && { 'x-environment-id': ENVIRONMENT_ID }),
});
