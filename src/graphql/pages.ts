import DataLoader from 'dataloader';
import type { GraphQLResolveInfo } from 'graphql';
import { decodeId, encodeId, type IdKind } from '../domain/ids.ts';
import { measureJsonValue } from '../domain/json-values.ts';

import { RequestError } from '../errors.ts';
import { neverResolved } from './answer.ts';
import type { Context } from './context.ts';
import { pathOf } from './selection.ts';
import { Turnstile } from './turnstile.ts';

export const PAGE_SIZE_DEFAULT = 20;
export const PAGE_SIZE_MAX = 100;

/** The arguments of every connection. */
export interface PageArgs {
  first?: number | null;
  after?: string | null;
  last?: number | null;
  before?: string | null;
}

/** A page of a list that is ordered by ID, newest first. */
export interface Page {
  kind: IdKind;
  size: number;
  /** Counted from the end of the list. */
  isBackward: boolean;
  /** UUIDs. */
  after: string | undefined;
  before: string | undefined;
}

/** Checks the arguments of a connection. @throws {RequestError} BAD_USER_INPUT */
export function readPage(kind: IdKind, { first, after, last, before }: PageArgs): Page {
  if (typeof first === 'number' && typeof last === 'number') throw badInput('Give first or last, not both.');
  const size = first ?? last ?? PAGE_SIZE_DEFAULT;
  if (size < 1 || size > PAGE_SIZE_MAX) throw badInput(`first and last must be from 1 to ${PAGE_SIZE_MAX}.`);
  return {
    kind,
    size,
    isBackward: typeof last === 'number',
    after: readCursor(kind, after, 'after'),
    before: readCursor(kind, before, 'before'),
  };
}

/** How many objects a connection's field may give, for the cost of an operation. */
export const pageComplexity = ({ first, last }: PageArgs) => ({
  field: 1,
  multiplier: Math.min(PAGE_SIZE_MAX, Math.max(1, first ?? last ?? PAGE_SIZE_DEFAULT)),
});

/** The part of a Prisma query that reads a page, and one row more to see whether there is another page. */
export function pageQuery({ after, before, isBackward, size }: Page) {
  return {
    where: { ...(after && { id: { lt: after } }), ...(before && { AND: { id: { gt: before } } }) },
    orderBy: { id: isBackward ? ('asc' as const) : ('desc' as const) },
    take: size + 1,
  };
}

/**
 * Makes a connection of rows that were read with {@link pageQuery}.
 *
 * @param found how many rows were found, including those that were deleted before they were read
 */
export function toConnection<Row extends { id: string }>(page: Page, rows: Row[], found = rows.length) {
  const hasMore = found > page.size;
  const inOrder = rows.slice(0, page.size);
  if (page.isBackward) inOrder.reverse();
  const edges = inOrder.map((node) => ({ node, cursor: encodeCursor(page.kind, node.id) }));
  return {
    edges,
    pageInfo: {
      hasNextPage: page.isBackward ? page.before !== undefined : hasMore,
      hasPreviousPage: page.isBackward ? hasMore : page.after !== undefined,
      startCursor: edges.at(0)?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

/** A connection below each object of a list. */
export interface NestedPageOptions<Row extends { id: string }> {
  page: Page;
  /** UUID of the object that the connection hangs on. */
  parentId: string;
  table: 'deliveries' | 'delivery_attempts' | 'api_keys';
  parentColumn: 'event_id' | 'delivery_id' | 'environment_id';
  /** Reads the rows of all parents' pages, in any order, as far as the caller may see them. */
  findMany: (ids: string[]) => Promise<Row[]>;
}

/** Rows of one parent. */
export interface NestedPage<Row> {
  rows: Row[];
  /** Includes rows that were deleted before they were read. */
  found: number;
  /** Whether so many rows were read with it that to resolve all of them at once would take long. */
  isOfMany: boolean;
}

/** Who sees one endpoint sees nothing of a table whose rows belong to none. */
const HAS_ENDPOINT = { deliveries: true, delivery_attempts: true, api_keys: false };

/**
 * Loads a connection that hangs on each object of a list, as far as the caller may see it: one statement finds the pages
 * of all of them, one reads their rows.
 */
export async function loadNestedPage<Row extends { id: string }>(
  context: Context,
  info: GraphQLResolveInfo,
  options: NestedPageOptions<Row>,
) {
  const key = `${pathOf(info)} ${JSON.stringify(options.page)}`;
  let loader = context.loaders.pages.get(key);
  if (!loader) {
    // Remembers nothing: a subscription asks again and again.
    loader = new DataLoader((parentIds) => loadPages(context, options, parentIds), { cache: false });
    context.loaders.pages.set(key, loader);
  }
  const { rows, found, isOfMany } = await loader.load(options.parentId);
  if (isOfMany) await turnstile.pass();
  return toConnection(options.page, rows as Row[], found);
}

/** Pages that are resolved in one turn of the event loop. */
const turnstile = new Turnstile(4);
/** Rows that are read by one statement. */
const ROWS_PER_READ = 500;

/** Reads the rows of many pages, as long as they are not too large for an answer. */
async function readRows<Row extends { id: string }>(
  { answer }: Context,
  ids: string[],
  findMany: NestedPageOptions<Row>['findMany'],
): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for (let from = 0; from < ids.length; from += ROWS_PER_READ) {
    const read = await findMany(ids.slice(from, from + ROWS_PER_READ));
    const chars = read.reduce((sum, row) => sum + measureJsonValue(row, NO_LIMIT).chars, 0);
    if (!answer.addRead(chars)) return neverResolved();
    for (const row of read) rows.set(row.id, row);
  }
  return rows;
}

const NO_LIMIT = { values: Number.POSITIVE_INFINITY, chars: Number.POSITIVE_INFINITY };

async function loadPages<Row extends { id: string }>(
  context: Context,
  { page, table, parentColumn, findMany }: NestedPageOptions<Row>,
  parentIds: readonly string[],
): Promise<NestedPage<Row>[]> {
  const { services, caller } = context;
  const endpointId = HAS_ENDPOINT[table] ? 'c.endpoint_id' : 'null';
  const { rows } = await services.deliveries.pool.query(
    `select p.id as "parentId", x.id from unnest($1::uuid[]) as p(id) cross join lateral (
       select c.id from ${table} c where c.${parentColumn} = p.id
         and ($2::uuid is null or c.id < $2) and ($3::uuid is null or c.id > $3)
         and ($5::uuid is null or ${endpointId} = $5)
       order by c.id ${page.isBackward ? 'asc' : 'desc'} limit $4) x`,
    [parentIds, page.after ?? null, page.before ?? null, page.size + 1, caller.endpointId],
  );
  const ids = rows.map((row) => row.id as string);
  const nodes = await readRows(context, ids, findMany);
  const byParent = Map.groupBy(rows, (row) => row.parentId as string);
  return parentIds.map((id) => {
    const found = byParent.get(id) ?? [];
    const isOfMany = ids.length > ROWS_PER_READ;
    return { rows: found.flatMap((row) => nodes.get(row.id) ?? []), found: found.length, isOfMany };
  });
}

/** The cursor of a row, by its UUID. */
export const encodeCursor = (kind: IdKind, uuid: string) => Buffer.from(encodeId(kind, uuid)).toString('base64url');

/** UUID behind a cursor; null where it is none of a list of that kind. */
export const decodeCursor = (kind: IdKind, cursor: string): string | null =>
  decodeId(kind, Buffer.from(cursor, 'base64url').toString());

function readCursor(kind: IdKind, cursor: string | null | undefined, name: string): string | undefined {
  if (cursor === null || cursor === undefined) return undefined;
  const uuid = decodeCursor(kind, cursor);
  if (uuid === null) throw badInput(`${name} is no cursor of this list. Take one from pageInfo or an edge.`);
  return uuid;
}

const badInput = (message: string) => new RequestError('BAD_USER_INPUT', message);
