import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const MIGRATIONS_PATH = join(import.meta.dirname, '../../../prisma/migrations');

/** One folder of `prisma/migrations`. */
export interface Migration {
  /** Name of the folder: migrations are applied in the order of their names. */
  name: string;
  sql: string;
  /** SHA-256 of the text in hex, as Prisma's tools compute it. */
  checksum: string;
}

/** Reads the migrations of this version, in order. */
export async function readMigrations(): Promise<Migration[]> {
  const entries = await readdir(MIGRATIONS_PATH, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(MIGRATIONS_PATH, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}
