import { Modal, Stack, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { FormButtons } from '../elements/form-buttons.tsx';

export interface NameModalProps {
  title: string;
  /** @returns null; or what is wrong with the name */
  onName: (name: string) => Promise<string | null>;
  onClose: () => void;
}

/** Asks for the name of what is to be made. */
export function NameModal({ title, onName, onClose }: NameModalProps) {
  const [name, setName] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === '') return setFault('Enter a name.');
    setBusy(true);
    const found = await onName(name.trim());
    setBusy(false);
    if (found === null) onClose();
    else setFault(found);
  };
  return (
    <Modal opened onClose={onClose} title={title}>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Stack>
          <TextInput
            label="Name"
            required
            value={name}
            error={fault}
            onChange={(event) => setName(event.currentTarget.value)}
            data-autofocus
          />
          <FormButtons verb="Create" isBusy={isBusy} onBack={onClose} />
        </Stack>
      </form>
    </Modal>
  );
}
