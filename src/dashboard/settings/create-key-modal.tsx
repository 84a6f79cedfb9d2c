import { Button, Checkbox, Group, Modal, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useState } from 'react';
import { FormButtons } from '../elements/form-buttons.tsx';
import { tellFault } from '../elements/notices.tsx';
import { SecretNotice, whileOpen } from '../elements/secret-notice.tsx';
import { TimeField } from '../elements/time-field.tsx';
import { CreateApiKeyDocument, type Scope } from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { useViewer } from '../session/session.tsx';

const SCOPES: Record<Scope, string> = {
  EVENTS_PUBLISH: 'Publish events',
  DELIVERIES_READ: 'Read events, deliveries and endpoints, and follow them live',
  DELIVERIES_RETRY: 'Retry, cancel and record deliveries',
  ENDPOINTS_MANAGE: 'Create, change and delete endpoints',
  API_KEYS_MANAGE: 'Create environments, and create and revoke API keys',
};

/** Makes an API key, and shows it this once. */
export function CreateKeyModal({ environmentId, onClose }: { environmentId: string; onClose: () => void }) {
  const { scopes: own } = useViewer();
  const [secret, setSecret] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const form = useForm<{ name: string; scopes: Scope[]; expiresAt: string | null }>({
    initialValues: { name: '', scopes: ['DELIVERIES_READ'], expiresAt: null },
    validate: {
      name: (name) => (name.trim() === '' ? 'Say what it is for.' : null),
      scopes: (scopes) => (scopes.length === 0 ? 'Choose at least one.' : null),
    },
  });
  const create = form.onSubmit(async ({ name, scopes, expiresAt }) => {
    setBusy(true);
    const input = { environmentId, name, scopes, expiresAt };
    const result = await perform(CreateApiKeyDocument, { input });
    setBusy(false);
    if (result.ok) return setSecret(result.payload.secret);
    form.setErrors(result.faults);
    if (Object.keys(result.faults).length === 0) tellFault(result.message);
  });
  return (
    <Modal opened onClose={onClose} title="Create an API key" {...whileOpen(isBusy || secret !== null)}>
      {secret !== null ? (
        <Stack>
          <SecretNotice secret={secret} what="API key" />
          <Group justify="flex-end">
            <Button onClick={onClose}>Done</Button>
          </Group>
        </Stack>
      ) : (
        <form onSubmit={create} noValidate>
          <Stack>
            <TextInput
              label="Name"
              description="What it is for"
              required
              data-autofocus
              {...form.getInputProps('name')}
            />
            <Checkbox.Group label="Scopes" description="What it may do" required {...form.getInputProps('scopes')}>
              <Stack gap={8} mt="xs">
                {own.map((scope) => (
                  <Checkbox key={scope} value={scope} label={SCOPES[scope]} description={scope} />
                ))}
              </Stack>
            </Checkbox.Group>
            <TimeField label="Ends" description="Left out: never" {...form.getInputProps('expiresAt')} />
            <FormButtons verb="Create" isBusy={isBusy} onBack={onClose} />
          </Stack>
        </form>
      )}
    </Modal>
  );
}
