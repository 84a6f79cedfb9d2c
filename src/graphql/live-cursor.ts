import { RequestError } from '../errors.ts';
import { CHANGES_KEPT_MS, isPlaceKnown } from '../live/change-log.ts';
import { type ChangeCursor, decodeCursor } from '../live/cursor.ts';
import { EXPIRED_MESSAGE } from '../live/subscriber.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';

/** No database gets so far: with a million transactions a second, it would take two thousand years. */
const XID_REACHABLE_MAX = 2n ** 56n;

export const CURSOR_DESCRIPTION = 'Resumes behind this batch: give it as `after`. Good for 24 h.';

export const AFTER_DESCRIPTION =
  'Cursor to resume behind, from an earlier batch or `liveCursor`; left out: from now on. Over SSE, the header `Last-Event-ID` goes before it.';

builder.queryField('liveCursor', (t) =>
  t.string({
    description:
      'Where a live feed has come to. A page that reads it before its lists or in the same operation, and subscribes with `after: liveCursor`, misses nothing in between; it may be told again of what its lists show already.',
    authScopes: { scope: 'DELIVERIES_READ' },
    resolve: (_, __, { services, caller }) => services.feed.cursorOf(caller.environmentId),
  }),
);

/** Place that the caller wants to go on behind. @returns null where the feed is to begin now. @throws {RequestError} BAD_USER_INPUT, CURSOR_EXPIRED */
export async function readAfter(after: string | null | undefined, context: Context): Promise<ChangeCursor | null> {
  const { caller, services, lastEventId } = context;
  const text = lastEventId ?? after;
  if (typeof text !== 'string') return null;
  const cursor = decodeCursor(text);
  const { pool } = services.deliveries;
  if (cursor?.environmentId !== caller.environmentId || cursor.xid > XID_REACHABLE_MAX) {
    const message = 'after is no cursor of this feed. Take one from an earlier batch or from liveCursor.';
    throw new RequestError('BAD_USER_INPUT', message);
  }
  if (Date.now() - cursor.at.getTime() > CHANGES_KEPT_MS || !(await isPlaceKnown(pool, cursor))) {
    throw new RequestError('CURSOR_EXPIRED', EXPIRED_MESSAGE);
  }
  return cursor;
}
