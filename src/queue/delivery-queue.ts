import { createHash } from 'node:crypto';
import type { ClientBase, CustomTypesConfig, Pool } from 'pg';
import { PgBoss } from 'pg-boss';
import { logFailure } from '../database-outage.ts';
import { StartupError } from '../errors.ts';
import type { Log } from '../log.ts';

/** The shared lane. */
const QUEUE = 'deliveries';

/** A worker that holds jobs says so every {@link TOUCH_INTERVAL_MS}; without a word for so long, others take them. */
const HEARTBEAT_SECONDS = 12;
/** How often a worker refreshes the jobs that it holds. */
export const TOUCH_INTERVAL_MS = 3_000;
/** How often pg-boss looks for jobs whose worker died. */
const SUPERVISE_INTERVAL_SECONDS = 3;
/** pg-boss deletes jobs that wait longer than this. A delivery must never vanish so: 20 years. */
const RETENTION_SECONDS = 20 * 365 * 86_400;
/** pg-boss gives a job up after so many dead workers. A delivery must not be given up so: as many as it takes. */
const RETRY_LIMIT = 1_000_000;
/** Ends a job that a worker holds for longer, alive or not. Far above the longest attempt and its recording. */
const EXPIRE_SECONDS = 3_600;

/**
 * A fetch that takes longer reads all that waits: a queue that was empty when its statistics were taken, and then got
 * thousands of jobs at once, is planned with wrong numbers until autovacuum comes by, which may be a minute.
 */
const FETCH_SLOW_MS = 10;
/** Statistics are taken no more often than this. */
const ANALYZE_INTERVAL_MS = 10_000;
/** They are taken anew when so many rows changed since, and more than there were: a fetch may be slow for other reasons. */
const ANALYZE_CHANGES_MIN = 1_000;
/** How often that is looked at: Postgres counts changes a second late. */
const STALE_CHECK_INTERVAL_MS = 1_000;

/** Of jobs `j`: a worker has it, or the next free one is given it. */
const IS_ALIVE = `(j.state = 'active' or j.state < 'active' and not j.blocked and j.start_after < now() + interval '1 minute')`;

/**
 * A job's ID follows from the delivery and its version, so that the job of a delivery is found by its key, and added once
 * however often it is tried.
 */
export function toJobId({ deliveryId, plan }: DeliveryJobData): string {
  const tail = (Number.parseInt(deliveryId.slice(-8), 16) ^ plan) >>> 0;
  return deliveryId.slice(0, -8) + tail.toString(16).padStart(8, '0');
}

/** How pg-boss says so of its tables if it may not create them. */
const NOT_MIGRATED = /^pg-boss (is not installed|database requires migrations)/;

/** What a job says: which delivery, and under which plan it was queued. */
export interface DeliveryJobData {
  deliveryId: string;
  plan: number;
}

/** Names one claim of a job: once another worker has claimed it again, it no longer does. */
export interface JobClaim {
  id: string;
  retryCount: number;
}

/** A job that this worker holds. */
export interface DeliveryJob extends DeliveryJobData {
  claim: JobClaim;
}

export interface DeliveryQueueOptions {
  pool: Pool;
  log: Log;
  /** Schema of pg-boss' tables, which must not be that of Posthorn's tables. @default 'pgboss' */
  schema?: string;
  /** Whether this process creates and migrates pg-boss' tables, or requires them. @default true */
  migrates?: boolean;
  /** Whether this process looks after the queue: jobs of dead workers, clean-up. */
  supervise: boolean;
}

/** The shared lane: a pg-boss queue, on this process' pool and inside its transactions. */
export class DeliveryQueue {
  readonly #boss: PgBoss;
  readonly #pool: Pool;
  readonly #log: Log;
  readonly #schema: string;
  readonly #migrates: boolean;
  /** Of the jobs, once started. */
  #table = '';
  #analyzeAt = 0;

  constructor({ pool, log, supervise, schema = 'pgboss', migrates = true }: DeliveryQueueOptions) {
    this.#schema = schema;
    this.#migrates = migrates;
    this.#pool = pool;
    this.#log = log;
    this.#boss = new PgBoss({
      db: { executeSql: (text, values) => pool.query(text, values) },
      schema: this.#schema,
      createSchema: false,
      migrate: migrates,
      schedule: false,
      supervise,
      superviseIntervalSeconds: SUPERVISE_INTERVAL_SECONDS,
      monitorIntervalSeconds: SUPERVISE_INTERVAL_SECONDS,
    });
    this.#boss.on('error', (error) => logFailure(log, { level: 'error', error }, 'queue.error'));
    this.#boss.on('warning', (warning) => log.warn({ warning: warning.message }, 'queue.warning'));
  }

  /**
   * Creates pg-boss' tables and the queue if they are missing. Safe in several processes at once, and repeatable.
   *
   * @throws {StartupError} if the tables are missing, and this process is not to create them
   */
  async start(): Promise<void> {
    if (this.#migrates) await this.#createSchema();
    await this.#boss.start().catch((error: Error) => {
      if (this.#migrates || !NOT_MIGRATED.test(error.message)) throw error;
      throw new StartupError(
        'The tables of pg-boss are missing or old, and POSTHORN_MIGRATE is off. Run npm run migrate, or set POSTHORN_MIGRATE to on.',
        { cause: error },
      );
    });
    if (!(await this.recreateIfMissing())) await this.#createQueue();
  }

  async #createQueue() {
    await this.#boss.createQueue(QUEUE, {
      partition: true,
      retryLimit: RETRY_LIMIT,
      retryDelay: 0,
      retentionSeconds: RETENTION_SECONDS,
      expireInSeconds: EXPIRE_SECONDS,
      heartbeatSeconds: HEARTBEAT_SECONDS,
    });
    await this.#tuneVacuum();
  }

  /**
   * Creates the queue if it or its table is missing. The jobs are gone then: every queued delivery needs a new one.
   *
   * @returns whether it was missing
   */
  async recreateIfMissing(): Promise<boolean> {
    const { hasRow, hasTable } = await this.#findParts();
    if (hasRow && hasTable) return false;
    // pg-boss creates both, or neither if there is a row. The lock lets one process drop what is left.
    if (hasRow !== hasTable)
      await this.#pool.query(`do $$ begin
        perform pg_advisory_xact_lock(hashtextextended('${this.#partition}', 0));
        if (to_regclass('${this.#partition}') is null) = exists (select from ${this.#schema}.queue where name = '${QUEUE}') then
          drop table if exists ${this.#partition};
          delete from ${this.#schema}.queue where name = '${QUEUE}';
        end if; end $$`);
    await this.#createQueue();
    return true;
  }

  /** Table of the queue's jobs, as pg-boss names it. */
  get #partition(): string {
    return `${this.#schema}.j${createHash('sha224').update(QUEUE).digest('hex')}`;
  }

  async #findParts(): Promise<{ hasRow: boolean; hasTable: boolean }> {
    const { rows } = await this.#pool.query(
      `select exists (select from ${this.#schema}.queue where name = $1) as "hasRow", to_regclass($2) is not null as "hasTable"`,
      [QUEUE, this.#partition],
    );
    return rows[0];
  }

  /**
   * Finds deliveries that no job stands for that a worker has or will be given: it was deleted, canceled, completed or
   * failed, or begins in the future because the clock of the database was ahead.
   */
  async findJobless(deliveries: DeliveryJobData[]): Promise<DeliveryJobData[]> {
    if (deliveries.length === 0) return [];
    const { rows } = await this.#pool.query({
      name: 'find-jobless',
      text: `select i.place from unnest($1::uuid[]) with ordinality as i(id, place)
        where not exists (select from ${this.#partition} j where j.name = '${QUEUE}' and j.id = i.id and ${IS_ALIVE})`,
      values: [deliveries.map(toJobId)],
    });
    const jobless = rows.map(({ place }) => deliveries[Number(place) - 1] as DeliveryJobData);
    if (jobless.length === 0) return [];
    // Jobs of version 0.1.0 have random IDs. Reads all jobs, but only if something is wrong.
    const { rows: found } = await this.#pool.query({
      text: `select distinct j.data ->> 'deliveryId' as id from ${this.#partition} j
        where j.name = '${QUEUE}' and j.data ->> 'deliveryId' = any($1::text[]) and ${IS_ALIVE}`,
      values: [jobless.map(({ deliveryId }) => deliveryId)],
    });
    const known = new Set(found.map(({ id }) => id));
    return jobless.filter(({ deliveryId }) => !known.has(deliveryId));
  }

  /** Adds jobs in place of those that no worker will be given, within a transaction. */
  async replace(client: ClientBase, deliveries: DeliveryJobData[]): Promise<void> {
    await client.query(
      `delete from ${this.#partition} j where j.name = '${QUEUE}' and j.id = any($1::uuid[]) and not (${IS_ALIVE})`,
      [deliveries.map(toJobId)],
    );
    await this.add(client, deliveries);
  }

  /** Asks first: Postgres refuses `if not exists` to a role that may not create schemas, even if the schema exists. */
  async #createSchema() {
    const { rows } = await this.#pool.query('select to_regnamespace($1) is null as "isMissing"', [this.#schema]);
    if (!rows[0].isMissing) return;
    await this.#pool.query(`create schema if not exists ${this.#schema}`).catch((error: { code?: string }) => {
      // 23505 unique_violation: another process created it at the same moment.
      if (error.code !== '23505') throw error;
    });
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ graceful: false, close: false });
  }

  /** Adds jobs within a transaction. */
  async add(client: ClientBase, jobs: DeliveryJobData[]): Promise<void> {
    await (await this.send(client, jobs)).done;
  }

  /** As {@link add}, but resolves when the statement is sent: what is sent behind it runs after it. */
  async send(client: ClientBase, jobs: DeliveryJobData[]): Promise<{ done: Promise<unknown> }> {
    if (jobs.length === 0) return { done: Promise.resolve() };
    const { promise: sent, resolve } = Promise.withResolvers<void>();
    const { executeSql } = asDatabase(client, 'add-jobs');
    const db = {
      executeSql: (text: string, values?: unknown[]) => {
        const result = executeSql(text, values);
        resolve();
        return result;
      },
    };
    const done = this.#boss.insert(
      QUEUE,
      jobs.map((data) => ({ id: toJobId(data), data })),
      { db },
    );
    await Promise.race([sent, done]);
    return { done };
  }

  /** Takes jobs, oldest first. They are this worker's while it calls {@link touch}. */
  async fetch(limit: number): Promise<DeliveryJob[]> {
    const startedAt = performance.now();
    const jobs = await this.#boss.fetch<DeliveryJobData>(QUEUE, { batchSize: limit });
    if (performance.now() - startedAt > FETCH_SLOW_MS) this.#analyze();
    return jobs.map(({ id, retryCount, data }) => ({ ...data, claim: { id, retryCount } }));
  }

  /** Ends jobs within a transaction, by deleting them: what was done stands in the delivery and its attempts. */
  async finish(client: ClientBase, claims: JobClaim[]): Promise<void> {
    if (claims.length > 0)
      await this.#boss.deleteJob(QUEUE, claims, { db: asDatabase(client, 'finish-jobs', AS_TEXT) });
  }

  /** Tells that this worker is alive and still holds the jobs. */
  async touch(claims: JobClaim[]): Promise<void> {
    if (claims.length > 0) await this.#boss.touch(QUEUE, claims);
  }

  /** Gives jobs back that no request was made for, so that others can take them at once. */
  async giveBack(claims: JobClaim[]): Promise<void> {
    if (claims.length > 0) await this.#boss.fail(QUEUE, claims);
  }

  /** Takes statistics of the jobs, in the background. */
  #analyze() {
    if (performance.now() < this.#analyzeAt) return;
    this.#analyzeAt = performance.now() + STALE_CHECK_INTERVAL_MS;
    this.#analyzeIfStale().catch((error: Error) => {
      logFailure(this.#log, { level: 'warn', error }, 'queue.analyze_failed');
    });
  }

  async #analyzeIfStale() {
    const { rows } = await this.#pool.query(
      `select s.n_mod_since_analyze >= greatest(c.reltuples, $2) as "isStale"
       from pg_class c join pg_stat_user_tables s on s.relid = c.oid where c.oid = to_regclass($1)`,
      [this.#table, ANALYZE_CHANGES_MIN],
    );
    if (!rows[0]?.isStale) return;
    this.#analyzeAt = performance.now() + ANALYZE_INTERVAL_MS;
    await this.#pool.query(`analyze ${this.#table}`);
  }

  /** Rows come and go all the time: vacuum and analyze early, or a fetch plans with wrong numbers. */
  async #tuneVacuum() {
    const queue = await this.#boss.getQueue(QUEUE);
    this.#table = `${this.#schema}.${queue?.table}`;
    const { rows } = await this.#pool.query(
      'select 1 from pg_class where oid = to_regclass($1) and reloptions is not null',
      [this.#table],
    );
    if (rows.length > 0) return;
    await this.#pool.query(`alter table ${this.#table} set (
      autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
      autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 1000)`);
  }
}

/**
 * Lets pg-boss work within a transaction.
 *
 * @param name of the prepared statement: pg-boss' text is long and always the same, so planning it each time would
 *   cost more than running it
 * @param types how to read the answer @default as `pg` reads it
 */
const asDatabase = (client: ClientBase, name: string, types?: CustomTypesConfig) => ({
  executeSql: (text: string, values?: unknown[]) => client.query({ name, text, values, types }),
});

/** For answers of which only a number is read: `pg` would take its time for the IDs of all jobs. */
const AS_TEXT: CustomTypesConfig = { getTypeParser: () => String };
