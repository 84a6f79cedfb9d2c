import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useCallback, useState } from 'react';
import { type AnyVariables, useQuery } from 'urql';

export interface SteadyQueryOptions<Data, Variables> {
  query: TypedDocumentNode<Data, Variables>;
  variables: Variables;
  /** What it is about: an answer about something else is not kept. @default the same, whatever the variables */
  about?: string;
}

/** A query whose last answer stays while the next one is on its way, and also where that fails. */
export function useSteadyQuery<Data, Variables extends AnyVariables>({
  query,
  variables,
  about = '',
}: SteadyQueryOptions<Data, Variables>) {
  const [{ data: latest, error, fetching }, execute] = useQuery<Data, AnyVariables>({ query, variables });
  const [kept, setKept] = useState<{ about: string; data: Data } | null>(null);
  // While it is fetching, what is there is the answer to another question.
  if (!fetching && latest !== undefined && latest !== kept?.data) setKept({ about, data: latest });
  const read = useCallback(() => execute(), [execute]);
  return { data: kept?.about === about ? kept.data : undefined, error, fetching, read };
}
