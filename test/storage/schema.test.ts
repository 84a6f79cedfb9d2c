import { expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { diffWithPrismaSchema } from '../support/schema-engine.ts';

/** What schema.prisma can't say, so Prisma would change it. */
const EXPECTED_DIFFERENCES = [
  // Indexes with a condition or an expression of their own.
  /^DROP INDEX "\w+"$/,
  // No foreign keys on events, deliveries and attempts, and none on the organization of an endpoint.
  /^ALTER TABLE "(events|deliveries|delivery_attempts)" ADD CONSTRAINT "\w+_fkey" FOREIGN KEY/,
  /^ALTER TABLE "endpoints" ADD CONSTRAINT "endpoints_organization_id_fkey" FOREIGN KEY/,
  // The key of a change log is (xid, id), and Prisma does not know the type xid8.
  /^ALTER TABLE "(delivery|endpoint)_changes" DROP CONSTRAINT "\w+_pkey",\s*ADD CONSTRAINT "\w+_pkey" PRIMARY KEY \("id"\)$/,
  /^CREATE INDEX "endpoint_changes_environment_id_id_idx" ON "endpoint_changes"\("environment_id", "id"\)$/,
];

it('the migrations create the tables that schema.prisma describes', async () => {
  const database = await createTestDatabase();
  try {
    await database.query('drop table _prisma_migrations');
    const diff = await diffWithPrismaSchema(database.url);
    const statements = diff
      .replaceAll(/^--.*$/gm, '')
      .split(';')
      .map((statement) => statement.trim())
      .filter(Boolean);
    expect(statements.length).toBeGreaterThan(0);
    expect(statements.filter((statement) => !EXPECTED_DIFFERENCES.some((pattern) => pattern.test(statement)))).toEqual(
      [],
    );
    await database.query('alter table endpoints drop column description');
    expect(await diffWithPrismaSchema(database.url)).toContain('ADD COLUMN     "description" TEXT');
  } finally {
    await database.drop();
  }
});
