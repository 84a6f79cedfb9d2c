import type { Pool, PoolClient } from 'pg';
import { markWithoutEffect } from '../database-errors.ts';

const ATTEMPTS_MAX = 5;
/**
 * deadlock_detected and serialization_failure: nothing was done, and the same work succeeds when made again. And
 * in_failed_sql_transaction: of statements that were sent together, one behind the first that failed was heard first.
 */
const RETRYABLE_CODES = new Set(['40P01', '40001', '25P02']);

/**
 * Runs work in one transaction: committed when it returns, rolled back when it throws. Made again after a deadlock,
 * so the work must not change anything outside the database. It must not wait for the network either.
 */
export const inTransaction = <T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> =>
  retryDeadlocks(() =>
    withClient(pool, async (client) => {
      // Waited for: behind a begin that failed, each statement would commit by itself.
      const result = await client
        .query('begin')
        .then(() => work(client))
        .catch(rethrowWithoutEffect);
      await client.query('commit');
      return result;
    }),
  );

/**
 * Classes 08 (connection exception), 53 (insufficient resources) and 57 (operator intervention, time-outs too),
 * 25P03 (the transaction was idle for too long) and 55P03 (lock not available). Without an SQLSTATE, it is a fault of the socket.
 */
const CODE_OF_ALL = /^(08|53|57|25P03|55P03)/;
/** With a digit, which sets it apart from codes of the system such as EPIPE. */
const SQLSTATE = /^(?=.*\d)[0-9A-Z]{5}$/;

/** Whether work failed for the state of the database, and not for what it wanted to write. */
export function isFaultOfAll(error: unknown): boolean {
  // A value that can't even be sent, for example a date that does not exist.
  if (error instanceof TypeError || error instanceof RangeError) return false;
  const { code = '' } = error as { code?: string };
  return !SQLSTATE.test(code) || CODE_OF_ALL.test(code);
}

/** Statements that were sent, and will have run when `done` resolves. */
export interface Sent<T> {
  done: Promise<T>;
}

/** Work of a transaction that takes two round trips. */
export interface TwoStepWork<R, T> {
  /** Sent along with `begin`. Only reads and locks: where `begin` fails, this has run alone. */
  read: (client: PoolClient) => Promise<R>;
  /** Resolves when all its statements are sent: `commit` goes out right behind them. */
  write: (client: PoolClient, found: R) => Promise<Sent<T>>;
}

/** As {@link inTransaction}, for work that knows what to write after one read. */
export const inTwoSteps = <R, T>(pool: Pool, { read, write }: TwoStepWork<R, T>): Promise<T> =>
  retryDeadlocks(() =>
    withClient(pool, async (client) => {
      const { done } = await Promise.all([client.query('begin'), read(client)])
        .then(([, found]) => write(client, found))
        .catch(rethrowWithoutEffect);
      // Behind a statement that failed, Postgres takes a commit for a rollback.
      const [result] = await Promise.all([done, client.query('commit')]).catch(rethrowRefused);
      return result;
    }),
  );

/** Commit was not sent. */
function rethrowWithoutEffect(error: unknown): never {
  throw markWithoutEffect(error);
}

/** Commit was sent. A statement that Postgres refused with an error, and not by ending the session, rolls it back. */
function rethrowRefused(error: unknown): never {
  throw (error as { severity?: string }).severity === 'ERROR' ? markWithoutEffect(error) : error;
}

async function retryDeadlocks<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX || !RETRYABLE_CODES.has((error as { code?: string }).code ?? '')) throw error;
    }
  }
}

/** A connection for work in a transaction, which is rolled back where the work throws. */
async function withClient<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch(rethrowWithoutEffect);
  let broken: Error | undefined;
  try {
    return await work(client);
  } catch (error) {
    await client.query('rollback').catch((cause: Error) => {
      broken = cause;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
