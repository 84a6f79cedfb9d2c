import type {
  AttemptStatus,
  DeliveryStatus,
  EndpointHealthState,
  EndpointStatus,
  EventStatus,
} from '../generated/documents.ts';
import classes from './status-badge.module.css';

export type Status = DeliveryStatus | EventStatus | AttemptStatus | EndpointStatus | EndpointHealthState;

/** Colors of states, over all pages and charts. */
export const TONES = {
  good: '#12a150',
  bad: '#e5484d',
  trying: '#f08c00',
  queued: '#3b82f6',
  held: '#8b5cf6',
  quiet: '#868e96',
} as const;

const LOOKS: Record<Status, { label: string; tone: keyof typeof TONES; isMoving?: boolean }> = {
  PENDING: { label: 'Pending', tone: 'queued', isMoving: true },
  RETRYING: { label: 'Retrying', tone: 'trying' },
  HELD: { label: 'Held', tone: 'held' },
  DELIVERED: { label: 'Delivered', tone: 'good' },
  FAILED: { label: 'Failed', tone: 'bad' },
  CANCELED: { label: 'Canceled', tone: 'quiet' },
  SKIPPED: { label: 'Skipped', tone: 'quiet' },
  SUCCEEDED: { label: 'Succeeded', tone: 'good' },
  ACTIVE: { label: 'Active', tone: 'good' },
  PAUSED: { label: 'Paused', tone: 'held' },
  DISABLED: { label: 'Disabled', tone: 'bad' },
  HEALTHY: { label: 'Healthy', tone: 'good' },
  FAILING: { label: 'Failing', tone: 'bad' },
  IDLE: { label: 'Idle', tone: 'quiet' },
};

/** The word that people read for a status. */
export const labelOf = (status: Status): string => LOOKS[status].label;

/** A status as a word and a color: never by color alone. */
export function StatusBadge({ status }: { status: Status }) {
  const { label, tone, isMoving } = LOOKS[status];
  return (
    <span
      className={isMoving ? `${classes.badge} ${classes.moving}` : classes.badge}
      style={{ '--tone': TONES[tone] } as React.CSSProperties}
    >
      <span className={classes.dot} aria-hidden />
      {label}
    </span>
  );
}
