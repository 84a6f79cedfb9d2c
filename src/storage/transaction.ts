import type { Pool, PoolClient } from 'pg';

const ATTEMPTS_MAX = 5;
/** deadlock_detected and serialization_failure: nothing was done, and the same work succeeds when made again. */
const RETRYABLE_CODES = new Set(['40P01', '40001']);

/**
 * Runs work in one transaction: committed when it returns, rolled back when it throws. Made again after a deadlock,
 * so the work must not change anything outside the database. It must not wait for the network either.
 */
export async function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(pool, work);
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX || !RETRYABLE_CODES.has((error as { code?: string }).code ?? '')) throw error;
    }
  }
}

async function runOnce<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    // Waited for: behind a begin that failed, each statement would commit by itself.
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((cause: Error) => {
      broken = cause;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
