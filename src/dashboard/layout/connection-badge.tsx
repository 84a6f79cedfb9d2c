import { Group, Text, Tooltip } from '@mantine/core';
import { TONES } from '../elements/status-badge.tsx';
import { type ConnectionState, useConnectionState } from '../live/connection.ts';

const LOOKS: Record<ConnectionState, { label: string; tone: keyof typeof TONES; meaning: string }> = {
  idle: { label: 'Still', tone: 'quiet', meaning: 'This page follows nothing live.' },
  connecting: { label: 'Connecting', tone: 'trying', meaning: 'The live connection is being made.' },
  live: { label: 'Live', tone: 'good', meaning: 'What happens shows as it happens.' },
  reconnecting: {
    label: 'Reconnecting',
    tone: 'trying',
    meaning: 'The connection is down. When it is back, the page shows what it missed.',
  },
  offline: {
    label: 'Offline',
    tone: 'bad',
    meaning: 'This machine is offline. When it is back, the page shows what it missed.',
  },
};

/** How the page's live connection does. */
export function ConnectionBadge() {
  const { label, tone, meaning } = LOOKS[useConnectionState()];
  return (
    <Tooltip label={meaning}>
      <Group gap={6} wrap="nowrap" role="status" aria-label={`Live connection: ${label}`} data-testid="connection">
        <span style={{ width: 9, height: 9, borderRadius: '50%', background: TONES[tone] }} />
        <Text size="xs" visibleFrom="xs" component="span">
          {label}
        </Text>
      </Group>
    </Tooltip>
  );
}
