import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient } from '../generated/prisma/client.ts';
import type { Log } from '../log.ts';

/** Connections of one process. Postgres' default of 100 leaves room for several processes. */
const POOL_MAX = 16;
/** A statement that takes longer is ended, so that no read can hold a connection for good. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** A connection that brings no answer for longer is given up: it went silent without being closed. */
const ANSWER_TIMEOUT_MS = 35_000;

/** All statements are short ones, and to start parallel workers takes longer: 13 ms for a page that takes 0.2. */
const SETTINGS = '-c max_parallel_workers_per_gather=0';

/**
 * For a pooler in transaction mode, which gives each transaction another connection to Postgres: none of them knows
 * what was prepared on another one.
 */
class UnnamedClient extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: it has the overloads of the method that it passes to
  override query(config: any, ...rest: any[]): any {
    const isNamed = typeof config?.name === 'string';
    return (super.query as (...words: unknown[]) => unknown)(
      isNamed ? { ...config, name: undefined } : config,
      ...rest,
    );
  }
}

/** What connections are opened with. A pooler refuses settings that it does not know. */
const DIRECT = { statement_timeout: STATEMENT_TIMEOUT_MS, options: SETTINGS };
const POOLED = { Client: UnnamedClient };

export interface Database {
  /** For the hot statements and everything in a transaction. */
  pool: pg.Pool;
  /** For reads and plain writes, on the same pool. */
  prisma: PrismaClient;
  close(): Promise<void>;
}

/**
 * Opens the pool that everything in this process shares. Connections are made when they are needed.
 *
 * @param isPooled the URL leads to a pooler in transaction mode: nothing may outlast a transaction
 */
export function openDatabase(databaseUrl: string, log: Log, { isPooled = false } = {}): Database {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: POOL_MAX,
    query_timeout: ANSWER_TIMEOUT_MS,
    application_name: 'posthorn',
    keepAlive: true,
    ...(isPooled ? POOLED : DIRECT),
    // Statements that don't wait for one another's results go out in one piece.
    pipeline: true,
  });
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', (error) => log.warn({ error: error.message }, 'database.connection_lost'));
  // One that breaks while it is in use fails the statements sent on it; what it says beside that must not end us either.
  pool.on('connect', (client) => client.on('error', () => {}));
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
