import { RowDeletedError } from '../errors.ts';
import { getDatamodel } from '../generated/pothos.ts';
import type { PrismaClient } from '../generated/prisma/client.ts';

/** A field of a model, as Prisma's generator describes it. */
interface ModelField {
  name: string;
  kind: string;
  type: string;
  isList: boolean;
  isRequired: boolean;
}

/** A relation that a query reads. */
interface ReadRelation {
  name: string;
  /** A row without it is not whole. */
  isRequired: boolean;
  /** Relations that are read below it. */
  below: ReadRelation[];
}

type Args = { select?: Record<string, unknown>; include?: Record<string, unknown> };
type Row = Record<string, unknown>;
/** Runs a read with Prisma's arguments. */
type Read = (args: Args) => Promise<unknown>;

const READS = ['findMany', 'findFirst', 'findFirstOrThrow', 'findUnique', 'findUniqueOrThrow'];
/** Prisma found no row. */
const NOT_FOUND = 'P2025';

const MODELS: Record<string, { fields: readonly ModelField[] }> = getDatamodel().datamodel.models;

/**
 * Prisma reads the relations of rows with further statements, each of which sees what is committed by then. Retention
 * may delete in between: rows then lack a relation that they always have. Such a read is repeated in one snapshot, in
 * which rows and their relations belong together. Rows that lack a relation even there are left out. So no list fails
 * because of what is deleted at the same time, and reads without such a race cost nothing more.
 *
 * @returns a client whose `find…OrThrow` throws {@link RowDeletedError} if the row was deleted
 */
export function withWholeRows(prisma: PrismaClient): PrismaClient {
  const extended = prisma.$extends({
    query: {
      $allModels: {
        $allOperations: ({ model, operation, args, query }) =>
          READS.includes(operation)
            ? readWhole({ model, isStrict: operation.endsWith('OrThrow') }, args as Args, {
                read: query as Read,
                readInSnapshot: (sameArgs) => readInSnapshot(prisma, { model, operation, args: sameArgs }),
              })
            : query(args),
      },
    },
  });
  return extended as unknown as PrismaClient;
}

interface Reads {
  read: Read;
  readInSnapshot: Read;
}

async function readWhole(
  { model, isStrict }: { model: string; isStrict: boolean },
  args: Args,
  { read, readInSnapshot }: Reads,
): Promise<unknown> {
  const relations = findRelations(model, args);
  try {
    const result = await read(args);
    if (relations.length === 0 || isWhole(result, relations)) return result;
    const whole = keepWhole(await readInSnapshot(args), relations);
    if (whole === null && isStrict) throw deleted(model);
    return whole;
  } catch (error) {
    throw (error as { code?: string }).code === NOT_FOUND ? deleted(model, error) : error;
  }
}

const readInSnapshot = (
  prisma: PrismaClient,
  { model, operation, args }: { model: string; operation: string; args: Args },
) =>
  prisma.$transaction(
    (transaction) => {
      const delegates = transaction as unknown as Record<string, Record<string, Read>>;
      const delegate = delegates[`${model[0]?.toLowerCase()}${model.slice(1)}`] as Record<string, Read>;
      return (delegate[operation] as Read)(args);
    },
    { isolationLevel: 'RepeatableRead' },
  );

/** `DeliveryAttempt` is a `delivery attempt` in the message. */
const deleted = (model: string, cause?: unknown): RowDeletedError =>
  new RowDeletedError(model.replace(/(?<!^)[A-Z]/g, ' $&').toLowerCase(), cause);

/** Relations that a query reads and that may be missing from a row, or have such relations below. */
function findRelations(model: string, { select, include }: Args = {}): ReadRelation[] {
  const read = select ?? include;
  if (!read) return [];
  const found: ReadRelation[] = [];
  for (const { name, kind, type, isList, isRequired } of MODELS[model]?.fields ?? []) {
    const args = read[name];
    if (kind !== 'object' || !args) continue;
    const below = args === true ? [] : findRelations(type, args as Args);
    const isNeeded = isRequired && !isList;
    if (isNeeded || below.length > 0) found.push({ name, isRequired: isNeeded, below });
  }
  return found;
}

/** Whether nothing is missing from rows, a row or null. */
function isWhole(result: unknown, relations: ReadRelation[]): boolean {
  if (Array.isArray(result)) return result.every((row) => isWhole(row, relations));
  if (result === null || result === undefined) return true;
  return relations.every(({ name, isRequired, below }) => {
    const value = (result as Row)[name];
    return value === null ? !isRequired : isWhole(value, below);
  });
}

/** The same without rows that lack something. @returns null if a single row does */
function keepWhole(result: unknown, relations: ReadRelation[]): unknown {
  if (Array.isArray(result)) return result.filter((row) => keepWhole(row, relations) !== null);
  if (result === null || result === undefined) return result;
  const row = result as Row;
  for (const { name, isRequired, below } of relations) {
    row[name] = keepWhole(row[name], below);
    if (row[name] === null && isRequired) return null;
  }
  return row;
}
