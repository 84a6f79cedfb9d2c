import { z } from 'zod';

/** A place in the change log, which is read in order of (xid, id). */
export interface ChangePosition {
  xid: bigint;
  id: bigint;
  /**
   * When the change at this place was made. In a database that was restored, another change may get the same place.
   * Missing: unknown.
   */
  changedAt?: Date;
}

/** What a cursor of the feed holds: whose it is, the place, and when the change there was made. */
export interface ChangeCursor extends ChangePosition {
  environmentId: string;
  at: Date;
}

/** Largest values of Postgres' xid8 and bigint, and of a JavaScript date in ms. */
const XID_MAX = 2n ** 64n - 1n;
const ID_MAX = 2n ** 63n - 1n;
const TIME_MAX = 8_640_000_000_000_000n;

const upTo = (max: bigint) =>
  z
    .string()
    .regex(/^\d{1,20}$/)
    .transform(BigInt)
    .refine((number) => number <= max);

/** Cursors of version 0.1.0 have four parts. */
const cursorSchema = z.union([
  z.tuple([z.uuid(), upTo(XID_MAX), upTo(ID_MAX), upTo(TIME_MAX)]),
  z.tuple([z.uuid(), upTo(XID_MAX), upTo(ID_MAX), upTo(TIME_MAX), z.string().startsWith('c')]),
]);

const changedAtSchema = upTo(TIME_MAX);

/** Opaque to clients. */
export const encodeCursor = ({ environmentId, xid, id, at, changedAt }: ChangeCursor): string => {
  const parts = [environmentId, xid, id, at.getTime(), ...(changedAt ? [`c${changedAt.getTime()}`] : [])];
  return Buffer.from(parts.join(',')).toString('base64url');
};

/** @returns `null` if the text is not a cursor */
export function decodeCursor(text: string): ChangeCursor | null {
  const parsed = cursorSchema.safeParse(Buffer.from(text, 'base64url').toString().split(','));
  if (!parsed.success) return null;
  const [environmentId, xid, id, at, mark] = parsed.data;
  const cursor = { environmentId, xid, id, at: new Date(Number(at)) };
  if (mark === undefined) return cursor;
  const changedAt = changedAtSchema.safeParse(mark.slice(1));
  return changedAt.success ? { ...cursor, changedAt: new Date(Number(changedAt.data)) } : null;
}

/** Order of the change log. @returns less than 0 where `a` comes first */
export function comparePositions(a: ChangePosition, b: ChangePosition): number {
  if (a.xid !== b.xid) return a.xid < b.xid ? -1 : 1;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return 0;
}
