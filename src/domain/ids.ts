import { randomFillSync } from 'node:crypto';
import { fromString, fromUUID, toUUID } from 'typeid-js';
import { v7 } from 'uuid';

/** Prefix of each kind's public ID. The database keeps the UUIDv7 behind it. */
export const ID_PREFIXES = {
  Organization: 'org',
  Environment: 'env',
  ApiKey: 'key',
  Endpoint: 'ep',
  Route: 'rt',
  SigningKey: 'sig',
  Event: 'evt',
  Delivery: 'dlv',
  DeliveryAttempt: 'att',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

/** Random bytes for so many IDs are made at once: asking for 16 at a time costs more than the rest of an ID. */
const POOL_IDS = 256;
const ID_BYTES = 16;
const pool = new Uint8Array(POOL_IDS * ID_BYTES);
let used = pool.length;
let last = { msecs: 0, seq: 0 };

/** A clock that goes back by less only wavers. IDs go on from the latest time then. */
const WAVER_MS = 1_000;

/**
 * A new UUIDv7: grows with time, also within one millisecond of one process. If the clock was ahead and is corrected, IDs
 * go back with it: otherwise they would stay ahead of the time at which their rows are created.
 */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, used + ID_BYTES);
  used += ID_BYTES;
  const now = Date.now();
  // Each millisecond begins with a number of 31 random bits, which leaves as many again for IDs within it.
  const isCorrected = now < last.msecs - WAVER_MS;
  if (now > last.msecs || isCorrected)
    last = { msecs: now, seq: new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1 };
  else last.seq += 1;
  return v7({ random, msecs: last.msecs, seq: last.seq });
}

/** The largest number of the 48 bits that a UUIDv7 has for its time, RFC 9562 section 5.7. */
const TIME_MAX_MS = 2 ** 48 - 1;

/** The smallest UUIDv7 of a time: IDs made before are smaller, IDs made after are larger. */
export function firstIdAt(time: Date): string {
  const ms = Math.min(Math.max(time.getTime(), 0), TIME_MAX_MS);
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** Public ID (TypeID, https://github.com/jetify-com/typeid) of a row, for example `evt_01j…`. */
export const encodeId = (kind: IdKind, uuid: string): string => fromUUID(uuid, ID_PREFIXES[kind]);

/** UUID behind a public ID; null where the text is no ID of that kind. */
export function decodeId(kind: IdKind, text: string): string | null {
  try {
    return toUUID(fromString(text, ID_PREFIXES[kind]));
  } catch {
    return null;
  }
}

/** Kind that an ID's prefix names; null where it names none. */
export function kindOfId(text: string): IdKind | null {
  const prefix = text.slice(0, Math.max(0, text.indexOf('_')));
  const entry = Object.entries(ID_PREFIXES).find(([, candidate]) => candidate === prefix);
  return (entry?.[0] as IdKind | undefined) ?? null;
}
