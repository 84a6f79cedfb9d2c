import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, Pool } from 'pg';
import type { Log } from '../../log.ts';
import { PollLoop } from '../../poll-loop.ts';
import { buildIndex, type StepContext } from './build-index.ts';
import { fillRows } from './fill-rows.ts';
import { openMigrationConnection } from './migration-connection.ts';
import { ONLINE_STEPS, type OnlineStep } from './online-steps.ts';

/** How often a process looks whether there is something to do. */
const CHECK_INTERVAL_MS = 60_000;
/** How often it looks while another process is working on a step. */
const BUSY_INTERVAL_MS = 2_000;
/**
 * Key of the advisory lock of steps. Its holder's session keeps it, because CREATE INDEX CONCURRENTLY cannot run in a
 * transaction. Two of those on one table would wait for each other: one for the lock, the other for the snapshot.
 */
const STEPS_LOCK = 7_678_467_677;

export interface OnlineMigrationsOptions {
  pool: Pool;
  /** Leads to Postgres itself: a statement may take minutes. */
  databaseUrl: string;
  log: Log;
  /** Whether indexes are built, or only rows are filled. @default true */
  buildsIndexes?: boolean;
}

/** Does the steps of `online-steps.ts` while Posthorn runs. Every process has one; one of them works at a time. */
export class OnlineMigrations {
  readonly #options: OnlineMigrationsOptions;
  readonly #loop: PollLoop;
  readonly #abort = new AbortController();

  constructor(options: OnlineMigrationsOptions) {
    this.#options = options;
    const { log } = options;
    this.#loop = new PollLoop({
      name: 'online-migrations',
      pollMs: CHECK_INTERVAL_MS,
      log,
      turn: async () => {
        await runOnlineSteps(this.#options, this.#abort.signal).catch((error: Error) => {
          // The next turn tries again. A step that fails does not keep Posthorn from its work.
          if (!this.#abort.signal.aborted) log.error({ error: error.message }, 'migrations.step_failed');
        });
        return false;
      },
    });
  }

  start(): void {
    this.#loop.start();
  }

  /** Ends at once: Postgres finishes or rolls back the statement in flight, and the next process continues. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop.stop();
  }
}

/** Does everything that is left to do, and waits for other processes that work on it. */
export async function runOnlineSteps(options: OnlineMigrationsOptions, signal: AbortSignal): Promise<void> {
  let hasLogged = false;
  for (;;) {
    const steps = await findOpenSteps(options);
    if (steps.length === 0) return;
    if ((await doSteps(steps, options, signal)) === 'done') return;
    if (!hasLogged) options.log.info({ steps: steps.map(({ name }) => name) }, 'migrations.busy_elsewhere');
    hasLogged = true;
    await sleep(BUSY_INTERVAL_MS, undefined, { signal });
  }
}

async function doSteps(steps: OnlineStep[], { pool, databaseUrl, log }: OnlineMigrationsOptions, signal: AbortSignal) {
  const client = await openMigrationConnection(databaseUrl);
  const abort = () => client.connection.stream.destroy();
  signal.addEventListener('abort', abort);
  try {
    if (!(await tryLock(client))) return 'busy';
    for (const step of steps) {
      signal.throwIfAborted();
      const context: StepContext = { client, pool, log, signal };
      const result = step.kind === 'index' ? await buildIndex(step, context) : await fillRows(step, context);
      if (result === 'busy') return 'busy';
    }
    return 'done';
  } finally {
    signal.removeEventListener('abort', abort);
    // A pooler would keep the session.
    await client.query('select pg_advisory_unlock_all()').catch(() => {});
    await client.end().catch(() => {});
  }
}

/** @returns false if another process is doing steps */
async function tryLock(client: Client): Promise<boolean> {
  const { rows } = await client.query('select pg_try_advisory_lock($1) as "hasLock"', [STEPS_LOCK]);
  return rows[0].hasLock;
}

/** Costs a look into the catalog and into one index a step. */
async function findOpenSteps({ pool, buildsIndexes = true }: OnlineMigrationsOptions): Promise<OnlineStep[]> {
  const indexes = ONLINE_STEPS.filter((step) => step.kind === 'index').map(({ name }) => name);
  const { rows } = await pool.query(
    `select name from unnest($1::text[]) as name
     where not exists (select from pg_index where indexrelid = to_regclass(name) and indisvalid)`,
    [indexes],
  );
  const missing = new Set(rows.map(({ name }) => name));
  const open: OnlineStep[] = [];
  for (const step of ONLINE_STEPS) {
    const isOpen = step.kind === 'index' ? buildsIndexes && missing.has(step.name) : await hasRowsToFill(pool, step);
    if (isOpen) open.push(step);
  }
  return open;
}

async function hasRowsToFill(pool: Pool, step: Extract<OnlineStep, { kind: 'fill' }>): Promise<boolean> {
  const { rows } = await pool.query(`select exists (select from ${step.table} where ${step.condition}) as "hasRows"`);
  return rows[0].hasRows;
}
