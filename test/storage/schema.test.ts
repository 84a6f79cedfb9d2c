import pg from 'pg';
import { expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { diffWithPrismaSchema } from '../support/schema-engine.ts';

it('the migrations create the tables that schema.prisma describes', async () => {
  const database = await createTestDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  try {
    await database.query('drop table _prisma_migrations');
    expect(await diffWithPrismaSchema(pool)).toBe('');
  } finally {
    await pool.end();
    await database.drop();
  }
});
