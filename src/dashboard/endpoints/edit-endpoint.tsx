import { Button, Group } from '@mantine/core';
import { useState } from 'react';
import { tell, tellFault } from '../elements/notices.tsx';
import { Panel } from '../elements/panel.tsx';
import { type EndpointPartsFragment, UpdateEndpointDocument } from '../generated/documents.ts';
import { perform } from '../graphql/perform.ts';
import { EndpointFields } from './endpoint-fields.tsx';
import { toChanges, toFieldFaults, toValues } from './endpoint-values.ts';
import { useEndpointForm } from './use-endpoint-form.ts';

/** Changes an endpoint. */
export function EditEndpoint({ endpoint, onSaved }: { endpoint: EndpointPartsFragment; onSaved: () => void }) {
  const [initial, setInitial] = useState(() => toValues(endpoint));
  const form = useEndpointForm(initial);
  const [isBusy, setBusy] = useState(false);
  const save = form.onSubmit(async (values) => {
    setBusy(true);
    const result = await perform(UpdateEndpointDocument, {
      input: { endpointId: endpoint.id, ...toChanges(initial, values) },
    });
    setBusy(false);
    if (!result.ok) {
      form.setErrors(toFieldFaults(result.faults));
      if (Object.keys(result.faults).length === 0) tellFault(result.message);
      return;
    }
    tell('Saved. Deliveries go by it from now on.');
    const saved = toValues(result.payload.endpoint);
    setInitial(saved);
    form.setInitialValues(saved);
    form.setValues(saved);
    onSaved();
  });
  return (
    <Panel title="Settings" maw={720}>
      <form onSubmit={save} noValidate>
        <EndpointFields form={form} headerNames={Object.keys(endpoint.headers as object)} />
        <Group justify="flex-end" mt="md">
          <Button variant="default" onClick={() => form.reset()} disabled={!form.isDirty()}>
            Undo changes
          </Button>
          <Button type="submit" loading={isBusy} disabled={!form.isDirty()}>
            Save
          </Button>
        </Group>
      </form>
    </Panel>
  );
}
