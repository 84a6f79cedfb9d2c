import { Alert, Button, Group, List, Modal, Progress, Stack, Text } from '@mantine/core';
import { useEffect } from 'react';
import { type BulkAction, type BulkProgress, type BulkTarget, COUNT_MAX, useBulkChange } from './bulk-change.ts';
import { NOT_RETRYABLE } from './not-retryable.ts';

const WORDS: Record<BulkAction, { verb: string; done: string; meaning: string }> = {
  retry: {
    verb: 'Retry',
    done: 'Retried',
    meaning: 'Each gets one attempt now. Where that fails, its schedule stands as it was.',
  },
  cancel: {
    verb: 'Cancel',
    done: 'Canceled',
    meaning: 'Nothing more is sent of them, until they are retried by hand. Those at their end are passed over.',
  },
};

export const describeCount = (count: number): string =>
  `${count >= COUNT_MAX ? `${COUNT_MAX.toLocaleString('en')} or more` : count.toLocaleString('en')} ${
    count === 1 ? 'delivery' : 'deliveries'
  }`;

export interface BulkModalProps {
  action: BulkAction;
  target: BulkTarget;
  /** What else should be known before it begins; null: nothing. */
  note: string | null;
  /** @param hasChanged whether anything was done */
  onClose: (hasChanged: boolean) => void;
}

/** Says how many deliveries are meant, and shows how far it has come. */
export function BulkModal({ action, target, note, onClose }: BulkModalProps) {
  const { progress, count, run, stop } = useBulkChange(action, target);
  const { verb } = WORDS[action];
  useEffect(() => void count(), [count]);
  const isRunning = progress.step === 'running';
  const close = () => onClose(progress.changed > 0);
  return (
    <Modal
      opened
      onClose={close}
      title={`${verb} deliveries`}
      closeOnClickOutside={!isRunning}
      closeOnEscape={!isRunning}
      withCloseButton={!isRunning}
    >
      <Stack>
        <Report action={action} progress={progress} />
        {note && (progress.step === 'counting' || progress.step === 'ready') && <Text size="sm">{note}</Text>}
        <Group justify="flex-end">
          {progress.step === 'running' && (
            <Button variant="default" onClick={stop}>
              Stop
            </Button>
          )}
          {progress.step === 'done' && <Button onClick={close}>Done</Button>}
          {(progress.step === 'ready' || progress.step === 'counting') && (
            <>
              <Button variant="default" onClick={close}>
                Back
              </Button>
              <Button
                data-autofocus
                color={action === 'cancel' ? 'red' : undefined}
                loading={progress.step === 'counting'}
                disabled={progress.total === 0}
                onClick={() => void run()}
              >
                {verb} {progress.step === 'ready' && describeCount(progress.total)}
              </Button>
            </>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}

function Report({ action, progress }: { action: BulkAction; progress: BulkProgress }) {
  const { done, verb, meaning } = WORDS[action];
  const { step, total, changed, passedOver, fault } = progress;
  const passed = [...passedOver.values()].reduce((sum, count) => sum + count, 0);
  return (
    <>
      {(step === 'counting' || step === 'ready') && (
        <Text size="sm">{step === 'counting' ? 'Counting…' : `${verb} ${describeCount(total)}? ${meaning}`}</Text>
      )}
      {(step === 'running' || step === 'done') && (
        <div role="status">
          <Progress
            value={step === 'done' && !fault ? 100 : (100 * (changed + passed)) / Math.max(total, 1)}
            animated={step === 'running'}
            aria-label="Progress"
          />
          <Text size="sm" mt="xs">
            {done} {describeCount(changed)}
            {step === 'running' ? ` of ${total.toLocaleString('en')}…` : '.'}
          </Text>
        </div>
      )}
      {passed > 0 && (
        <List size="sm">
          {[...passedOver].map(([reason, count]) => (
            <List.Item key={reason}>
              {describeCount(count)} passed over:{' '}
              {reason === 'AT_END' ? 'at their end already.' : NOT_RETRYABLE[reason]}
            </List.Item>
          ))}
        </List>
      )}
      {fault && (
        <Alert color="orange" variant="outline" role="alert">
          {fault}
        </Alert>
      )}
    </>
  );
}
