import { Text, Timeline, UnstyledButton } from '@mantine/core';
import { IconCheck, IconClock, IconHourglass, IconX } from '@tabler/icons-react';
import { Countdown, describeDuration, exactTime } from '../elements/time.tsx';
import type { AttemptPartsFragment, DeliveryDetailPartsFragment } from '../generated/documents.ts';
import classes from './attempt-timeline.module.css';
import { describeAttemptError, describeTrigger } from './attempt-words.ts';

export interface AttemptTimelineProps {
  delivery: DeliveryDetailPartsFragment;
  /** Oldest first. */
  attempts: AttemptPartsFragment[];
  shownId: string | null;
  onShow: (attemptId: string) => void;
}

/** Attempts in their order, with the wait between them, and what comes next. */
export function AttemptTimeline({ delivery, attempts, shownId, onShow }: AttemptTimelineProps) {
  const { createdAt, nextAttemptAt, status } = delivery;
  return (
    <Timeline bulletSize={26} lineWidth={2} active={attempts.length} color="gray">
      <Timeline.Item bullet={<IconClock size={14} />} title={<Text size="sm">Queued</Text>}>
        <Text size="xs" c="dimmed">
          {exactTime(createdAt)}
        </Text>
      </Timeline.Item>
      {attempts.map((attempt, index) => (
        <Timeline.Item
          key={attempt.id}
          color={attempt.status === 'SUCCEEDED' ? 'green' : 'red'}
          bullet={attempt.status === 'SUCCEEDED' ? <IconCheck size={14} /> : <IconX size={14} />}
        >
          <UnstyledButton
            className={classes.attempt}
            data-shown={attempt.id === shownId || undefined}
            aria-pressed={attempt.id === shownId}
            onClick={() => onShow(attempt.id)}
          >
            <Text size="sm" fw={600}>
              {attempt.number}. {describeResult(attempt)}
            </Text>
            <Text size="xs" c="dimmed">
              {describeTrigger(attempt.trigger)} after{' '}
              {waitBefore(attempt, attempts[index - 1]?.createdAt ?? createdAt)}
              {attempt.durationMs !== null && `, took ${describeDuration(attempt.durationMs)}`}
              {attempt.isDeadLetter && ' · dead letter'}
            </Text>
          </UnstyledButton>
        </Timeline.Item>
      ))}
      {(nextAttemptAt || status === 'PENDING' || status === 'HELD') && (
        <Timeline.Item
          bullet={<IconHourglass size={14} />}
          title={<Text size="sm">{describeNext(delivery)}</Text>}
          lineVariant="dashed"
        >
          {nextAttemptAt && (
            <Text size="sm" fw={600} component="div">
              <Countdown to={nextAttemptAt} />
            </Text>
          )}
        </Timeline.Item>
      )}
    </Timeline>
  );
}

function describeResult({ responseStatus, error }: AttemptPartsFragment): string {
  if (responseStatus !== null) return `Answer ${responseStatus}`;
  return error ? describeAttemptError(error.code) : 'Recorded';
}

const waitBefore = (attempt: AttemptPartsFragment, since: string) =>
  describeDuration(Math.max(0, Date.parse(attempt.createdAt) - Date.parse(since)));

function describeNext({ status, retryCount, maxRetries }: DeliveryDetailPartsFragment): string {
  if (status === 'HELD') return 'Held until its endpoint is resumed';
  if (status === 'PENDING') return 'An attempt is queued or in flight';
  return `Automatic retry ${retryCount + 1} of ${maxRetries}`;
}
