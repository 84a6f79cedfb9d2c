import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';

/** Not sent by an operation, or no reading of rows. */
const IS_ASIDE = /pg_notify|pgboss|pg_snapshot|^\s*(begin|commit|rollback|set|listen|unlisten)\b/i;
/** The values of a statement by Prisma, between its verb and its table. */
const SELECTED = /^\s*SELECT (.*?) FROM /is;
const RETURNED = / RETURNING (.*)$/is;
const COLUMN = /"(\w+)"\."(\w+)"(?=,| |::|$)/g;

type Query = (this: pg.Client, ...args: unknown[]) => unknown;

/** Watches the statements that this process sends to Postgres. */
export class Statements {
  #texts: string[] | null = null;
  #before: ((text: string) => Promise<void> | undefined) | null = null;
  readonly #original = pg.Client.prototype.query as unknown as Query;

  install(): void {
    const watch = this;
    const original = this.#original;
    (pg.Client.prototype as unknown as { query: Query }).query = function (this: pg.Client, ...args) {
      const [query] = args as [string | { text?: string } | undefined];
      const text = (typeof query === 'string' ? query : query?.text) ?? '';
      watch.#texts?.push(text);
      const waiting = watch.#before?.(text);
      // Callers that pass a callback take no promise.
      if (waiting) return waiting.then(() => original.apply(this, args));
      return original.apply(this, args);
    };
  }

  uninstall(): void {
    (pg.Client.prototype as unknown as { query: Query }).query = this.#original;
  }

  /** Runs something. @returns its result, and the statements that were sent meanwhile */
  async during<T>(work: () => Promise<T>): Promise<{ result: T; texts: string[] }> {
    this.#texts = [];
    try {
      const result = await work();
      return { result, texts: this.#texts.filter((text) => !IS_ASIDE.test(text)) };
    } finally {
      this.#texts = null;
    }
  }

  /** Lets a statement wait for `work`, which decides by its text. Null: none waits. */
  holdBack(work: ((text: string) => Promise<void> | undefined) | null): void {
    this.#before = work;
  }
}

/** Columns that statements by Prisma read, as `table.column`. */
export function columnsRead(texts: readonly string[]): Set<string> {
  const found = new Set<string>();
  for (const text of texts) {
    if (!text.includes('"public".')) continue;
    const values = SELECTED.exec(text)?.[1] ?? RETURNED.exec(text)?.[1] ?? '';
    for (const [, table, column] of values.matchAll(COLUMN)) if (table !== 'public') found.add(`${table}.${column}`);
  }
  return found;
}

/** Watches during all tests of a file. */
export function useStatements(): Statements {
  const statements = new Statements();
  beforeAll(() => statements.install());
  afterAll(() => statements.uninstall());
  return statements;
}
