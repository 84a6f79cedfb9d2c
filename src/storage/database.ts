import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { DATABASE_CONNECTIONS_DEFAULT } from '../config.ts';
import { logFailure, watchDatabase } from '../database-outage.ts';
import { PrismaClient } from '../generated/prisma/client.ts';
import type { Log } from '../log.ts';
import { ConnectionShare, SharingPool } from './connection-share.ts';
import { describeSession, poolerParameters, schemaOf } from './session-settings.ts';
import { withWholeRows } from './whole-rows.ts';

/** Opening a connection takes at most so long. */
const CONNECT_TIMEOUT_MS = 10_000;
/** A statement that takes longer is ended, so that none can hold a connection for good. */
const STATEMENT_TIMEOUT_MS = 30_000;
/**
 * A transaction whose process does nothing for so long is rolled back: the process stands still, and others wait for its
 * locks. Posthorn does not wait for anything within a transaction.
 */
const IDLE_TRANSACTION_TIMEOUT_MS = 30_000;
/** A connection that brings no answer for so much longer is given up: it went silent without being closed. */
const ANSWER_GRACE_MS = 5_000;

/**
 * Postgres keeps the plan of a statement that is prepared: one that was made while a table was small would read all of it
 * when it has grown. And rows that are found by their IDs are found, and locked, in the order of those.
 */
const INDEXES_ONLY = { enable_seqscan: 'off', enable_bitmapscan: 'off' };
/**
 * What callers ask for is a page, and mostly of what is new, which is in memory. Where nearly all rows fit a filter,
 * Postgres would otherwise walk the primary key, which has the fewest pages, and pass over whatever is newer and does
 * not fit: 10,000 rows take 2 ms. With pages this cheap, the rows that are passed over decide, and it takes the index of
 * the filter, unless that is a level higher.
 */
const EXACT_INDEXES = { seq_page_cost: '0.01', random_page_cost: '0.01' };

// biome-ignore lint/suspicious/noExplicitAny: what the many overloads of the method take and give
type Words = any;

/** Sends statements that are made in one go in one piece: each would be a system call, and would wake Postgres, by itself. */
class GatheringClient extends pg.Client {
  constructor(config: pg.ClientConfig = {}) {
    // Of the client alone: as an option of the pool, it would also end waiting for a free connection.
    super({ ...config, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  }

  override query(...words: Words[]): Words {
    const { stream } = this.connection;
    stream.cork();
    process.nextTick(() => stream.uncork());
    return (super.query as (...words: Words[]) => Words)(...words);
  }
}

/**
 * For a pooler in transaction mode, which gives each transaction another connection to Postgres: none of them knows
 * what was prepared on another one.
 */
export class PooledClient extends GatheringClient {
  override query(config: Words, ...rest: Words[]): Words {
    const isNamed = typeof config?.name === 'string';
    return super.query(isNamed ? { ...config, name: undefined } : config, ...rest);
  }

  /** What `pg` sends at the start of a session; not part of its documented interface, tested in `check-database.test.ts`. */
  getStartupConf(): Record<string, string> {
    const parent = pg.Client.prototype as unknown as { getStartupConf(): Record<string, string> };
    return { ...parent.getStartupConf.call(this), ...poolerParameters };
  }
}

export interface Database {
  /** For the hot statements and everything in a transaction. */
  pool: pg.Pool;
  /** For reads and plain writes, on the same pool. */
  prisma: PrismaClient;
  close(): Promise<void>;
}

export interface PoolOptions {
  /** The URL leads to a pooler in transaction mode: nothing may outlast a transaction. @default false */
  isPooled?: boolean;
  /** Statements are to walk indexes wherever there are some. @default false: where that is cheapest */
  walksIndexes?: boolean;
  /** Most connections at a time. @default {@link DATABASE_CONNECTIONS_DEFAULT} */
  max?: number;
  /** The pools of this process share what the server allows. @default this pool has all of it */
  share?: ConnectionShare;
  /** A statement that takes longer is ended; behind a pooler, only waited for no longer. @default 30 s */
  statementTimeoutMs?: number;
}

/** Opens a pool. Connections are made when they are needed. */
export function openPool(
  databaseUrl: string,
  log: Log,
  {
    isPooled = false,
    walksIndexes = false,
    max = DATABASE_CONNECTIONS_DEFAULT,
    share = new ConnectionShare(),
    statementTimeoutMs = STATEMENT_TIMEOUT_MS,
  }: PoolOptions = {},
): pg.Pool {
  const config = {
    ...describeSession(databaseUrl, {
      isPooled,
      settings: {
        ...(walksIndexes ? INDEXES_ONLY : EXACT_INDEXES),
        idle_in_transaction_session_timeout: String(IDLE_TRANSACTION_TIMEOUT_MS),
      },
    }),
    max,
    query_timeout: statementTimeoutMs + ANSWER_GRACE_MS,
    application_name: 'posthorn',
    keepAlive: true,
    // A pooler refuses settings that it does not know.
    ...(isPooled ? { Client: PooledClient } : { Client: GatheringClient, statement_timeout: statementTimeoutMs }),
    // Statements that don't wait for one another's results go out in one piece.
    pipeline: true,
  };
  const pool = new SharingPool(config, share, statementTimeoutMs);
  pool.onEnd(watchDatabase(log, () => pool.query('select 1')));
  // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
  pool.on('error', (error) => {
    if (!pool.ending) logFailure(log, { level: 'warn', error }, 'database.connection_lost');
  });
  // One that breaks while it is in use fails the statements sent on it; what it says beside that must not end us either.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** Opens a pool and Prisma on it. */
export function openDatabase(databaseUrl: string, log: Log, options: PoolOptions = {}): Database {
  const pool = openPool(databaseUrl, log, options);
  const adapter = new PrismaPg(pool, { disposeExternalPool: false, schema: schemaOf(databaseUrl) });
  const prisma = withWholeRows(new PrismaClient({ adapter }));
  return {
    pool,
    prisma,
    close: async () => {
      await prisma.$disconnect();
      await pool.end();
    },
  };
}
