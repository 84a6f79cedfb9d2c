import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useCallback, useEffect, useRef, useState } from 'react';
import { type AnyVariables, useQuery } from 'urql';

export interface SteadyQueryOptions<Data, Variables> {
  query: TypedDocumentNode<Data, Variables>;
  variables: Variables;
  /** What it is about: an answer about something else is not kept. @default the same, whatever the variables */
  about?: string;
}

/**
 * A query whose last answer stays while the next one is on its way, and also where that fails. Reads follow one another: what
 * is asked for while one is on its way is read behind it, so a slow line is not asked ever again without an answer.
 */
export function useSteadyQuery<Data, Variables extends AnyVariables>({
  query,
  variables,
  about = '',
}: SteadyQueryOptions<Data, Variables>) {
  const [{ data: latest, error, fetching }, execute] = useQuery<Data, AnyVariables>({ query, variables });
  const [kept, setKept] = useState<{ about: string; data: Data } | null>(null);
  // While it is fetching, what is there is the answer to another question.
  if (!fetching && latest !== undefined && latest !== kept?.data) setKept({ about, data: latest });

  const isReading = useRef(fetching);
  const isWanted = useRef(false);
  const read = useCallback(() => {
    if (isReading.current) isWanted.current = true;
    else execute();
  }, [execute]);
  useEffect(() => {
    isReading.current = fetching;
    if (fetching || !isWanted.current) return;
    isWanted.current = false;
    execute();
  }, [fetching, execute]);
  return { data: kept?.about === about ? kept.data : undefined, error, fetching, read };
}
