import { Center, Text } from '@mantine/core';
import { type ReactNode, useEffect, useState } from 'react';
import { signedOut } from '../graphql/client.ts';
import { holdToken } from './access.ts';

/** What the page around the frame sends: a token to begin with, or to go on with. */
interface TokenMessage {
  type: 'posthorn.token';
  token: string;
}

const isTokenMessage = (data: unknown): data is TokenMessage =>
  (data as TokenMessage)?.type === 'posthorn.token' && typeof (data as TokenMessage).token === 'string';

/** The page around the frame may give the first token behind `#token=`, which browsers send nowhere. */
function takeTokenOfAddress(): string | null {
  const token = new URLSearchParams(window.location.hash.slice(1)).get('token');
  if (token) window.history.replaceState(null, '', window.location.pathname + window.location.search);
  return token;
}

const firstToken = takeTokenOfAddress();
if (firstToken) holdToken(firstToken);

/** Asks the page around the frame for a token when there is none, or it has ended. Who may be around is said by the server. */
const askForToken = () => window.parent.postMessage({ type: 'posthorn.token-needed' }, '*');

/** Shows what is in it once there is a browser token, anew with each one. */
export function EmbedGate({ children }: { children: ReactNode }) {
  const [tokens, setTokens] = useState(firstToken ? 1 : 0);
  useEffect(() => {
    const receive = ({ source, data }: MessageEvent) => {
      if (source !== window.parent || !isTokenMessage(data)) return;
      holdToken(data.token);
      setTokens((count) => count + 1);
    };
    const end = () => {
      setTokens(0);
      askForToken();
    };
    window.addEventListener('message', receive);
    signedOut.addEventListener('signed-out', end);
    if (!firstToken) askForToken();
    return () => {
      window.removeEventListener('message', receive);
      signedOut.removeEventListener('signed-out', end);
    };
  }, []);
  if (tokens > 0) return <div key={tokens}>{children}</div>;
  return (
    <Center p="xl" role="status">
      <Text c="dimmed">This view needs a new token from the page around it.</Text>
    </Center>
  );
}
