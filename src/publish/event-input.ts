import { createHash } from 'node:crypto';
import { z } from 'zod';
import { EVENT_TYPE_RULE, isEventType, isOperational, OPERATIONAL_PREFIX } from '../domain/event-type.ts';
import { newId } from '../domain/ids.ts';
import { isDeeperThan, JSON_DEPTH_MAX } from '../domain/json-depth.ts';
import { isEqualJson } from '../domain/json-equality.ts';
import type { Tenant } from '../domain/tenant.ts';
import { parseInput } from '../domain/validation.ts';
import { InvalidInputError } from '../errors.ts';
import type { EventRow } from '../storage/insert-events.ts';

/** An event as its producer gives it. */
export interface PublishInput {
  type: string;
  /** Any JSON value but null. Exactly one of payload and body. */
  payload?: unknown;
  /** Sent to the letter. */
  body?: string | null;
  /** @default `application/json` */
  contentType?: string | null;
  idempotencyKey?: string | null;
  sourceKey?: string | null;
  /** UUID of the one endpoint that it goes to, whatever types that wants. @default every endpoint that wants its type */
  endpointId?: string | null;
  source?: { workflowId?: string | null; runId?: string | null; nodeId?: string | null } | null;
}

/** An event that is about to be stored. */
export interface NewEvent extends EventRow {
  /** Whether the body is a JSON value that was given as `payload`. */
  isPayload: boolean;
}

/** An event for one endpoint. */
export interface TargetedEvent extends EventRow {
  target: {
    /** UUID. */
    endpointId: string;
    /** Where that stands in the input. */
    path: string[];
  };
}

/** Whether an event goes to one endpoint, and not to all that want its type. */
export const isTargeted = (event: EventRow): event is TargetedEvent => 'target' in event;

/** Largest body of an event, in bytes of UTF-8. */
export const EVENT_BODY_BYTES_MAX = 262_144;
const CONTENT_TYPE_DEFAULT = 'application/json';
/** Characters of a content type. */
export const CONTENT_TYPE_MAX_CHARS = 256;
/** Characters of an idempotency key, a source key, or an ID of a source. */
export const KEY_MAX_CHARS = 256;

/** RFC 9110 section 8.3.1: type/subtype and parameters, in visible ASCII. White space at the end would not arrive. */
const CONTENT_TYPE =
  /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+([ \t]*;([\x20-\x7e\t]*[\x21-\x7e])?)?$/;

const key = z
  .string()
  .min(1, 'must have at least one character.')
  .max(KEY_MAX_CHARS, `may have ${KEY_MAX_CHARS} characters at most.`)
  .refine((text) => !text.includes('\0') && text.isWellFormed(), 'must be Unicode text without NUL characters.')
  .nullish();

const eventSchema = z
  .object({
    type: z
      .string()
      .refine(isEventType, `must be ${EVENT_TYPE_RULE}, for example invoice.paid.`)
      .refine(
        (type) => !isOperational(type),
        `must not begin with "${OPERATIONAL_PREFIX}": Posthorn's own events are called so.`,
      ),
    payload: z.unknown().optional(),
    body: z
      .string()
      .refine((text) => text.isWellFormed(), 'has half a surrogate pair in it: it must be Unicode text.')
      .nullish(),
    contentType: z
      .string()
      .max(CONTENT_TYPE_MAX_CHARS, `may have ${CONTENT_TYPE_MAX_CHARS} characters at most.`)
      .regex(CONTENT_TYPE, 'must be a media type, for example application/json.')
      .nullish(),
    idempotencyKey: key,
    sourceKey: key,
    source: z.object({ workflowId: key, runId: key, nodeId: key }).nullish(),
  })
  .superRefine(({ payload, body }, context) => {
    const hasPayload = payload !== undefined && payload !== null;
    if (hasPayload === (typeof body === 'string')) {
      const message = 'give exactly one of payload and body; to send the JSON value null, give it as body.';
      context.addIssue({ code: 'custom', path: ['payload'], message });
    }
    if (isDeeperThan(JSON_DEPTH_MAX, payload)) {
      const message = `may be nested ${JSON_DEPTH_MAX} deep at most; give it as body, as the text that it is.`;
      context.addIssue({ code: 'custom', path: ['payload'], message });
    }
  });

/**
 * Checks an event and makes its row.
 *
 * @param path where the event stands in a larger input
 * @throws {InvalidInputError}
 */
export function makeEvent(tenant: Tenant, input: PublishInput, path: string[] = []): NewEvent | TargetedEvent {
  const checked = parseInput(eventSchema, input, path);
  const body = encodeBody(checked, path);
  const event = {
    id: newId(),
    organizationId: tenant.organizationId,
    environmentId: tenant.environmentId,
    type: checked.type,
    sourceKey: checked.sourceKey ?? null,
    workflowId: checked.source?.workflowId ?? null,
    runId: checked.source?.runId ?? null,
    nodeId: checked.source?.nodeId ?? null,
    idempotencyKey: checked.idempotencyKey ?? null,
    contentHash: null,
    body,
    contentType: checked.contentType ?? CONTENT_TYPE_DEFAULT,
    endpointCount: 0,
    createdAt: new Date(),
    isPayload: typeof checked.body !== 'string',
    ...(input.endpointId && { target: { endpointId: input.endpointId, path: [...path, 'endpointId'] } }),
  };
  return { ...event, contentHash: event.idempotencyKey === null ? null : hashContent(event) };
}

/** @throws {InvalidInputError} where it is too large */
function encodeBody({ payload, body }: z.output<typeof eventSchema>, path: string[]) {
  const bytes = Buffer.from(body ?? JSON.stringify(payload));
  if (bytes.length <= EVENT_BODY_BYTES_MAX) return bytes;
  const message = `has ${bytes.length} bytes; an event's body may have ${EVENT_BODY_BYTES_MAX} (256 KiB) at most.`;
  throw new InvalidInputError([{ path: [...path, typeof body === 'string' ? 'body' : 'payload'], message }]);
}

/**
 * Whether an event has the same content as the one that holds its idempotency key. If it was given as `payload`, equal JSON
 * values are the same content; if as `body`, equal bytes.
 */
export function isSameContent(held: EventRow, event: EventRow): boolean {
  if (hasSameHash(held, event)) return true;
  if (!mayBeSamePayload(event) || held.contentHash === null || !isEqualJson(asText(held.body), asText(event.body)))
    return false;
  // What else the producer gave is known by its hash alone.
  return Buffer.compare(held.contentHash, hashContent({ ...event, body: held.body })) === 0;
}

/** Whether two events have the same content, byte for byte. */
export const hasSameHash = (held: Pick<EventRow, 'contentHash'>, event: Pick<EventRow, 'contentHash'>): boolean =>
  Buffer.compare(held.contentHash ?? Buffer.alloc(0), event.contentHash ?? Buffer.alloc(0)) === 0;

/** Whether an event can have the same content as one with another hash. */
export const mayBeSamePayload = (event: EventRow): boolean => (event as NewEvent).isPayload;

const asText = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

/** Tells whether two events under one idempotency key are the same: all that the producer gave, and nothing else. */
function hashContent(event: EventRow): Uint8Array<ArrayBuffer> {
  const { type, contentType, sourceKey, workflowId, runId, nodeId } = event;
  const target = isTargeted(event) ? [event.target.endpointId] : [];
  const rest = JSON.stringify([type, contentType, sourceKey, workflowId, runId, nodeId, ...target]);
  return createHash('sha256').update(rest).update('\0').update(event.body).digest() as Uint8Array<ArrayBuffer>;
}
