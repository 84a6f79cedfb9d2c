/** One fault of an input: where it is, and what is allowed there. */
export interface InputIssue {
  /** Where in the input, for example `['retryPolicy', 'maxRetries']`. */
  path: string[];
  message: string;
}

/** The input is not what the operation takes. Nothing was stored. */
export class InvalidInputError extends Error {
  override readonly name = 'InvalidInputError';
  readonly issues: InputIssue[];

  constructor(issues: InputIssue[]) {
    super(issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join(' '));
    this.issues = issues;
  }
}

/** What the caller named does not exist, or belongs to another tenant, which is the same to the caller. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError';
}

/** The idempotency key was used for an event with other content. */
export class IdempotencyConflictError extends Error {
  override readonly name = 'IdempotencyConflictError';
  readonly eventId: string;

  constructor(eventId: string) {
    super('This idempotency key was used for an event with other content. Take a new key, or send the same content.');
    this.eventId = eventId;
  }
}

export type NotRetryableReason = 'ALREADY_QUEUED' | 'ENDPOINT_PAUSED' | 'ENDPOINT_DISABLED' | 'ENDPOINT_DELETED';

const NOT_RETRYABLE_MESSAGES: Record<NotRetryableReason, string> = {
  ALREADY_QUEUED: 'An attempt of this delivery is queued or in flight already. Wait for its outcome.',
  ENDPOINT_PAUSED: 'The endpoint is paused. Resume it first.',
  ENDPOINT_DISABLED: 'The endpoint is disabled. Enable it first.',
  ENDPOINT_DELETED: 'The endpoint was deleted. Publish the event anew to another endpoint.',
};

/** A retry by hand was refused. */
export class DeliveryNotRetryableError extends Error {
  override readonly name = 'DeliveryNotRetryableError';
  readonly reason: NotRetryableReason;
  readonly deliveryId: string;

  constructor(reason: NotRetryableReason, deliveryId: string) {
    super(NOT_RETRYABLE_MESSAGES[reason]);
    this.reason = reason;
    this.deliveryId = deliveryId;
  }
}

/** The delivery is delivered, failed, canceled or skipped: there is nothing left to cancel or to record. */
export class DeliveryAtEndError extends Error {
  override readonly name = 'DeliveryAtEndError';
  readonly deliveryId: string;

  constructor(deliveryId: string) {
    super('The delivery is at its end already. Retry it first to give it another attempt.');
    this.deliveryId = deliveryId;
  }
}

/** The database broke off while something was being stored, so nobody knows whether it is. */
export class UnknownOutcomeError extends Error {
  override readonly name = 'UnknownOutcomeError';

  /** @param message @default that of events */
  constructor(
    cause: unknown,
    message = 'The database could not be reached, or broke off before it answered: the events may be stored or not. Publish them again with the same idempotency keys; without keys they may be stored twice.',
  ) {
    super(message, { cause });
  }
}

/** Posthorn can't start as it is set up. The message is one line that says what to do. */
export class StartupError extends Error {
  override readonly name: string = 'StartupError';
}

/** The database can't be reached, or accepts no connections yet: the same start may succeed later. */
export class DatabaseUnavailableError extends StartupError {}

/** The caller is unknown, lacks a right, or asked for too much: a top-level error of the request. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code:
    | 'UNAUTHENTICATED'
    | 'FORBIDDEN'
    | 'BAD_USER_INPUT'
    | 'RATE_LIMITED'
    | 'CURSOR_EXPIRED'
    | 'OPERATION_TIMEOUT'
    | 'SERVICE_UNAVAILABLE'
    | 'PERSISTED_QUERY_NOT_SUPPORTED';
  /** With RATE_LIMITED and SERVICE_UNAVAILABLE: after so long it is worth another try. */
  readonly retryAfterMs: number | undefined;

  constructor(code: RequestError['code'], message: string, retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

const UNAVAILABLE_RETRY_AFTER_MS = 1_000;

/** The database is away or has no resources, and nothing was stored: the same operation may succeed a little later. */
export class ServiceUnavailableError extends RequestError {
  constructor(cause?: unknown) {
    super(
      'SERVICE_UNAVAILABLE',
      'The database is not available now. Try again after `retryAfterMs`.',
      UNAVAILABLE_RETRY_AFTER_MS,
    );
    this.cause = cause;
  }
}

/** A row that an operation had found was deleted, by retention for example, before its fields were read. */
export class RowDeletedError extends RequestError {
  /** @param what the row is, in words, for example `delivery attempt` */
  constructor(what: string, cause?: unknown) {
    super('BAD_USER_INPUT', `The ${what} no longer exists: it was deleted while this operation ran.`);
    this.cause = cause;
  }
}
