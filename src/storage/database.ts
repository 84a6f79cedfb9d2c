import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient } from '../generated/prisma/client.ts';
import type { Log } from '../log.ts';

/** Connections of a pool. Postgres' default of 100 leaves room for several processes. */
const POOL_MAX = 12;

/** All statements are short ones, and to start parallel workers takes longer: 13 ms for a page that takes 0.2. */
const SETTINGS = '-c max_parallel_workers_per_gather=0';

export interface Database {
  /** For the hot statements and everything in a transaction. */
  pool: pg.Pool;
  /** For reads and plain writes, on the same pool. */
  prisma: PrismaClient;
  close(): Promise<void>;
}

/**
 * Opens a pool. Connections are made when they are needed.
 *
 * @param statementTimeoutMs a statement that takes longer is ended; left out: none is
 */
export function openPool(databaseUrl: string, log: Log, statementTimeoutMs?: number): pg.Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: POOL_MAX,
    statement_timeout: statementTimeoutMs ?? false,
    application_name: 'posthorn',
    options: SETTINGS,
    // Statements that don't wait for one another's results go out in one piece.
    pipeline: true,
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', (error) => log.warn({ error: error.message }, 'database.connection_lost'));
  // One that breaks while it is in use fails the statements sent on it; what it says beside that must not end us either.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** Opens a pool and Prisma on it. @param statementTimeoutMs as {@link openPool} */
export function openDatabase(databaseUrl: string, log: Log, statementTimeoutMs?: number): Database {
  const pool = openPool(databaseUrl, log, statementTimeoutMs);
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool, { disposeExternalPool: false }) });
  return {
    pool,
    prisma,
    close: async () => {
      await prisma.$disconnect();
      await pool.end();
    },
  };
}
