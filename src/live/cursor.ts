import { z } from 'zod';

/** A place in the change log, which is read in order of (xid, id). */
export interface ChangePosition {
  xid: bigint;
  id: bigint;
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

const cursorSchema = z.tuple([z.uuid(), upTo(XID_MAX), upTo(ID_MAX), upTo(TIME_MAX)]);

/** Opaque to clients. */
export const encodeCursor = ({ environmentId, xid, id, at }: ChangeCursor): string =>
  Buffer.from([environmentId, xid, id, at.getTime()].join(',')).toString('base64url');

/** @returns null where the text is no cursor */
export function decodeCursor(text: string): ChangeCursor | null {
  const parsed = cursorSchema.safeParse(Buffer.from(text, 'base64url').toString().split(','));
  if (!parsed.success) return null;
  const [environmentId, xid, id, at] = parsed.data;
  return { environmentId, xid, id, at: new Date(Number(at)) };
}

/** Order of the change log. @returns less than 0 where `a` comes first */
export function comparePositions(a: ChangePosition, b: ChangePosition): number {
  if (a.xid !== b.xid) return a.xid < b.xid ? -1 : 1;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return 0;
}
