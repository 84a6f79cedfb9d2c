import { Center, Loader } from '@mantine/core';
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react';
import { ErrorNotice } from '../elements/notices.tsx';
import { type Scope, ViewerDocument, type ViewerQuery } from '../generated/documents.ts';
import { signedOut } from '../graphql/client.ts';
import { useSteadyQuery } from '../graphql/use-steady-query.ts';
import { IS_EMBEDDED } from '../place.ts';
import { EmbedGate } from './embed-gate.tsx';
import { SignInPage } from './sign-in-page.tsx';

export type Viewer = ViewerQuery['viewer'];

const ViewerContext = createContext<Viewer | null>(null);

/** Who looks at the page. */
export function useViewer(): Viewer {
  const viewer = useContext(ViewerContext);
  if (!viewer) throw new Error('useViewer is of use only within a session.');
  return viewer;
}

/** Whether who looks may do what a scope allows. */
export const useMay = (scope: Scope): boolean => useViewer().scopes.includes(scope);

/** Shows the pages to who is signed in, and the way to sign in to everybody else. */
export function Session({ children }: { children: ReactNode }) {
  return IS_EMBEDDED ? (
    <EmbedGate>{(tokens) => <Embedded tokens={tokens}>{children}</Embedded>}</EmbedGate>
  ) : (
    <SignedIn>{children}</SignedIn>
  );
}

function SignedIn({ children }: { children: ReactNode }) {
  const [isSignedOut, setSignedOut] = useState(false);
  useEffect(() => {
    const end = () => setSignedOut(true);
    signedOut.addEventListener('signed-out', end);
    return () => signedOut.removeEventListener('signed-out', end);
  }, []);
  if (isSignedOut || window.location.pathname === '/sign-in') return <SignInPage />;
  return <KnownViewer>{children}</KnownViewer>;
}

/** @param tokens how many there were: each may be of somebody else, who is shown pages of their own */
function Embedded({ tokens, children }: { tokens: number; children: ReactNode }) {
  return (
    <KnownViewer asked={tokens}>
      <OfViewer>{children}</OfViewer>
    </KnownViewer>
  );
}

/** Begins anew where another endpoint or environment is shown. */
function OfViewer({ children }: { children: ReactNode }) {
  const { endpoint, environment } = useViewer();
  return <div key={`${environment?.id} ${endpoint?.id}`}>{children}</div>;
}

/** @param asked who looks is asked again when this changes */
function KnownViewer({ asked = 0, children }: { asked?: number; children: ReactNode }) {
  const { data, error, fetching, read } = useSteadyQuery({ query: ViewerDocument, variables: {} });
  useEffect(() => {
    signedOut.addEventListener('check', read);
    return () => signedOut.removeEventListener('check', read);
  }, [read]);
  useEffect(() => {
    if (asked > 1) read();
  }, [asked, read]);
  if (data) return <ViewerContext value={data.viewer}>{children}</ViewerContext>;
  return (
    <Center mih="100dvh" p="md">
      {error && !fetching ? <ErrorNotice error={error} onRetry={read} /> : <Loader size="sm" aria-label="Loading" />}
    </Center>
  );
}
