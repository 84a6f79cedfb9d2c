import { createClient } from 'graphql-ws';
import { afterEach } from 'vitest';
import { WebSocket } from 'ws';
import { ROOT_KEY } from './posthorn.ts';

/** The codes that a subscription ended with. */
export class SubscriptionError extends Error {
  readonly errors: readonly { message: string; extensions?: Record<string, unknown> }[];

  constructor(errors: SubscriptionError['errors']) {
    super(errors.map(({ message }) => message).join(' '));
    this.errors = errors;
  }
}

export interface SubscribeOptions {
  variables?: Record<string, unknown>;
  /** @default the operator's key */
  key?: string;
}

/** Ends what a test left open. */
const cleanUps = new Set<() => void>();

/** Registers, in each file that subscribes, that what a test left open is ended behind it. */
export const endSubscriptionsAfterEach = () =>
  afterEach(() => {
    for (const cleanUp of cleanUps) cleanUp();
    cleanUps.clear();
  });

/** Subscribes on a connection of its own. Gives the value of the one field, as often as it is told. */
export async function* subscribe<T>(
  url: string,
  query: string,
  { variables, key = ROOT_KEY }: SubscribeOptions = {},
): AsyncGenerator<T> {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${key}` },
    retryAttempts: 0,
  });
  const end = () => client.terminate();
  cleanUps.add(end);
  try {
    for await (const { data, errors } of client.iterate<Record<string, T>>({ query, variables })) {
      if (errors) throw new SubscriptionError(errors as SubscriptionError['errors']);
      if (data) yield Object.values(data)[0] as T;
    }
  } catch (error) {
    throw Array.isArray(error) ? new SubscriptionError(error) : error;
  } finally {
    end();
    cleanUps.delete(end);
  }
}

/** The error that a subscription ends with; null: it ended by itself. */
export async function findSubscriptionError(feed: AsyncGenerator<unknown>): Promise<SubscriptionError | null> {
  try {
    for await (const _ of feed);
    return null;
  } catch (error) {
    if (error instanceof SubscriptionError) return error;
    throw error;
  }
}
