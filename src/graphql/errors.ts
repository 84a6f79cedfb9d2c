import {
  DeliveryAtEndError,
  DeliveryNotRetryableError,
  IdempotencyConflictError,
  type InputIssue,
  InvalidInputError,
  NotFoundError,
} from '../errors.ts';
import { builder } from './builder.ts';

const ErrorInterface = builder.interfaceRef<Error>('Error').implement({
  description:
    "A problem that the caller can act on. Every member of a mutation's result union other than its payload implements it.",
  fields: (t) => ({
    message: t.exposeString('message', { description: 'What is wrong, and what to do.' }),
  }),
});

const InputIssueRef = builder.objectRef<InputIssue>('InputIssue').implement({
  description: 'One fault of an input.',
  fields: (t) => ({
    path: t.exposeStringList('path', { description: 'Where in the input, for example `["url"]`.' }),
    message: t.exposeString('message', { description: 'What is allowed there.' }),
  }),
});

builder.objectType(InvalidInputError, {
  name: 'InvalidInputError',
  description: 'The input is not what the mutation takes. Nothing was stored.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    issues: t.field({ type: [InputIssueRef], description: 'Every fault.', resolve: (error) => error.issues }),
  }),
});

builder.objectType(NotFoundError, {
  name: 'NotFoundError',
  description: 'What the input names does not exist, or belongs to another tenant, which is the same.',
  interfaces: [ErrorInterface],
});

builder.objectType(IdempotencyConflictError, {
  name: 'IdempotencyConflictError',
  description: 'The idempotency key was used for an event with other content.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    event: t.prismaField({
      type: 'Event',
      description:
        'The event that has the key. Without DELIVERIES_READ or DELIVERIES_RETRY only its ID can be read: it has content that you did not send.',
      resolve: (query, { eventId }, _, { services }) =>
        services.prisma.event.findUniqueOrThrow({ ...query, where: { id: eventId } }),
    }),
  }),
});

export const NotRetryableReasonRef = builder.enumType('NotRetryableReason', {
  description: 'Why a delivery can not be retried by hand.',
  values: {
    ALREADY_QUEUED: { description: 'An attempt is queued or in flight.' },
    ENDPOINT_PAUSED: { description: 'The endpoint is paused. Resume it first.' },
    ENDPOINT_DISABLED: { description: 'The endpoint is disabled. Enable it first.' },
    ENDPOINT_DELETED: { description: 'The endpoint was deleted.' },
  } as const,
});

builder.objectType(DeliveryNotRetryableError, {
  name: 'DeliveryNotRetryableError',
  description: 'The delivery can not be retried now.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    reason: t.field({ type: NotRetryableReasonRef, description: 'Why.', resolve: (error) => error.reason }),
    delivery: t.prismaField({
      type: 'Delivery',
      description: 'The delivery as it is.',
      resolve: (query, { deliveryId }, _, { services }) =>
        services.prisma.delivery.findUniqueOrThrow({ ...query, where: { id: deliveryId } }),
    }),
  }),
});

builder.objectType(DeliveryAtEndError, {
  name: 'DeliveryAtEndError',
  description: 'The delivery is at its end already.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    delivery: t.prismaField({
      type: 'Delivery',
      description: 'The delivery as it is.',
      resolve: (query, { deliveryId }, _, { services }) =>
        services.prisma.delivery.findUniqueOrThrow({ ...query, where: { id: deliveryId } }),
    }),
  }),
});
