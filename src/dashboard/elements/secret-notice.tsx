import { Alert, Code, Group, Text } from '@mantine/core';
import { IconKey } from '@tabler/icons-react';
import { Copy } from './copy.tsx';

/** A secret that is shown this once. */
export function SecretNotice({ secret, what }: { secret: string; what: string }) {
  return (
    <Alert color="yellow" variant="outline" icon={<IconKey />} title={`The ${what}: shown this once`} role="alert">
      <Group gap={4} wrap="nowrap">
        <Code style={{ overflowWrap: 'anywhere' }} data-testid="secret">
          {secret}
        </Code>
        <Copy text={secret} what={what} />
      </Group>
      <Text size="sm" mt="xs">
        Keep it where secrets are kept. Posthorn stores it so that nobody can read it back.
      </Text>
    </Alert>
  );
}

/** For dialogs that make secrets: while one is made or shown, nothing but their button closes them. */
export const whileOpen = (isHeld: boolean) => ({
  closeOnClickOutside: !isHeld,
  closeOnEscape: !isHeld,
  withCloseButton: !isHeld,
});
