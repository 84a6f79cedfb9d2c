import { builder } from './builder.ts';

export const DeliveryStatusRef = builder.enumType('DeliveryStatus', {
  description: 'How far a delivery has come.',
  values: {
    PENDING: { description: 'Queued: an attempt is due now or in flight.' },
    RETRYING: { description: 'The last attempt failed; the next one is due at nextAttemptAt.' },
    HELD: { description: 'Its endpoint is paused.' },
    DELIVERED: { description: 'An attempt succeeded.' },
    FAILED: { description: "No retry is left or the failure can't be retried: a dead letter." },
    CANCELED: { description: 'Somebody ended it by hand.' },
    SKIPPED: { description: 'Its endpoint was disabled or deleted when its turn came.' },
  } as const,
});
