import { Center, Text } from '@mantine/core';
import { type ReactNode, useEffect, useState } from 'react';
import { signedOut } from '../graphql/client.ts';
import { holdToken } from './access.ts';

/** What browser tokens look like. Anything else is not taken: a page around the frame can hand in nothing but these. */
const TOKEN = /^pht_[\w.-]+$/;

/** What the page around the frame sends: a token to begin with, or to go on with. */
interface TokenMessage {
  type: 'posthorn.token';
  token: string;
}

const isTokenMessage = (data: unknown): data is TokenMessage =>
  (data as TokenMessage)?.type === 'posthorn.token' && TOKEN.test(String((data as TokenMessage).token));

/** The page around the frame may give the first token behind `#token=`, which browsers send nowhere. */
function takeTokenOfAddress(): string | null {
  const token = new URLSearchParams(window.location.hash.slice(1)).get('token');
  if (token !== null) window.history.replaceState(null, '', window.location.pathname + window.location.search);
  return token !== null && TOKEN.test(token) ? token : null;
}

const firstToken = takeTokenOfAddress();
if (firstToken) holdToken(firstToken);

/** Asks the page around the frame for a token when there is none, or it has ended. Who may be around is said by the server. */
const askForToken = () => window.parent.postMessage({ type: 'posthorn.token-needed' }, '*');

/**
 * Shows what is in it once there is a browser token. When that has ended, what is shown stays, and goes on with the next
 * one; until then a line says so.
 *
 * @param children is given how many tokens there were: who looks is asked anew with each
 */
export function EmbedGate({ children }: { children: (tokens: number) => ReactNode }) {
  const [tokens, setTokens] = useState(firstToken ? 1 : 0);
  const [isNeeded, setNeeded] = useState(!firstToken);
  useEffect(() => {
    const receive = ({ source, data }: MessageEvent) => {
      if (source !== window.parent || !isTokenMessage(data)) return;
      holdToken(data.token);
      setNeeded(false);
      setTokens((count) => count + 1);
    };
    const end = () => {
      setNeeded(true);
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
  return (
    <>
      {isNeeded && (
        <Center p="sm" role="status">
          <Text c="dimmed">This view needs a new token from the page around it.</Text>
        </Center>
      )}
      {tokens > 0 && children(tokens)}
    </>
  );
}
