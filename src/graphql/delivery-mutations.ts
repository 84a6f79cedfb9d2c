import { cancelDelivery } from '../deliver/cancel-delivery.ts';
import { ERROR_MAX_CHARS, recordAttempt } from '../deliver/record-attempt.ts';
import { retryDelivery, retryDeliveryAttempt } from '../deliver/retry-delivery.ts';
import { DeliveryAtEndError, DeliveryNotRetryableError, InvalidInputError, NotFoundError } from '../errors.ts';
import { builder } from './builder.ts';
import { decodeInput } from './ids.ts';
import { atMost, JSON_INPUT_MAX } from './input-limits.ts';

interface DeliveryPayload {
  deliveryId: string;
}

interface AttemptPayload extends DeliveryPayload {
  attemptId: string;
}

const RetryDeliveryInput = builder.inputType('RetryDeliveryInput', {
  description: 'What `retryDelivery` takes.',
  fields: (t) => ({
    deliveryId: t.id({ required: true, description: 'The delivery to retry.' }),
    restartSchedule: t.boolean({
      description: 'Gives the delivery its whole retry schedule again; left out: one attempt.',
    }),
  }),
});

const RetryDeliveryPayload = makeDeliveryPayload('RetryDeliveryPayload', 'The delivery, with an attempt queued.');

builder.mutationField('retryDelivery', (t) =>
  t.field({
    type: RetryDeliveryPayload,
    description:
      'Queues one attempt by hand. If it fails, the schedule that was there stands: same next time, same retries left.',
    authScopes: { scope: 'DELIVERIES_RETRY' },
    errors: {
      types: [NotFoundError, DeliveryNotRetryableError, InvalidInputError],
      union: { name: 'RetryDeliveryResult', description: 'What `retryDelivery` answers.' },
    },
    args: { input: t.arg({ type: RetryDeliveryInput, required: true, description: 'Which delivery, and how.' }) },
    resolve: async (_, { input }, { services, caller }) => {
      const deliveryId = decodeInput('Delivery', input.deliveryId, 'deliveryId');
      const restartSchedule = input.restartSchedule ?? false;
      await retryDelivery(services.deliveries, caller, { deliveryId, restartSchedule });
      return { deliveryId };
    },
  }),
);

const RetryDeliveryAttemptInput = builder.inputType('RetryDeliveryAttemptInput', {
  description: 'What `retryDeliveryAttempt` takes.',
  fields: (t) => ({ attemptId: t.id({ required: true, description: 'The attempt whose delivery to retry.' }) }),
});

const RetryDeliveryAttemptPayload = builder.objectRef<AttemptPayload>('RetryDeliveryAttemptPayload').implement({
  description: 'The attempt that was named, and its delivery, with a new attempt queued.',
  fields: (t) => ({
    attempt: t.prismaField({
      type: 'DeliveryAttempt',
      description: 'The attempt that was named.',
      resolve: (query, { attemptId }, _, { services }) =>
        services.prisma.deliveryAttempt.findUniqueOrThrow({ ...query, where: { id: attemptId } }),
    }),
    delivery: t.prismaField({
      type: 'Delivery',
      description: 'Its delivery, with an attempt queued.',
      resolve: (query, { deliveryId }, _, { services }) =>
        services.prisma.delivery.findUniqueOrThrow({ ...query, where: { id: deliveryId } }),
    }),
  }),
});

builder.mutationField('retryDeliveryAttempt', (t) =>
  t.field({
    type: RetryDeliveryAttemptPayload,
    description: 'Queues one attempt by hand for the delivery that an attempt belongs to.',
    authScopes: { scope: 'DELIVERIES_RETRY' },
    errors: {
      types: [NotFoundError, DeliveryNotRetryableError, InvalidInputError],
      union: { name: 'RetryDeliveryAttemptResult', description: 'What `retryDeliveryAttempt` answers.' },
    },
    args: { input: t.arg({ type: RetryDeliveryAttemptInput, required: true, description: 'Which attempt.' }) },
    resolve: async (_, { input }, { services, caller }) => {
      const attemptId = decodeInput('DeliveryAttempt', input.attemptId, 'attemptId');
      return { attemptId, deliveryId: await retryDeliveryAttempt(services.deliveries, caller, attemptId) };
    },
  }),
);

const RecordedStatusRef = builder.enumType('RecordedStatus', {
  description: 'What an attempt made elsewhere means for its delivery.',
  values: {
    PENDING: { description: 'It failed, and an attempt is to be queued now.' },
    RETRY_SCHEDULED: { description: 'It failed, and the next attempt waits for `nextAttemptAt`.' },
    DELIVERED: { description: 'It succeeded: the delivery is at its end.' },
    FAILED: { description: 'It failed for good: the delivery is a dead letter.' },
  } as const,
});

const RecordDeliveryAttemptInput = builder.inputType('RecordDeliveryAttemptInput', {
  description: 'An attempt that was made elsewhere.',
  fields: (t) => ({
    deliveryId: t.id({ required: true, description: 'The delivery that it was made for.' }),
    status: t.field({ type: RecordedStatusRef, required: true, description: 'What it means for the delivery.' }),
    responseStatus: t.int({ description: '100 to 599; left out: no response came.' }),
    responseBody: t.field({
      type: 'JSON',
      description: 'What was answered; of a text, 4,096 bytes are kept.',
      ...atMost(JSON_INPUT_MAX),
    }),
    error: t.string({ description: 'Why it failed: at least one character.', ...atMost({ chars: ERROR_MAX_CHARS }) }),
    nextAttemptAt: t.field({
      type: 'DateTime',
      description: 'Required with RETRY_SCHEDULED, and in the future; refused with any other status.',
    }),
  }),
});

const RecordDeliveryAttemptPayload = builder.objectRef<AttemptPayload>('RecordDeliveryAttemptPayload').implement({
  description: 'The attempt as it is on record, with its delivery and event.',
  fields: (t) => ({
    event: t.prismaField({
      type: 'Event',
      description: 'The event, with all its deliveries.',
      resolve: (query, { deliveryId }, _, { services }) =>
        services.prisma.event.findFirstOrThrow({ ...query, where: { deliveries: { some: { id: deliveryId } } } }),
    }),
    delivery: t.prismaField({
      type: 'Delivery',
      description: 'The delivery as it is now.',
      resolve: (query, { deliveryId }, _, { services }) =>
        services.prisma.delivery.findUniqueOrThrow({ ...query, where: { id: deliveryId } }),
    }),
    attempt: t.prismaField({
      type: 'DeliveryAttempt',
      description: 'The attempt that was recorded.',
      resolve: (query, { attemptId }, _, { services }) =>
        services.prisma.deliveryAttempt.findUniqueOrThrow({ ...query, where: { id: attemptId } }),
    }),
  }),
});

builder.mutationField('recordDeliveryAttempt', (t) =>
  t.field({
    type: RecordDeliveryAttemptPayload,
    description:
      'Puts an attempt made elsewhere on record. It takes the place of whatever was planned: no attempt of an older plan goes out after it. Not for browser tokens.',
    authScopes: { $all: { scope: 'DELIVERIES_RETRY', apiKey: true } },
    errors: {
      types: [InvalidInputError, NotFoundError, DeliveryAtEndError],
      union: { name: 'RecordDeliveryAttemptResult', description: 'What `recordDeliveryAttempt` answers.' },
    },
    args: { input: t.arg({ type: RecordDeliveryAttemptInput, required: true, description: 'The attempt.' }) },
    resolve: async (_, { input }, { services, caller }) => {
      const deliveryId = decodeInput('Delivery', input.deliveryId, 'deliveryId');
      return { deliveryId, attemptId: await recordAttempt(services.deliveries, caller, { ...input, deliveryId }) };
    },
  }),
);

const CancelDeliveryInput = builder.inputType('CancelDeliveryInput', {
  description: 'What `cancelDelivery` takes.',
  fields: (t) => ({ deliveryId: t.id({ required: true, description: 'The delivery to end.' }) }),
});

const CancelDeliveryPayload = makeDeliveryPayload('CancelDeliveryPayload', 'The delivery as it ended.');

builder.mutationField('cancelDelivery', (t) =>
  t.field({
    type: CancelDeliveryPayload,
    description:
      'Ends a delivery by hand. An attempt in flight goes on record, and nothing follows it. One that had been delivered before goes back to DELIVERED.',
    authScopes: { scope: 'DELIVERIES_RETRY' },
    errors: {
      types: [NotFoundError, DeliveryAtEndError, InvalidInputError],
      union: { name: 'CancelDeliveryResult', description: 'What `cancelDelivery` answers.' },
    },
    args: { input: t.arg({ type: CancelDeliveryInput, required: true, description: 'Which delivery.' }) },
    resolve: async (_, { input }, { services, caller }) => {
      const deliveryId = decodeInput('Delivery', input.deliveryId, 'deliveryId');
      await cancelDelivery(services.deliveries, caller, deliveryId);
      return { deliveryId };
    },
  }),
);

function makeDeliveryPayload(name: string, description: string) {
  return builder.objectRef<DeliveryPayload>(name).implement({
    description,
    fields: (t) => ({
      delivery: t.prismaField({
        type: 'Delivery',
        description: 'It.',
        resolve: (query, { deliveryId }, _, { services }) =>
          services.prisma.delivery.findUniqueOrThrow({ ...query, where: { id: deliveryId } }),
      }),
    }),
  });
}
