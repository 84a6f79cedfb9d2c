import { Checkbox, Text } from '@mantine/core';
import { memo } from 'react';
import { Link } from 'wouter';
import { StatusBadge } from '../elements/status-badge.tsx';
import { Ago, Countdown } from '../elements/time.tsx';
import type { DeliveryRowFragment } from '../generated/documents.ts';
import { describeAttemptError } from './attempt-words.ts';
import classes from './delivery-table.module.css';

export interface DeliveryRowProps {
  row: DeliveryRowFragment;
  index: number;
  isActive: boolean;
  isSelected: boolean;
  /** Null: nothing can be selected. */
  onSelect: (() => void) | null;
  onOpen: () => void;
  isOfEndpoint: boolean;
}

/** One delivery in a table. */
export const DeliveryRow = memo(
  function DeliveryRow({ row, index, isActive, isSelected, onSelect, onOpen, isOfEndpoint }: DeliveryRowProps) {
    const { id, status, event, endpoint, attemptCount, lastAttempt, nextAttemptAt, createdAt } = row;
    return (
      <tr
        className={classes.row}
        data-active={isActive || undefined}
        data-delivery={id}
        aria-rowindex={index + 2}
        onClick={onOpen}
      >
        {onSelect && (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the box in it has keys of its own; beside it, a click is meant for it
          <td className={classes.select} onClick={(click) => click.stopPropagation()}>
            <Checkbox size="xs" checked={isSelected} onChange={onSelect} aria-label={`Select ${event.type}, ${id}`} />
          </td>
        )}
        <td className={classes.status}>
          <StatusBadge status={status} />
        </td>
        <td>
          <Link to={`/deliveries/${id}`} className="link" onClick={(click) => click.stopPropagation()}>
            <Text span fw={550} size="sm">
              {event.type}
            </Text>
          </Link>
          <span className={classes.under}>{isOfEndpoint ? (event.sourceKey ?? event.id) : endpoint.name}</span>
        </td>
        <td className={classes.attempts}>
          {attemptCount} <span style={{ color: 'var(--mantine-color-dimmed)' }}>of {row.maxRetries + 1}</span>
        </td>
        <td className={classes.response}>{lastAttempt ? describeAnswer(lastAttempt) : '–'}</td>
        <td className={classes.next}>{nextAttemptAt ? <Countdown to={nextAttemptAt} /> : '–'}</td>
        <td className={classes.time}>
          <Ago at={createdAt} />
        </td>
      </tr>
    );
  },
  (before, after) =>
    before.row === after.row &&
    before.index === after.index &&
    before.isActive === after.isActive &&
    (before.onSelect === null) === (after.onSelect === null) &&
    before.isSelected === after.isSelected,
);

function describeAnswer({ responseStatus, error, durationMs }: NonNullable<DeliveryRowFragment['lastAttempt']>) {
  const what =
    responseStatus === null ? (error ? describeAttemptError(error.code) : 'Recorded') : String(responseStatus);
  return durationMs === null ? what : `${what} · ${durationMs} ms`;
}
