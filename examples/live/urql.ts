import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { type Cache, cacheExchange } from '@urql/exchange-graphcache';
import {
  CHANGES,
  type Changes,
  type FollowOptions,
  isExpired,
  LIST,
  type List,
  type LiveDeliveries,
} from './deliveries.ts';
import { connect, follow } from './follow.ts';

/** A client of urql: queries over HTTP, subscriptions over a WebSocket that resumes, and a cache by ID. */
export function makeClient({ url, key }: { url: string; key: string }) {
  const socket = connect({ url, key });
  return new Client({
    url,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization: `Bearer ${key}` } },
    exchanges: [
      cacheExchange({
        // Batches and changes have no ID; the deliveries in them do, and are updated wherever they are shown.
        keys: { DeliveryChanges: () => null, DeliveryChange: () => null },
        updates: {
          Subscription: {
            deliveryChanges: (data, { filter }, cache) => insertNew(cache, data as unknown as Changes, filter),
          },
        },
      }),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (operation) => ({
          subscribe: (sink) => ({
            unsubscribe: follow(socket, { ...operation, query: operation.query ?? '' }, sink),
          }),
        }),
      }),
    ],
  });
}

/** Puts new deliveries at the front of the list. */
function insertNew(cache: Cache, { deliveryChanges }: Changes, filter: unknown) {
  const { endpointId } = filter as { endpointId: string };
  cache.updateQuery<List>({ query: LIST, variables: { endpointId } }, (list) => {
    if (!list) return null;
    const { edges } = list.deliveries;
    for (const { previousStatus, delivery } of deliveryChanges.changes) {
      const isListed = edges.some(({ node }) => node.id === delivery.id);
      if (previousStatus === null && !isListed) edges.unshift({ __typename: 'DeliveryEdge', node: delivery } as never);
    }
    return list;
  });
}

/** Follows the deliveries of an endpoint with urql and its normalized cache. */
export async function followDeliveries(options: FollowOptions): Promise<LiveDeliveries> {
  const { endpointId, onChange, onError } = options;
  const client = makeClient(options);
  let unsubscribe = () => {};
  let isStopped = false;

  async function start() {
    // From the network: what is in the cache has an old cursor.
    const { data: list, error } = await client
      .query<List>(LIST, { endpointId }, { requestPolicy: 'network-only' })
      .toPromise();
    if (!list) throw error;
    if (isStopped) return;
    const changes = client.subscription<Changes>(CHANGES, { endpointId, after: list.liveCursor });
    ({ unsubscribe } = changes.subscribe(({ data, error }) => {
      if (error) {
        // When a subscription ends, urql gives its last result once more.
        unsubscribe();
        return isExpired(error.graphQLErrors) ? void start().catch(onError) : onError(error);
      }
      for (const change of data?.deliveryChanges.changes ?? []) onChange(change);
    }));
  }

  await start();
  return {
    list: () => client.readQuery<List>(LIST, { endpointId })?.data?.deliveries.edges.map(({ node }) => node) ?? [],
    stop: () => {
      isStopped = true;
      unsubscribe();
    },
  };
}
