import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useEffect, useRef } from 'react';
import { signedOut } from '../graphql/client.ts';
import { socket } from './connection.ts';

interface Batch {
  cursor?: string;
}

export interface FollowSink<Data> {
  onData: (data: Data) => void;
  /** The cursor is older than what is kept: read anew, and follow from there. */
  onExpired?: () => void;
}

/**
 * Follows a feed. Whenever the connection comes back it goes on behind the last batch, so nothing is missed and nothing comes
 * twice: the client keeps the operation and sends it anew, with `after` as it is by then.
 *
 * @returns what ends it
 */
export function follow<Data extends object, Variables extends object>(
  document: TypedDocumentNode<Data, Variables>,
  initial: Variables,
  { onData, onExpired }: FollowSink<Data>,
): () => void {
  const variables = { ...initial } as Record<string, unknown>;
  const stop = socket.subscribe<Data>(
    { query: document as unknown as string, variables },
    {
      next: ({ data, errors }) => {
        if (errors) return end(errors);
        const [batch] = Object.values(data ?? {}) as Batch[];
        if (batch?.cursor) variables.after = batch.cursor;
        if (data) onData(data);
      },
      error: (error) => end(Array.isArray(error) ? error : []),
      complete: () => {},
    },
  );
  const end = (errors: readonly { extensions?: Record<string, unknown> }[]) => {
    const codes = errors.map(({ extensions }) => extensions?.code);
    if (codes.includes('CURSOR_EXPIRED')) onExpired?.();
    else if (codes.includes('UNAUTHENTICATED') || codes.length === 0) signedOut.dispatchEvent(new Event('check'));
  };
  return stop;
}

export interface UseFollowOptions<Data> extends FollowSink<Data> {
  /** Not yet: what it begins behind is not known. @default false */
  pause?: boolean;
}

/** Follows a feed while the component is shown, anew where the variables change. */
export function useFollow<Data extends object, Variables extends object>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  { onData, onExpired, pause = false }: UseFollowOptions<Data>,
): void {
  const sink = useRef({ onData, onExpired });
  sink.current = { onData, onExpired };
  const key = JSON.stringify(variables);
  useEffect(() => {
    if (pause) return;
    return follow(document, JSON.parse(key) as Variables, {
      onData: (data) => sink.current.onData(data),
      onExpired: () => sink.current.onExpired?.(),
    });
  }, [document, key, pause]);
}
