import { createClient } from 'graphql-ws';
import type { BrowserToken } from './make-token.ts';

/** What ends a connection and not the feed: going away, a broken line, a busy server, and a token that ended. */
const PASSING_CODES = [1_001, 1_005, 1_006, 1_011, 1_012, 1_013, 4_403];
const RETRY_MS = 1_000;

interface Changes {
  deliveryChanges: { cursor: string; changes: { status: string; delivery: { id: string } }[] };
}

export interface FollowOptions {
  /** For example `https://posthorn.example.com`. */
  url: string;
  /** Asks your own server for a token. It throws where the customer has signed out of your product. */
  fetchToken: () => Promise<BrowserToken>;
  onChange: (change: { status: string; delivery: { id: string } }) => void;
  /** The feed has ended. */
  onError: (error: unknown) => void;
}

/** Runs in your page: tells what happens to the customer's deliveries. @returns what ends it */
export function followDeliveries({ url, fetchToken, onChange, onError }: FollowOptions): () => void {
  let after: string | null = null;
  let isStopped = false;
  const client = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    // Is asked at each connection, so each has a token that is good.
    connectionParams: async () => ({ authorization: `Bearer ${(await fetchToken()).token}` }),
    // It would go on with the cursor that it began with.
    retryAttempts: 0,
  });
  const query = `subscription ($after: String) {
    deliveryChanges(after: $after) { cursor changes { status delivery { id } } } }`;
  const follow = async () => {
    for await (const { data, errors } of client.iterate<Changes>({ query, variables: { after } })) {
      if (errors) throw errors[0];
      after = data?.deliveryChanges.cursor ?? after;
      for (const change of data?.deliveryChanges.changes ?? []) onChange(change);
    }
  };
  const run = async () => {
    while (!isStopped) {
      try {
        await follow();
      } catch (error) {
        if (isStopped) return;
        if (!PASSING_CODES.includes((error as CloseEvent).code)) return onError(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  };
  void run();
  return () => {
    isStopped = true;
    void client.dispose();
  };
}
