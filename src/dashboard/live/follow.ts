import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useEffect, useRef } from 'react';
import { signedOut } from '../graphql/client.ts';
import { countBrokenFeed, socket } from './connection.ts';

/** A feed that ended without being asked to is begun anew after so long, twice as long each time in a row. */
const AGAIN_MS_MIN = 1_000;
const AGAIN_MS_MAX = 30_000;

interface Batch {
  cursor?: string;
}

type Errors = readonly { message: string; extensions?: Record<string, unknown> }[];

/** What stays as it is, however often it is asked. */
const LASTING = ['BAD_USER_INPUT', 'FORBIDDEN', 'GRAPHQL_VALIDATION_FAILED', 'COST_LIMIT_EXCEEDED'];

/** Also a cursor that the server can't read, as after its database was put back to an earlier day. */
const isOfCursor = ({ message, extensions }: Errors[number]) =>
  extensions?.code === 'CURSOR_EXPIRED' || (extensions?.code === 'BAD_USER_INPUT' && /cursor/i.test(message));

export interface FollowSink<Data> {
  onData: (data: Data) => void;
  /** The cursor is older than what is kept, or is none: read anew, and follow from there. Left out: from now on. */
  onExpired?: () => void;
}

/**
 * Follows a feed for as long as it takes. Whenever the connection comes back it goes on behind the last batch, so nothing is
 * missed and nothing comes twice: the client keeps the operation and sends it anew, with `after` as it is by then.
 * Where the server refuses or ends it, it is begun anew a little later.
 *
 * @returns what ends it
 */
export function follow<Data extends object, Variables extends object>(
  document: TypedDocumentNode<Data, Variables>,
  initial: Variables,
  { onData, onExpired }: FollowSink<Data>,
): () => void {
  const variables = { ...initial } as Record<string, unknown>;
  let stop = () => {};
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let mend: (() => void) | null = null;

  const begin = () => {
    let isOver = false;
    const end = (errors: Errors) => {
      if (isOver) return;
      isOver = true;
      unsubscribe();
      const codes = errors.map(({ extensions }) => extensions?.code);
      if (codes.includes('UNAUTHENTICATED')) signedOut.dispatchEvent(new Event('check'));
      if (errors.some(isOfCursor)) {
        variables.after = null;
        if (onExpired) return onExpired();
      } else if (codes.some((code) => LASTING.includes(code as string))) return;
      mend ??= countBrokenFeed();
      timer = setTimeout(begin, Math.min(AGAIN_MS_MIN * 2 ** failures, AGAIN_MS_MAX));
      failures += 1;
    };
    const unsubscribe = socket.subscribe<Data>(
      { query: document as unknown as string, variables },
      {
        next: ({ data, errors }) => {
          if (errors) return end(errors);
          failures = 0;
          mend = mend?.() ?? null;
          const [batch] = Object.values(data ?? {}) as Batch[];
          if (batch?.cursor) variables.after = batch.cursor;
          if (data) onData(data);
        },
        error: (error) => end(Array.isArray(error) ? error : []),
        complete: () => end([]),
      },
    );
    stop = () => {
      isOver = true;
      unsubscribe();
    };
  };

  begin();
  return () => {
    clearTimeout(timer);
    mend?.();
    stop();
  };
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
  const canExpire = onExpired !== undefined;
  useEffect(() => {
    if (pause) return;
    return follow(document, JSON.parse(key) as Variables, {
      onData: (data) => sink.current.onData(data),
      ...(canExpire && { onExpired: () => sink.current.onExpired?.() }),
    });
  }, [document, key, pause, canExpire]);
}
