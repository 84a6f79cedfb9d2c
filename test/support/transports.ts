import { openFeed } from './feed-clients.ts';
import type { Transport } from './following.ts';
import { type GraphqlAnswer, ROOT_KEY, type TestBed } from './posthorn.ts';

/** Every way in which an operation can come. */
export const TRANSPORTS = ['HTTP', 'WebSocket', 'SSE'] as const satisfies readonly (Transport | 'HTTP')[];
export type AnyTransport = (typeof TRANSPORTS)[number];

export interface AskOptions {
  transport: AnyTransport;
  query: string;
  variables?: Record<string, unknown>;
  /** Where to ask. @default the bed's first process */
  url?: string;
  key?: string;
}

/** The first result of an operation, whichever way it comes. */
export async function askOver(bed: TestBed, options: AskOptions): Promise<Pick<GraphqlAnswer, 'data' | 'errors'>> {
  const { transport, query, variables = {}, url = bed.url, key = ROOT_KEY } = options;
  if (transport === 'HTTP') return bed.graphql(query, variables, { url, key });
  return new Promise((resolve, reject) => {
    const connection = openFeed(transport, {
      url,
      key,
      query,
      variables,
      onResult: (result) => {
        resolve(result as GraphqlAnswer);
        connection.cut();
      },
      onEnd: (end) => reject(new Error(`There was no result: the connection ended with ${end}.`)),
    });
  });
}
