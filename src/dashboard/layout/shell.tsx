import { AppShell, Box, Burger, Group, NavLink, ScrollArea, Text, UnstyledButton } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconBroadcast, IconGauge, type IconInbox, IconSend, IconSettings, IconWebhook } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { Logo } from '../elements/logo.tsx';
import { IS_EMBEDDED } from '../place.ts';
import { useViewer } from '../session/session.tsx';
import { AccountMenu } from './account-menu.tsx';
import { ConnectionBadge } from './connection-badge.tsx';
import { EnvironmentMenu } from './environment-menu.tsx';
import { KeyboardHelp } from './keyboard-help.tsx';
import { SearchBox } from './search-box.tsx';

interface PageLink {
  path: string;
  label: string;
  icon: typeof IconInbox;
}

const PAGES: PageLink[] = [
  { path: '/', label: 'Overview', icon: IconGauge },
  { path: '/deliveries', label: 'Deliveries', icon: IconSend },
  { path: '/events', label: 'Events', icon: IconBroadcast },
  { path: '/endpoints', label: 'Endpoints', icon: IconWebhook },
];
const SETTINGS: PageLink = { path: '/settings', label: 'Settings', icon: IconSettings };

/** What stands around every page. */
export function Shell({ children }: { children: ReactNode }) {
  const [isOpen, { toggle, close }] = useDisclosure();
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !isOpen } }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <AppShell.Header>
        <Group h="100%" px="md" gap="sm" wrap="nowrap" justify="space-between">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
            <UnstyledButton component={Link} to="/" aria-label="Posthorn, overview">
              <Group gap={8} wrap="nowrap">
                <Logo />
                <Text fw={700} size="lg" visibleFrom="sm" component="span">
                  Posthorn
                </Text>
              </Group>
            </UnstyledButton>
            {!IS_EMBEDDED && <EnvironmentMenu />}
          </Group>
          <Group gap="xs" wrap="nowrap" style={{ minWidth: 0 }}>
            <SearchBox />
            <ConnectionBadge />
            <AccountMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs">
        <Navigation onChosen={close} />
      </AppShell.Navbar>
      <AppShell.Main>
        <Box maw={1360} mx="auto">
          {children}
        </Box>
      </AppShell.Main>
      <KeyboardHelp />
    </AppShell>
  );
}

function Navigation({ onChosen }: { onChosen: () => void }) {
  const [pathname] = useLocation();
  const { kind } = useViewer();
  const pages = kind === 'BROWSER_TOKEN' ? PAGES : [...PAGES, SETTINGS];
  const isShown = (path: string) => (path === '/' ? pathname === '/' : `${pathname}/`.startsWith(`${path}/`));
  return (
    <AppShell.Section grow component={ScrollArea}>
      <nav aria-label="Pages">
        {pages.map(({ path, label, icon: Icon }) => (
          <NavLink
            key={path}
            component={Link}
            to={path}
            label={label}
            leftSection={<Icon size={18} stroke={1.7} />}
            active={isShown(path)}
            aria-current={isShown(path) ? 'page' : undefined}
            onClick={onChosen}
            style={{ borderRadius: 'var(--mantine-radius-md)' }}
          />
        ))}
      </nav>
    </AppShell.Section>
  );
}
