import type { Sink } from 'graphql-ws';
import {
  ConnectionHandler,
  createOperationDescriptor,
  Environment,
  fetchQuery,
  getRequest,
  graphql,
  Network,
  Observable,
  RecordSource,
  type RecordSourceSelectorProxy,
  requestSubscription,
  Store,
} from 'relay-runtime';
import type { relayChangesSubscription } from './__generated__/relayChangesSubscription.graphql.ts';
import type { relayListQuery } from './__generated__/relayListQuery.graphql.ts';
import { type FollowOptions, isExpired, type LiveDeliveries } from './deliveries.ts';
import { connect, follow } from './follow.ts';

const LIST = graphql`
  query relayListQuery($endpointId: ID!) {
    liveCursor
    deliveries(first: 50, filter: { endpointId: $endpointId }) @connection(key: "relay_deliveries") {
      edges { node { id status attemptCount } }
    }
  }
`;

const CHANGES = graphql`
  subscription relayChangesSubscription($endpointId: ID!, $after: String) {
    deliveryChanges(filter: { endpointId: $endpointId }, after: $after) {
      cursor
      changes { previousStatus status delivery { id status attemptCount } }
    }
  }
`;

/** An environment of Relay: queries over HTTP, subscriptions over a WebSocket that resumes. */
export function makeEnvironment({ url, key }: { url: string; key: string }): Environment {
  const socket = connect({ url, key });
  return new Environment({
    store: new Store(new RecordSource()),
    network: Network.create(
      async ({ text }, variables) => {
        const response = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
          body: JSON.stringify({ query: text, variables }),
        });
        return response.json();
      },
      ({ text }, variables) =>
        Observable.create((sink) => follow(socket, { query: text ?? '', variables }, sink as Sink)),
    ),
  });
}

/** Puts new deliveries at the front of the list. Those that are listed, the store has updated already, by ID. */
function insertNew(store: RecordSourceSelectorProxy, endpointId: string) {
  const list = ConnectionHandler.getConnection(store.getRoot(), 'relay_deliveries', { filter: { endpointId } });
  if (!list) return;
  const changes = store.getRootField('deliveryChanges')?.getLinkedRecords('changes') ?? [];
  for (const change of changes) {
    const delivery = change.getLinkedRecord('delivery');
    const isListed = list.getLinkedRecords('edges')?.some((edge) => edge.getLinkedRecord('node') === delivery);
    if (!delivery || isListed || change.getValue('previousStatus') !== null) continue;
    ConnectionHandler.insertEdgeBefore(list, ConnectionHandler.createEdge(store, list, delivery, 'DeliveryEdge'));
  }
}

/** Follows the deliveries of an endpoint with Relay and its store. */
export async function followDeliveries(options: FollowOptions): Promise<LiveDeliveries> {
  const { endpointId, onChange, onError } = options;
  const environment = makeEnvironment(options);
  const listed = createOperationDescriptor(getRequest(LIST), { endpointId });
  const retained = environment.retain(listed);
  let unsubscribe = () => {};
  let isStopped = false;

  async function start() {
    const list = await fetchQuery<relayListQuery>(environment, LIST, { endpointId }).toPromise();
    if (isStopped) return;
    const subscription = requestSubscription<relayChangesSubscription>(environment, {
      subscription: CHANGES,
      variables: { endpointId, after: list?.liveCursor },
      updater: (store) => insertNew(store, endpointId),
      onNext: (data) => {
        for (const change of data?.deliveryChanges.changes ?? []) onChange(change);
      },
      onError: (error) => {
        if (isExpired((error as RelayError).source?.errors)) start().catch(onError);
        else onError(error);
      },
    });
    unsubscribe = () => subscription.dispose();
  }

  await start();
  return {
    list: () => {
      const { data } = environment.lookup(listed.fragment);
      return (data as relayListQuery['response']).deliveries.edges.map(({ node }) => node);
    },
    stop: () => {
      isStopped = true;
      unsubscribe();
      retained.dispose();
    },
  };
}

/** Relay throws the errors of an answer without data as one error, and keeps them in it. */
type RelayError = Error & { source?: { errors?: { extensions?: Record<string, unknown> }[] } };
