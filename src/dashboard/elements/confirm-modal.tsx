import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';

export interface ConfirmModalProps {
  title: string;
  /** What will happen. */
  children: ReactNode;
  /** On the button. */
  verb: string;
  /** Must be typed first, where what is done can't be undone. */
  typed?: string;
  /** @returns null; or why it was not done */
  onConfirm: () => Promise<string | null>;
  onClose: () => void;
}

/** Asks before something is done that is hard to undo. */
export function ConfirmModal({ title, children, verb, typed, onConfirm, onClose }: ConfirmModalProps) {
  const [text, setText] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    const found = await onConfirm();
    setBusy(false);
    if (found === null) onClose();
    else setFault(found);
  };
  return (
    <Modal opened onClose={onClose} title={title}>
      <Stack>
        <Text size="sm" component="div">
          {children}
        </Text>
        {typed !== undefined && (
          <TextInput
            label={`Type “${typed}” to confirm`}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            data-autofocus
          />
        )}
        {fault && (
          <Text size="sm" c="var(--mantine-color-error)" role="alert">
            {fault}
          </Text>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button
            color="red"
            loading={isBusy}
            disabled={typed !== undefined && text !== typed}
            onClick={() => void confirm()}
          >
            {verb}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
