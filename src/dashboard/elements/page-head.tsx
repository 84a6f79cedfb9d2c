import { Anchor, Breadcrumbs, Group, Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { PageTitle } from './page-title.tsx';

export interface PageHeadProps {
  /** The list that the thing is one of. */
  parent: { path: string; label: string };
  title: string;
  /** Beside the title. */
  badge?: ReactNode;
  actions?: ReactNode;
}

/** The head of a page that shows one thing. */
export function PageHead({ parent, title, badge, actions }: PageHeadProps) {
  return (
    <Stack gap={6}>
      <Breadcrumbs separator="›" fz="sm">
        <Anchor component={Link} to={parent.path} size="sm">
          {parent.label}
        </Anchor>
        <Text size="sm" c="dimmed" className="cut" maw={260}>
          {title}
        </Text>
      </Breadcrumbs>
      <Group justify="space-between" gap="sm">
        <Group gap="sm">
          <PageTitle title={title} />
          {badge}
        </Group>
        <Group gap="xs">{actions}</Group>
      </Group>
    </Stack>
  );
}
