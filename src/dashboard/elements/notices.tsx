import { Alert, Button, Center, Loader, Stack, Text, ThemeIcon } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconAlertTriangle, type IconInbox } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import type { CombinedError } from 'urql';
import { describeError } from '../graphql/client.ts';

/** What went wrong, and a way to try again. */
export function ErrorNotice({ error, onRetry }: { error: CombinedError; onRetry?: () => void }) {
  return (
    <Alert color="red" variant="outline" icon={<IconAlertTriangle />} title="This could not be loaded" role="alert">
      <Stack gap="xs" align="flex-start">
        <Text size="sm">{describeError(error)}</Text>
        {onRetry && (
          <Button size="xs" variant="default" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

export function Loading({ label = 'Loading' }: { label?: string }) {
  return (
    <Center p="xl" role="status" aria-label={label}>
      <Loader size="sm" />
    </Center>
  );
}

export interface EmptyStateProps {
  icon: typeof IconInbox;
  title: string;
  children: ReactNode;
  /** What to do next. */
  action?: ReactNode;
}

/** Stands where nothing is to show yet, and says what to do next. */
export function EmptyState({ icon: Icon, title, children, action }: EmptyStateProps) {
  return (
    <Center p="xl">
      <Stack align="center" gap="xs" maw={440}>
        <ThemeIcon size={48} radius="xl" variant="default">
          <Icon size={24} stroke={1.5} />
        </ThemeIcon>
        <Text fw={600}>{title}</Text>
        <Text size="sm" c="dimmed" ta="center">
          {children}
        </Text>
        {action}
      </Stack>
    </Center>
  );
}

/** Tells in a corner of the page that something was done. */
export const tell = (message: string) => notifications.show({ message, color: 'teal', autoClose: 4_000 });

/** Tells in a corner of the page that something was not done, and why. */
export const tellFault = (message: string) =>
  notifications.show({ title: 'That was not done', message, color: 'red', autoClose: 8_000 });
