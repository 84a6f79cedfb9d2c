import {
  applyChange,
  CHANGES,
  type Changes,
  type Delivery,
  type FollowOptions,
  isExpired,
  type LiveDeliveries,
  readList,
} from './deliveries.ts';
import { connect, follow } from './follow.ts';

/** Follows the deliveries of an endpoint with graphql-ws alone. */
export async function followDeliveries(options: FollowOptions): Promise<LiveDeliveries> {
  const { endpointId, onChange, onError } = options;
  const client = connect(options);
  let deliveries: Delivery[] = [];
  let unsubscribe = () => {};
  let isStopped = false;

  async function start() {
    const list = await readList(options);
    if (isStopped) return;
    deliveries = list.deliveries.edges.map(({ node }) => node);
    unsubscribe = follow<Changes>(
      client,
      { query: CHANGES, variables: { endpointId, after: list.liveCursor } },
      {
        next: ({ data, errors }) => {
          if (isExpired(errors)) return void start().catch(onError);
          if (errors) return onError(errors);
          for (const change of data?.deliveryChanges.changes ?? []) {
            deliveries = applyChange(deliveries, change);
            onChange(change);
          }
        },
        error: onError,
        complete: () => {},
      },
    );
  }

  await start();
  return {
    list: () => deliveries,
    stop: () => {
      isStopped = true;
      unsubscribe();
    },
  };
}
