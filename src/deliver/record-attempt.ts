import type { ClientBase } from 'pg';
import { z } from 'zod';
import { isAtEnd, type RecordedStatus } from '../domain/delivery.ts';
import { newId } from '../domain/ids.ts';
import type { Tenant } from '../domain/tenant.ts';
import { parseInput } from '../domain/validation.ts';
import { DeliveryAtEndError, NotFoundError } from '../errors.ts';
import { type LockedDelivery, ownDelivery } from '../storage/lock-deliveries.ts';
import type { NewAttempt } from '../storage/save-transitions.ts';
import { inTransaction } from '../storage/transaction.ts';
import { effectsOf } from './attempt.ts';
import { changeDeliveries, type DeliveryChangerOptions, signalChanges } from './change-deliveries.ts';
import { keepResponseBody } from './response-body.ts';

/** An attempt that was made elsewhere, as its reporter tells of it. */
export interface RecordAttemptInput {
  deliveryId: string;
  status: RecordedStatus;
  responseStatus?: number | null;
  /** Any JSON value; a text is taken as it stands. */
  responseBody?: unknown;
  error?: string | null;
  nextAttemptAt?: Date | null;
}

export const RESPONSE_STATUS_MIN = 100;
export const RESPONSE_STATUS_MAX = 599;
/** Characters of a recorded attempt's error. */
export const ERROR_MAX_CHARS = 4_096;

const STATUS_RULE = `must be a whole number from ${RESPONSE_STATUS_MIN} to ${RESPONSE_STATUS_MAX}.`;

const inputSchema = (now: Date) =>
  z
    .object({
      status: z.enum(['PENDING', 'RETRY_SCHEDULED', 'DELIVERED', 'FAILED']),
      responseStatus: z
        .int(STATUS_RULE)
        .min(RESPONSE_STATUS_MIN, STATUS_RULE)
        .max(RESPONSE_STATUS_MAX, STATUS_RULE)
        .nullish(),
      error: z
        .string()
        .min(1, 'must have at least one character; leave it out where there was no error.')
        .max(ERROR_MAX_CHARS, `may have ${ERROR_MAX_CHARS} characters at most.`)
        .nullish(),
      nextAttemptAt: z.date().nullish(),
    })
    .superRefine((input, context) => {
      const message = findScheduleFault(input, now);
      if (message) context.addIssue({ code: 'custom', path: ['nextAttemptAt'], message });
    });

function findScheduleFault({ status, nextAttemptAt }: { status: string; nextAttemptAt?: Date | null }, now: Date) {
  if (status !== 'RETRY_SCHEDULED') return nextAttemptAt ? 'is allowed with status RETRY_SCHEDULED only.' : null;
  if (!nextAttemptAt) return 'is required with status RETRY_SCHEDULED.';
  return nextAttemptAt <= now ? 'must be in the future.' : null;
}

/**
 * Puts an attempt made elsewhere on record and lets it decide about the delivery, in the place of whatever was
 * planned: an attempt that is queued will not be made.
 *
 * @returns ID of the attempt
 * @throws {InvalidInputError}
 * @throws {NotFoundError}
 * @throws {DeliveryAtEndError}
 */
export async function recordAttempt(
  options: DeliveryChangerOptions,
  tenant: Tenant,
  input: RecordAttemptInput,
): Promise<string> {
  const now = new Date();
  parseInput(inputSchema(now), input);
  const attemptId = newId();
  await inTransaction(options.pool, async (client) => {
    const bodyBytes = await findBodyBytes(client, tenant, input.deliveryId);
    await changeDeliveries(client, options.queue, {
      condition: ownDelivery(tenant, input.deliveryId),
      decide: (delivery) => {
        if (isAtEnd(delivery.status)) throw new DeliveryAtEndError(delivery.id);
        return {
          happening: { type: 'recorded', status: input.status, nextAttemptAt: input.nextAttemptAt ?? null },
          attempt: (before, after) => ({
            ...toAttempt(before, input, { attemptId, bodyBytes, now }),
            ...effectsOf({ ...before, fallbackStatus: null }, after),
          }),
        };
      },
    });
  });
  signalChanges(options.signals);
  return attemptId;
}

async function findBodyBytes(client: ClientBase, tenant: Tenant, deliveryId: string): Promise<number> {
  const { where, values } = ownDelivery(tenant, deliveryId);
  const { rows } = await client.query(
    `select octet_length(v.body) as bytes from deliveries d join events v on v.id = d.event_id
     where ${where}`,
    values,
  );
  if (rows.length === 0) throw new NotFoundError('There is no delivery with this ID.');
  return rows[0].bytes;
}

function toAttempt(
  delivery: LockedDelivery,
  input: RecordAttemptInput,
  { attemptId, bodyBytes, now }: { attemptId: string; bodyBytes: number; now: Date },
): NewAttempt {
  return {
    id: attemptId,
    trigger: 'EXTERNAL',
    status: input.status === 'DELIVERED' ? 'SUCCEEDED' : 'FAILED',
    requestUrl: delivery.url,
    requestMethod: delivery.method,
    requestHeaders: {},
    requestBodySize: bodyBytes,
    responseStatus: input.responseStatus ?? null,
    responseHeaders: null,
    responseBody: toBodyText(input.responseBody),
    durationMs: null,
    error: input.error ? { code: 'EXTERNAL', message: input.error.toWellFormed().replaceAll('\0', '\ufffd') } : null,
    nextAttemptAt: null,
    deadLetteredAt: null,
    createdAt: now,
  };
}

function toBodyText(body: unknown): string | null {
  if (body === undefined || body === null) return null;
  return keepResponseBody(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
}
