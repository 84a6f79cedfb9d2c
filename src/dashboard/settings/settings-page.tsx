import { Stack } from '@mantine/core';
import { PageTitle } from '../elements/page-title.tsx';
import { useMay, useViewer } from '../session/session.tsx';
import { ApiKeys } from './api-keys.tsx';
import { Environments } from './environments.tsx';

/** Who may do what, and where. */
export default function SettingsPage() {
  const { environment } = useViewer();
  const mayManage = useMay('API_KEYS_MANAGE');
  return (
    <Stack>
      <PageTitle title="Settings" />
      {environment && mayManage && <ApiKeys environment={environment} />}
      <Environments />
    </Stack>
  );
}
