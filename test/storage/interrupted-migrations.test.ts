import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../src/log.ts';
import { migrateCompletely } from '../../src/storage/migrations/migrate-completely.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { applyAsVersion010, describeSchema, readOldMigrations } from '../support/old-migrations.ts';

const log = createLog('silent');
const migrations = await readOldMigrations();
let database: TestDatabase;
let expectedSchema: string[];

beforeAll(async () => {
  database = await createTestDatabase();
  expectedSchema = await describeSchema(database.query);
  await database.query('drop schema pgboss cascade');
});
afterAll(() => database.drop());

async function expectContinuation(name: string, statementCount: number) {
  await database.query('drop schema public cascade');
  await database.query('create schema public');
  await applyAsVersion010(database.query, migrations, { name, statementCount });
  await migrateCompletely(database.url, { log });
  expect(await describeSchema(database.query), `after ${statementCount} statements of ${name}`).toEqual(expectedSchema);
  const rows = await database.query<{ name: string; count: number }>(
    `select migration_name as name, count(*)::int as count from _prisma_migrations
     where finished_at is not null and rolled_back_at is null group by 1`,
  );
  for (const migration of migrations) expect(rows).toContainEqual({ name: migration.name, count: 1 });
  const tenants = await database.query('select name from organizations union all select name from environments');
  expect(tenants).toEqual([{ name: 'default' }, { name: 'production' }]);
}

describe('a database that version 0.1.0 left in the middle of a migration is migrated by the next start', () => {
  for (const { name, statements } of migrations) {
    // A sample of a long migration: `npm run test:faults` tries every statement.
    const step = Math.max(1, Math.floor(statements.length / 3));
    it(`in ${name}, after any of its statements`, async () => {
      for (let count = 0; count < statements.length; count += step) await expectContinuation(name, count);
      await expectContinuation(name, statements.length);
    });
  }
});
