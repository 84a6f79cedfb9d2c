import { Center, Loader } from '@mantine/core';
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react';
import { useQuery } from 'urql';
import { ErrorNotice } from '../elements/notices.tsx';
import { type Scope, ViewerDocument, type ViewerQuery } from '../generated/documents.ts';
import { signedOut } from '../graphql/client.ts';
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
    <EmbedGate>
      <KnownViewer signIn={null}>{children}</KnownViewer>
    </EmbedGate>
  ) : (
    <KnownViewer signIn={<SignInPage />}>{children}</KnownViewer>
  );
}

/** @param signIn stands in place of the pages while nobody is signed in */
function KnownViewer({ signIn, children }: { signIn: ReactNode; children: ReactNode }) {
  const [{ data, error, fetching }, ask] = useQuery({ query: ViewerDocument, requestPolicy: 'network-only' });
  const [isSignedOut, setSignedOut] = useState(false);
  useEffect(() => {
    const end = () => setSignedOut(true);
    const check = () => ask();
    signedOut.addEventListener('signed-out', end);
    signedOut.addEventListener('check', check);
    return () => {
      signedOut.removeEventListener('signed-out', end);
      signedOut.removeEventListener('check', check);
    };
  }, [ask]);
  if (isSignedOut || window.location.pathname.endsWith('/sign-in')) return signIn;
  if (data) return <ViewerContext value={data.viewer}>{children}</ViewerContext>;
  return (
    <Center mih="100dvh" p="md">
      {error && !fetching ? <ErrorNotice error={error} onRetry={ask} /> : <Loader size="sm" aria-label="Loading" />}
    </Center>
  );
}
