import type { ClientBase, DatabaseError } from 'pg';

/** The newest migration of version 0.1.0, the only version that could leave a migration applied in part. */
const LAST_DIVISIBLE = '20261130100000_event_types';

/** Errors of a statement that creates what exists: schema, table or index, column, type or constraint. */
const EXISTS_CODES = new Set(['42P06', '42P07', '42701', '42710']);
/** Errors of a statement that drops what is gone: column, index. */
const GONE_CODES = new Set(['42703', '42704']);
const UNIQUE_VIOLATION = '23505';

/** Whether a migration that was started and not finished may have been executed in part. */
export const isDivisible = (name: string): boolean => name <= LAST_DIVISIBLE;

/**
 * Executes a migration of which version 0.1.0 may have executed the first statements, within the caller's transaction.
 * Statements that were executed before fail here without effect, because the object exists or is gone, or are
 * repeatable: that holds for every statement of every migration up to {@link LAST_DIVISIBLE}, and
 * `test/storage/interrupted-migrations.test.ts` tries it after each of them.
 */
export async function continueInterrupted(client: ClientBase, sql: string): Promise<void> {
  for (const statement of splitStatements(sql)) {
    await client.query('savepoint statement');
    try {
      await client.query(statement);
      await client.query('release savepoint statement');
    } catch (error) {
      if (!wasExecutedBefore(statement, error as DatabaseError)) throw error;
      await client.query('rollback to savepoint statement');
    }
  }
}

/** Splits the text of a migration as version 0.1.0 did: these migrations have no semicolon within a statement. */
export const splitStatements = (sql: string): string[] =>
  sql
    .replaceAll(/^\s*--.*$/gm, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');

function wasExecutedBefore(statement: string, { code = '', schema }: DatabaseError): boolean {
  if (EXISTS_CODES.has(code)) return true;
  if (GONE_CODES.has(code)) return /\bDROP\b/.test(statement);
  // A row of the migration itself, or two backends that create the same object at the same time.
  return code === UNIQUE_VIOLATION && (schema === 'pg_catalog' || /^(INSERT|WITH)\b/.test(statement));
}
