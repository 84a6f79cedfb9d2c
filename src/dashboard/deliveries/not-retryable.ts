import type { DeliveryStatus, NotRetryableReason } from '../generated/documents.ts';

/** Why a delivery can't be retried by hand, for people. */
export const NOT_RETRYABLE: Record<NotRetryableReason, string> = {
  ALREADY_QUEUED: 'An attempt is queued or in flight already.',
  ENDPOINT_PAUSED: 'Its endpoint is paused: resume it first.',
  ENDPOINT_DISABLED: 'Its endpoint is disabled: enable it first.',
  ENDPOINT_DELETED: 'Its endpoint was deleted.',
};

const CAN_BE_CANCELED: DeliveryStatus[] = ['PENDING', 'RETRYING', 'HELD'];

/** Why a delivery can't be canceled; null: it can. */
export const findCancelRefusal = (status: DeliveryStatus): string | null =>
  CAN_BE_CANCELED.includes(status) ? null : 'It is at its end: nothing is left to cancel.';
