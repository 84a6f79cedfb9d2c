import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase, DatabaseError } from 'pg';
import { StartupError } from '../../errors.ts';
import type { Log } from '../../log.ts';

/**
 * Key of the advisory lock of migrations. Version 0.1.0 held the same lock for a session. Now it belongs to a
 * transaction, so no pooler can keep it.
 */
export const MIGRATION_LOCK = 7_678_467_676;

/**
 * Longest time that a statement of a migration waits for a table's lock, because every other statement on that table waits
 * behind it. Longer than Postgres' `deadlock_timeout` of 1 s, after which an autovacuum in the way is canceled.
 */
const LOCK_TIMEOUT_MS = 1_500;
const RETRY_MS = { min: 250, max: 2_000 };
const LOG_INTERVAL_MS = 5_000;
/** Longest time that a start waits for locks of migrations. */
const WAIT_MS_MAX = 300_000;

const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK_DETECTED = '40P01';

export interface LockWaitOptions {
  log: Log;
  signal?: AbortSignal | undefined;
  /** @default 5 min */
  lockWaitMs?: number | undefined;
}

/** Lets statements of the current transaction fail after a short time, rather than wait for locks. */
export const limitLockWaits = (client: ClientBase) =>
  client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}; set local idle_in_transaction_session_timeout = 0`);

/** Whether a statement failed because somebody else holds a lock that it needs. */
export const isLockError = (error: unknown): boolean =>
  [LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED].includes((error as DatabaseError).code ?? '');

/**
 * Repeats work until it gets the locks that it needs, with rests in between, so that other statements go on. Logs what it
 * waits for.
 *
 * @param attempt returns undefined if a lock was not available; may also throw an error of {@link isLockError}
 * @param findHolder returns who holds the lock, in words, or null if nobody does any more
 * @throws {StartupError} after `lockWaitMs`
 */
export async function waitForLocks<T>(
  attempt: () => Promise<T | undefined>,
  findHolder: () => Promise<string | null>,
  { log, signal, lockWaitMs = WAIT_MS_MAX }: LockWaitOptions,
): Promise<T> {
  const startedAt = performance.now();
  let loggedAt = Number.NEGATIVE_INFINITY;
  for (let restMs = RETRY_MS.min; ; restMs = Math.min(restMs * 2, RETRY_MS.max)) {
    const result = await attempt().catch(rethrowUnlessLockError);
    if (result !== undefined) return result;
    const waitedMs = Math.round(performance.now() - startedAt);
    const holder = (await findHolder()) ?? 'a transaction that has just ended';
    if (waitedMs > lockWaitMs) throw new StartupError(describeTimeout(waitedMs, holder));
    if (performance.now() - loggedAt >= LOG_INTERVAL_MS) {
      loggedAt = performance.now();
      log.info({ holder, waitedMs, lockWaitMs }, 'migrations.waiting_for_lock');
    }
    await sleep(restMs, undefined, { signal });
  }
}

/** Who holds the lock of migrations, in words; null: nobody. */
export async function findLockHolder(client: ClientBase): Promise<string | null> {
  const { rows } = await client.query(
    `select l.pid, coalesce(a.application_name, '') as name, a.state from pg_locks l left join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.granted and l.pid <> pg_backend_pid() and l.database = (
       select oid from pg_database where datname = current_database())
       and l.objsubid = 1 and (l.classid::bigint << 32) + l.objid::bigint = $1`,
    [MIGRATION_LOCK],
  );
  return rows[0] ? describeBackend(rows[0]) : null;
}

/** Who holds up other backends of this database for the longest time, in words; null: nobody. */
export async function findOldestTransaction(client: ClientBase): Promise<string | null> {
  const { rows } = await client.query(
    `select pid, coalesce(application_name, '') as name, state from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null order by xact_start limit 1`,
  );
  return rows[0] ? describeBackend(rows[0]) : null;
}

const describeBackend = ({ pid, name, state }: { pid: number; name: string; state: string | null }) =>
  `backend ${pid}${name && ` (${name})`}${state ? `, ${state}` : ''}`;

function rethrowUnlessLockError(error: unknown): undefined {
  if (!isLockError(error)) throw error;
}

const describeTimeout = (waitedMs: number, holder: string) =>
  `Migrations waited ${Math.round(waitedMs / 1_000)} s for a lock that ${holder} holds. ` +
  'Let it finish, or end it with pg_terminate_backend, and start again.';
