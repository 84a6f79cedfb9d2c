import { fromString, fromUUID, toUUID } from 'typeid-js';
import { v7 } from 'uuid';

/** Prefix of each kind's public ID. The database keeps the UUIDv7 behind it. */
export const ID_PREFIXES = {
  Organization: 'org',
  Environment: 'env',
  ApiKey: 'key',
  Endpoint: 'ep',
  Route: 'rt',
  Event: 'evt',
  Delivery: 'dlv',
  DeliveryAttempt: 'att',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

/** A new UUIDv7: grows with time, also within one millisecond of one process. */
export const newId = (): string => v7();

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
