// In a page that Posthorn's own host serves, and that has signed in with `POST /session`, leave this import and
// `fetch` below out: the browser has an EventSource, which sends cookies but no headers.
import { EventSource } from 'eventsource';
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

const RETRY_MS = 3_000;

interface Result {
  data?: Changes;
  errors?: { extensions: { code: string } }[];
}

/** Follows the deliveries of an endpoint by server-sent events. */
export async function followDeliveries(options: FollowOptions): Promise<LiveDeliveries> {
  const { key, onChange, onError } = options;
  let deliveries: Delivery[] = [];
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isStopped = false;

  async function start() {
    const list = await readList(options);
    deliveries = list.deliveries.edges.map(({ node }) => node);
    subscribe(list.liveCursor);
  }

  function subscribe(after: string) {
    if (isStopped) return;
    let cursor = after;
    const opened = new EventSource(toUrl(options, after), {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } }),
    });
    source = opened;
    opened.addEventListener('next', ({ data, lastEventId }) => {
      cursor = lastEventId;
      take(JSON.parse(data));
    });
    // Where a connection breaks, EventSource opens another and sends the last ID. An answer with any status but 200 it
    // takes for the end: a gateway's 502 during a restart as well as the 401 of a key that was revoked.
    opened.addEventListener('error', ({ code }) => {
      if (opened.readyState !== opened.CLOSED) return;
      if (code === 401) onError(new Error('The API key is refused.'));
      else timer = setTimeout(subscribe, RETRY_MS, cursor);
    });
  }

  function take({ data, errors }: Result) {
    if (errors) {
      // Otherwise it would ask again with the same cursor.
      source?.close();
      if (isExpired(errors)) start().catch(onError);
      else onError(errors);
    }
    for (const change of data?.deliveryChanges.changes ?? []) {
      deliveries = applyChange(deliveries, change);
      onChange(change);
    }
  }

  await start();
  return {
    list: () => deliveries,
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      source?.close();
    },
  };
}

function toUrl({ url, endpointId }: FollowOptions, after: string): string {
  const search = new URLSearchParams({ query: CHANGES, variables: JSON.stringify({ endpointId, after }) });
  return `${url}?${search}`;
}
