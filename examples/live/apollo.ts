import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import {
  CHANGES,
  type Change,
  type Changes,
  type FollowOptions,
  isExpired,
  LIST,
  type List,
  type LiveDeliveries,
} from './deliveries.ts';
import { connect, follow } from './follow.ts';

const LIST_DOCUMENT = gql(LIST);
const CHANGES_DOCUMENT = gql(CHANGES);

/** A client of Apollo: queries over HTTP, subscriptions over a WebSocket that resumes, and a cache by ID. */
export function makeClient({ url, key }: { url: string; key: string }): ApolloClient {
  const socket = connect({ url, key });
  return new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ operationType }) => operationType === 'subscription',
      new GraphQLWsLink({ ...socket, subscribe: (operation, sink) => follow(socket, operation, sink) }),
      new HttpLink({ uri: url, headers: { authorization: `Bearer ${key}` } }),
    ),
  });
}

/** Follows the deliveries of an endpoint with Apollo Client and its normalized cache. */
export async function followDeliveries(options: FollowOptions): Promise<LiveDeliveries> {
  const { endpointId, onChange, onError } = options;
  const client = makeClient(options);
  const listQuery = { query: LIST_DOCUMENT, variables: { endpointId } };
  let unsubscribe = () => {};
  let isStopped = false;

  async function start() {
    // From the network: what is in the cache has an old cursor.
    const { data: list } = await client.query<List>({ ...listQuery, fetchPolicy: 'network-only' });
    if (isStopped) return;
    const changes = client.subscribe<Changes>({
      query: CHANGES_DOCUMENT,
      variables: { endpointId, after: list?.liveCursor },
    });
    const subscription = changes.subscribe(({ data, error }) => {
      if (CombinedGraphQLErrors.is(error) && isExpired(error.errors)) return void start().catch(onError);
      if (error) return onError(error);
      for (const change of data?.deliveryChanges.changes ?? []) {
        insertNew(change);
        onChange(change);
      }
    });
    unsubscribe = () => subscription.unsubscribe();
  }

  /** Puts a new delivery at the front of the list. Those that are listed, the cache has updated already, by ID. */
  function insertNew({ previousStatus, delivery }: Change) {
    if (previousStatus) return;
    client.cache.updateQuery<List>(listQuery, (list) => {
      if (!list || list.deliveries.edges.some(({ node }) => node.id === delivery.id)) return list;
      const edge = { __typename: 'DeliveryEdge', node: delivery };
      return { ...list, deliveries: { ...list.deliveries, edges: [edge, ...list.deliveries.edges] } };
    });
  }

  await start();
  return {
    list: () => client.readQuery<List>(listQuery)?.deliveries.edges.map(({ node }) => node) ?? [],
    stop: () => {
      isStopped = true;
      unsubscribe();
    },
  };
}
