import { Alert, Button, Center, Code, Group, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { type FormEvent, useEffect, useState } from 'react';
import { Logo } from '../elements/logo.tsx';
import { type Credential, signIn } from './sign-in.ts';

/** The token of a link that signs in once stands behind `#`, which browsers send nowhere. */
const takeLinkToken = (): string | null => {
  const token = window.location.pathname === '/sign-in' ? window.location.hash.slice(1) : '';
  if (token === '') return null;
  window.history.replaceState(null, '', '/sign-in');
  return token;
};

let linkToken = takeLinkToken();

/** Signs in with an API key, or by a link. */
export function SignInPage() {
  const [key, setKey] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(linkToken !== null);

  const enter = async (credential: Credential) => {
    setBusy(true);
    const found = await signIn(credential);
    if (found === null) {
      if (window.location.pathname === '/sign-in') window.location.replace('/');
      else window.location.reload();
      return;
    }
    setFault(found);
    setBusy(false);
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: a link counts once
  useEffect(() => {
    const token = linkToken;
    linkToken = null;
    if (token !== null) void enter({ token });
  }, []);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() === '') setFault('Enter an API key.');
    else void enter({ key: key.trim() });
  };

  return (
    <Center mih="100dvh" p="md" component="main">
      <Paper withBorder shadow="sm" p="xl" w="100%" maw={440}>
        <form onSubmit={submit}>
          <Stack>
            <Group gap="sm">
              <Logo size={36} />
              <Title order={1} size="h3">
                Sign in to Posthorn
              </Title>
            </Group>
            {fault && (
              <Alert color="red" variant="outline" role="alert">
                {fault}
              </Alert>
            )}
            <PasswordInput
              label="API key"
              placeholder="phk_…"
              value={key}
              onChange={(event) => setKey(event.currentTarget.value)}
              autoComplete="current-password"
              data-autofocus
              autoFocus
              disabled={isBusy}
            />
            <Button type="submit" loading={isBusy} fullWidth>
              Sign in
            </Button>
            <Text size="sm" c="dimmed">
              Any API key opens what it may see. On the machine that runs Posthorn, the operator's key stands in{' '}
              <Code>.posthorn/keys.json</Code>, and each start prints a link that signs in.
            </Text>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}
