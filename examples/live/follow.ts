import { type Client, createClient, type FormattedExecutionResult, type Sink, type SubscribePayload } from 'graphql-ws';

const FORBIDDEN = 4403;
const RETRY_MS_MAX = 30_000;

export interface ConnectOptions {
  url: string;
  key: string;
  /** How long a connection may be silent before it is tested, and how long the answer may take. @default 10_000 */
  silenceMs?: number;
}

/** A client that connects again for as long as it takes, unless the key is refused. */
export function connect({ url, key, silenceMs = 10_000 }: ConnectOptions): Client {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const client = createClient({
    url: url.replace(/^http/, 'ws'),
    // A browser can set no headers on a WebSocket.
    connectionParams: { authorization: `Bearer ${key}` },
    retryAttempts: Number.POSITIVE_INFINITY,
    // At random, so that not everybody is back in the same moment after a restart of the server.
    retryWait: (retries) => sleep(Math.random() * Math.min(1_000 * 2 ** retries, RETRY_MS_MAX)),
    shouldRetry: (event) => (event as { code?: number }).code !== FORBIDDEN,
    // After sleep or a change of network, a connection can be dead and nobody says so.
    keepAlive: silenceMs,
    on: {
      ping: (isReceived) => {
        if (!isReceived) timer = setTimeout(() => client.terminate(), silenceMs);
      },
      pong: () => clearTimeout(timer),
      closed: () => clearTimeout(timer),
    },
  });
  return client;
}

/**
 * Subscribes, and goes on behind the latest batch whenever the client connects again. The client keeps the operation
 * and writes it anew on each connection, so all it takes is to keep the variable `after` up to date.
 *
 * @returns what ends it
 */
export function follow<Data, Extensions = unknown>(
  client: Client,
  operation: SubscribePayload,
  sink: Sink<FormattedExecutionResult<Data, Extensions>>,
): () => void {
  const variables = { ...operation.variables };
  const unsubscribe = client.subscribe<Data, Extensions>(
    { ...operation, variables },
    {
      next: (result) => {
        variables.after = findCursor(result.data) ?? variables.after;
        sink.next(result);
      },
      error: (error) => sink.error(error),
      complete: () => sink.complete(),
    },
  );
  // Libraries end a subscription while they are given its error. Where the server's word of its end comes in the same
  // packet, graphql-ws would count it as ended twice, and later not connect again for another one.
  return () => queueMicrotask(unsubscribe);
}

/** Cursor of a batch: that of the one field that a subscription has. */
function findCursor(data: unknown): string | undefined {
  const [batch] = Object.values(data ?? {});
  return batch?.cursor;
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
