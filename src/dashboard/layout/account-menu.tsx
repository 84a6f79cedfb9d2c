import { ActionIcon, Menu, Text, useMantineColorScheme } from '@mantine/core';
import { IconDeviceDesktop, IconKeyboard, IconLogout, IconMoon, IconSun, IconUser } from '@tabler/icons-react';
import { tellFault } from '../elements/notices.tsx';
import { exactTime } from '../elements/time.tsx';
import { IS_EMBEDDED } from '../place.ts';
import { useViewer, type Viewer } from '../session/session.tsx';
import { signOut } from '../session/sign-in.ts';
import { showKeyboardHelp } from './keyboard-help.tsx';

const KINDS: Record<Viewer['kind'], string> = {
  OPERATOR: 'Operator',
  API_KEY: 'API key',
  BROWSER_TOKEN: 'Browser token',
};

const SCHEMES = [
  { scheme: 'light', label: 'Light', icon: IconSun },
  { scheme: 'dark', label: 'Dark', icon: IconMoon },
  { scheme: 'auto', label: 'As the system', icon: IconDeviceDesktop },
] as const;

/** Who is signed in, and how the page looks. */
export function AccountMenu() {
  const { kind, expiresAt } = useViewer();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <Menu position="bottom-end" withArrow>
      <Menu.Target>
        <ActionIcon variant="default" size="lg" aria-label="Account and appearance">
          <IconUser size={18} stroke={1.7} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Text size="sm" px="sm" py={6}>
          Signed in: <b>{KINDS[kind]}</b>
          {expiresAt && (
            <Text size="xs" c="dimmed">
              until {exactTime(expiresAt)}
            </Text>
          )}
        </Text>
        <Menu.Divider />
        {SCHEMES.map(({ scheme, label, icon: Icon }) => (
          <Menu.Item
            key={scheme}
            leftSection={<Icon size={16} />}
            onClick={() => setColorScheme(scheme)}
            aria-current={colorScheme === scheme}
            fw={colorScheme === scheme ? 700 : undefined}
          >
            {label}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item leftSection={<IconKeyboard size={16} />} onClick={showKeyboardHelp}>
          Keyboard shortcuts
        </Menu.Item>
        {!IS_EMBEDDED && (
          <Menu.Item
            leftSection={<IconLogout size={16} />}
            onClick={async () => {
              const fault = await signOut();
              if (fault) tellFault(fault);
            }}
          >
            Sign out
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
