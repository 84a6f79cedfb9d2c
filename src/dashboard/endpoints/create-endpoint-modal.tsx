import { Button, Group, Modal, Stack } from '@mantine/core';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { FormButtons } from '../elements/form-buttons.tsx';
import { tellFault } from '../elements/notices.tsx';
import { SecretNotice, whileOpen } from '../elements/secret-notice.tsx';
import { CreateEndpointDocument } from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { EndpointFields } from './endpoint-fields.tsx';
import { NEW_ENDPOINT, toFieldFaults, toInput } from './endpoint-values.ts';
import { useEndpointForm } from './use-endpoint-form.ts';

/** Makes an endpoint, and shows its secret this once. */
export function CreateEndpointModal({ onClose }: { onClose: () => void }) {
  const form = useEndpointForm(NEW_ENDPOINT);
  const [isBusy, setBusy] = useState(false);
  const [made, setMade] = useState<{ id: string; secret: string } | null>(null);
  const [, navigate] = useLocation();
  const create = form.onSubmit(async (values) => {
    setBusy(true);
    const result = await perform(CreateEndpointDocument, { input: toInput(values) });
    setBusy(false);
    if (result.ok) return setMade({ id: result.payload.endpoint.id, secret: result.payload.secret });
    form.setErrors(toFieldFaults(result.faults));
    if (Object.keys(result.faults).length === 0) tellFault(result.message);
  });
  if (made) {
    const leave = () => navigate(`/endpoints/${made.id}`, { replace: true });
    return (
      <Modal opened onClose={leave} title="The endpoint is there" {...whileOpen(true)}>
        <Stack>
          <SecretNotice secret={made.secret} what="signing secret" />
          <Group justify="flex-end">
            <Button onClick={leave}>Go to the endpoint</Button>
          </Group>
        </Stack>
      </Modal>
    );
  }
  return (
    <Modal opened onClose={onClose} title="Create an endpoint" size="lg" {...whileOpen(isBusy)}>
      <form onSubmit={create} noValidate>
        <EndpointFields form={form} headerNames={[]} />
        <FormButtons verb="Create" isBusy={isBusy} onBack={onClose} />
      </form>
    </Modal>
  );
}
