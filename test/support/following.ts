import { createClient } from 'graphql-ws';
import { afterEach, expect } from 'vitest';
import { WebSocket } from 'ws';
import { ROOT_KEY, type TestBed } from './posthorn.ts';

/** A subscription, and who asks for it. */
export interface FollowOptions {
  query: string;
  variables?: Record<string, unknown>;
  /** @default the operator's key; null: none */
  key?: string | null;
  /** @default the bed's first process */
  url?: string;
  headers?: Record<string, string>;
}

/** What a feed gives: the value of the subscription's one field, and over SSE the ID of the event. */
export type Followed<T> = T & { eventId?: string };

/** The feed refused to go on: with an error of GraphQL, or a close code. */
export class FeedError extends Error {
  readonly code: string | number;
  /** Of GraphQL; none where the connection was closed. */
  readonly errors: readonly { message: string; extensions?: unknown }[];
  /** Of the HTTP response. */
  readonly status: number | undefined;

  constructor(code: string | number, errors: FeedError['errors'] = [], status?: number) {
    super(`The feed ended with ${code}. ${errors.map(({ message }) => message).join(' ')}`);
    this.code = code;
    this.errors = errors;
    this.status = status;
  }
}

function toFeedError(errors: FeedError['errors'], status?: number) {
  const extensions = errors[0]?.extensions as { code: string } | undefined;
  return new FeedError(extensions?.code ?? 'no code', errors, status);
}

/** The error that a feed ends with; null: it ended by itself. */
export async function findFeedError(feed: AsyncGenerator<unknown>): Promise<FeedError | null> {
  try {
    for await (const _ of feed);
    return null;
  } catch (error) {
    if (error instanceof FeedError) return error;
    throw error;
  }
}

export type Transport = 'WebSocket' | 'SSE';

/** Subscriptions for the tests of a file, over real sockets. What a test leaves open is closed when it ends. */
export function useFollowing(bed: TestBed) {
  const cleanUps = new Set<() => unknown>();
  afterEach(async () => {
    for (const cleanUp of cleanUps) await cleanUp();
    cleanUps.clear();
  });
  const defer = (end: () => unknown) => {
    cleanUps.add(end);
    return () => {
      end();
      cleanUps.delete(end);
    };
  };
  return {
    follow: <T>(transport: Transport, options: FollowOptions): AsyncGenerator<Followed<T>> => {
      const complete = { key: ROOT_KEY, url: bed.url, ...options };
      return transport === 'SSE' ? followSse<T>(complete, defer) : followWebsocket<T>(complete, defer);
    },
  };
}

type Complete = FollowOptions & { key: string | null; url: string };
type Defer = (end: () => unknown) => () => void;

const toValue = <T>(data: Record<string, T>) => Object.values(data)[0] as T;

async function* followWebsocket<T>({ query, variables, key, url, headers }: Complete, defer: Defer) {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: class extends WebSocket {
      constructor(address: string, protocol: string) {
        super(address, protocol, { headers });
      }
    },
    connectionParams: key === null ? {} : { authorization: `Bearer ${key}` },
    retryAttempts: 0,
  });
  const end = defer(() => client.terminate());
  try {
    for await (const { data, errors } of client.iterate<Record<string, T>>({ query, variables })) {
      if (errors) throw toFeedError(errors);
      if (data) yield toValue(data) as Followed<T>;
    }
  } catch (error) {
    if (error instanceof FeedError) throw error;
    throw Array.isArray(error) ? toFeedError(error) : new FeedError((error as { code: number }).code);
  } finally {
    end();
  }
}

async function* followSse<T>({ query, variables, key, url, headers }: Complete, defer: Defer) {
  const abort = new AbortController();
  const end = defer(() => abort.abort());
  try {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: {
        accept: 'text/event-stream',
        'content-type': 'application/json',
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...headers,
      },
      body: JSON.stringify({ query, variables }),
      signal: abort.signal,
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    for await (const { event, data, id } of parseEvents(response.body as ReadableStream<Uint8Array>)) {
      if (event === 'complete') return;
      if (event !== 'next') continue;
      const result = JSON.parse(data);
      if (result.errors) throw toFeedError(result.errors, response.status);
      yield { ...toValue<T>(result.data), eventId: id } as Followed<T>;
    }
  } finally {
    end();
  }
}

/** Events of a stream, as the HTML standard's section "Server-sent events" has them. */
async function* parseEvents(stream: ReadableStream<Uint8Array>) {
  let text = '';
  for await (const chunk of stream.pipeThrough(new TextDecoderStream() as never) as unknown as AsyncIterable<string>) {
    const blocks = (text + chunk).split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = block.split('\n').map((line) => /^([^:]*): ?(.*)$/.exec(line) ?? ['', '', '']);
      const find = (name: string) => fields.filter((field) => field[1] === name).map((field) => field[2] ?? '');
      yield { event: find('event')[0] ?? 'message', data: find('data').join('\n'), id: find('id')[0] };
    }
  }
}
