import { firstIdAt } from '../domain/ids.ts';
import type { Context } from './context.ts';

/** IDs carry the time of their making, which differs from `createdAt` by less: an attempt's ID is made at its end. */
const ID_SLACK_MS = 120_000;

/** A condition on `createdAt`, and the range of IDs in which the rows are that meet it. */
export interface CreatedRange {
  createdAt?: { gt?: Date; lt?: Date };
  id?: { gte?: string; lt?: string };
}

/** The fields of a filter that are times. */
export interface CreatedFilter {
  createdAfter?: Date | null;
  createdBefore?: Date | null;
}

const HAS_FUTURE_IDS = {
  events: 'select exists (select from events where environment_id = $1 and id >= $2) as has',
  deliveries: 'select exists (select from deliveries where environment_id = $1 and id >= $2) as has',
  delivery_attempts: 'select exists (select from delivery_attempts where environment_id = $1 and id >= $2) as has',
};

const shift = (time: Date, ms: number) => firstIdAt(new Date(time.getTime() + ms));

/**
 * Turns times into ranges of IDs. Lists are ordered by ID, so a range is found at once, and not by walking over everything
 * that is newer. While the clock was ahead, rows got IDs of the future, which say nothing about when they were created:
 * they are a range of their own, if there are any.
 *
 * @returns ranges that don't overlap, the newest first. Together they have all rows that meet the filter
 */
export async function findCreatedRanges(
  { services, caller }: Context,
  table: keyof typeof HAS_FUTURE_IDS,
  { createdAfter, createdBefore }: CreatedFilter,
): Promise<CreatedRange[]> {
  if (!createdAfter && !createdBefore) return [{}];
  const createdAt = { gt: createdAfter ?? undefined, lt: createdBefore ?? undefined };
  const gte = createdAfter ? shift(createdAfter, -ID_SLACK_MS) : undefined;
  const future = shift(new Date(), ID_SLACK_MS);
  const lt = createdBefore ? shift(createdBefore, ID_SLACK_MS) : future;
  if (lt >= future) return [{ createdAt, id: { gte } }];
  const { rows } = await services.deliveries.pool.query({
    name: `has-future-ids-${table}`,
    text: HAS_FUTURE_IDS[table],
    values: [caller.environmentId, future],
  });
  const past = { createdAt, id: { gte, lt } };
  return rows[0].has ? [{ createdAt, id: { gte: future } }, past] : [past];
}

/**
 * Reads a page from ranges, one after the other, until it is full.
 *
 * @param ranges the newest first
 * @param find reads at most `take` rows of a range
 */
export async function findInRanges<Row>(
  ranges: CreatedRange[],
  { isBackward, take }: { isBackward: boolean; take: number },
  find: (range: CreatedRange, take: number) => Promise<Row[]>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const range of isBackward ? ranges.toReversed() : ranges) {
    rows.push(...(await find(range, take - rows.length)));
    if (rows.length >= take) break;
  }
  return rows;
}
