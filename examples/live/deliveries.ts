/** What each example follows: the deliveries of one endpoint. */
export interface FollowOptions {
  /** Posthorn's GraphQL, for example `https://posthorn.example.com/graphql`. */
  url: string;
  /** An API key with the scope DELIVERIES_READ. */
  key: string;
  endpointId: string;
  /** Is given every change, once and in order. */
  onChange: (change: Change) => void;
  /** The feed has ended, for a reason that does not pass by itself: the key was revoked, for example. */
  onError: (error: unknown) => void;
}

export interface LiveDeliveries {
  /** The deliveries as they are now, newest first. */
  list: () => Delivery[];
  stop: () => void;
}

export interface Delivery {
  id: string;
  status: string;
  attemptCount: number;
}

export interface Change {
  /** Null: the delivery is new. */
  previousStatus?: string | null;
  status: string;
  delivery: Delivery;
}

export interface List {
  liveCursor: string;
  deliveries: { edges: { node: Delivery }[] };
}

export interface Changes {
  deliveryChanges: { cursor: string; changes: Change[] };
}

/** The list, and in the same operation the cursor from which its changes are to be followed. */
export const LIST = `
  query List($endpointId: ID!) {
    liveCursor
    deliveries(first: 50, filter: { endpointId: $endpointId }) {
      edges { node { id status attemptCount } }
    }
  }
`;

export const CHANGES = `
  subscription Changes($endpointId: ID!, $after: String) {
    deliveryChanges(filter: { endpointId: $endpointId }, after: $after) {
      cursor
      changes { previousStatus status delivery { id status attemptCount } }
    }
  }
`;

/** Reads the list, for examples without a library that does. */
export async function readList({ url, key, endpointId }: FollowOptions): Promise<List> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query: LIST, variables: { endpointId } }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}

/** Puts a change into the list: a delivery that is there changes in its place, a new one goes to the front. */
export function applyChange(list: Delivery[], { previousStatus, delivery }: Change): Delivery[] {
  if (list.some(({ id }) => id === delivery.id)) return list.map((one) => (one.id === delivery.id ? delivery : one));
  return previousStatus === null ? [delivery, ...list] : list;
}

/** Whether Posthorn no longer keeps what came behind a cursor: the list is to be read anew. */
export const isExpired = (errors: readonly { extensions?: Record<string, unknown> }[] = []): boolean =>
  errors.some(({ extensions }) => extensions?.code === 'CURSOR_EXPIRED');
