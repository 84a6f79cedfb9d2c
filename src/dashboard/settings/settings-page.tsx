import { Stack, Title } from '@mantine/core';
import { useMay, useViewer } from '../session/session.tsx';
import { ApiKeys } from './api-keys.tsx';
import { Environments } from './environments.tsx';

/** Who may do what, and where. */
export default function SettingsPage() {
  const { environment } = useViewer();
  const mayManage = useMay('API_KEYS_MANAGE');
  return (
    <Stack>
      <Title order={1} size="h3">
        Settings
      </Title>
      {environment && mayManage && <ApiKeys environment={environment} />}
      <Environments />
    </Stack>
  );
}
