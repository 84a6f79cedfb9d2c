import type { Pool } from 'pg';
import { type Keyring, SEAL_PREFIX_BYTES } from '../domain/sealing.ts';
import { SEALED_COLUMNS, type SealedColumn } from './sealed-columns.ts';

/** Values of one statement. */
const BATCH = 500;

/** How far sealing anew has come. */
export interface SealingProgress {
  /** Values that are encrypted with the current key for their place now, and were not. */
  sealed: number;
  /** Values that were not sealed with the current key when it began. */
  total: number;
  /** What was said of each value that none of the keys opens. */
  unreadable: string[];
}

interface Found {
  id: string;
  sealed: Buffer;
}

/**
 * Encrypts everything with the current key that is encrypted with an older one, or not bound to its place yet, a batch after the other, each written at
 * once: what is done stays done, wherever this ends. A value that somebody changes meanwhile is left as it is then, and
 * looked at again.
 *
 * @returns after each batch, how far it has come. The last one, with nothing unreadable: no older key is needed
 */
export async function* sealAnew(pool: Pool, keyring: Keyring): AsyncGenerator<SealingProgress> {
  const progress: SealingProgress = { sealed: 0, total: 0, unreadable: [] };
  for (const column of SEALED_COLUMNS) progress.total += await countOlder(pool, column, keyring);
  yield progress;
  // Again from the beginning, until a whole pass finds nothing more that it can open.
  let hasFound = true;
  while (hasFound) {
    hasFound = false;
    progress.unreadable = [];
    for (const column of SEALED_COLUMNS) {
      for await (const { sealed, unreadable, readable } of sealColumn(pool, column, keyring)) {
        progress.sealed += sealed;
        progress.unreadable.push(...unreadable);
        if (readable > 0) hasFound = true;
        yield progress;
      }
    }
  }
}

async function* sealColumn(pool: Pool, column: SealedColumn, keyring: Keyring) {
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const found = await findOlder(pool, column, { keyring, after });
    if (found.length === 0) return;
    after = (found.at(-1) as Found).id;
    const unreadable: string[] = [];
    const values = found.flatMap(({ id, sealed }) => {
      const place = { ...column, id };
      const text = openOr(
        () => keyring.open(sealed, place),
        (message) => unreadable.push(message),
      );
      return text === null ? [] : [{ id, old: sealed, new: keyring.seal(text, place) }];
    });
    yield { sealed: await replace(pool, column, values), readable: values.length, unreadable };
  }
}

function openOr(open: () => string, tell: (message: string) => void): string | null {
  try {
    return open();
  } catch (error) {
    tell((error as Error).message);
    return null;
  }
}

const older = ({ column }: SealedColumn) => `substring(${column} from 1 for ${SEAL_PREFIX_BYTES}) <> $1`;

async function countOlder(pool: Pool, column: SealedColumn, keyring: Keyring): Promise<number> {
  const statement = `select count(*)::int from ${column.table} where ${older(column)}`;
  const { rows } = await pool.query(statement, [keyring.prefixes[0]]);
  return rows[0].count;
}

async function findOlder(
  pool: Pool,
  column: SealedColumn,
  { keyring, after }: { keyring: Keyring; after: string },
): Promise<Found[]> {
  const statement = `select id, ${column.column} as sealed from ${column.table}
    where ${older(column)} and id > $2 order by id limit ${BATCH}`;
  return (await pool.query(statement, [keyring.prefixes[0], after])).rows;
}

/** Only where the value is still the one that was read. @returns how many were */
async function replace(
  pool: Pool,
  { table, column }: SealedColumn,
  values: { id: string; old: Buffer; new: Buffer }[],
): Promise<number> {
  const statement = `update ${table} t set ${column} = v.new
    from unnest($1::uuid[], $2::bytea[], $3::bytea[]) as v (id, old, new) where t.id = v.id and t.${column} = v.old`;
  const columns = [values.map(({ id }) => id), values.map((value) => value.old), values.map((value) => value.new)];
  return (await pool.query(statement, columns)).rowCount ?? 0;
}
