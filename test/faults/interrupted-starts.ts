import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import pg from 'pg';
import { createLog } from '../../src/log.ts';
import { migrateCompletely } from '../../src/storage/migrations/migrate-completely.ts';
import { applyAsVersion010, describeSchema, readOldMigrations } from '../support/old-migrations.ts';
import { StatementLine } from './statement-line.ts';

const ROOT = join(import.meta.dirname, '../..');
const ENCRYPTION_KEY = Buffer.alloc(32, 3).toString('base64');
/** The newest migration before the ones that fill rows of large tables. */
const UPGRADED_FROM = '20261122180000_back_off';
/** Runs at the same time: most of a run is the start of processes. */
const AT_ONCE = 2;

/** A way to interrupt a start, tried at many points. */
export interface StartFault {
  /** For the command line. */
  name: string;
  /** What happens, in words. */
  title: string;
  /**
   * Tries the fault.
   *
   * @param adminUrl of a database of a cluster in which databases may be created
   * @param pointsMax points to try, spread evenly. `null`: every one
   */
  run: (adminUrl: string, pointsMax: number | null) => Promise<StartResult>;
}

export interface StartResult {
  runs: number;
  /** What did not work, in words. Empty: the next start always worked. */
  failures: string[];
}

export const START_FAULTS: StartFault[] = [
  {
    name: 'first-start-kill',
    title: 'the process killed (SIGKILL) at every statement of its first start, before and after Postgres gets it',
    run: (adminUrl, pointsMax) => killAtStatements(adminUrl, pointsMax, async () => {}),
  },
  {
    name: 'upgrade-kill',
    title: 'the process killed (SIGKILL) at every statement of an upgrade, before and after Postgres gets it',
    run: (adminUrl, pointsMax) => killAtStatements(adminUrl, pointsMax, prepareOldDatabase),
  },
  {
    name: 'old-start-kill',
    title: 'version 0.1.0 killed after every statement of every migration, then an upgrade',
    run: continueOldStarts,
  },
];

interface Point {
  statement: number;
  isDelivered: boolean;
}

async function killAtStatements(
  adminUrl: string,
  pointsMax: number | null,
  prepare: (query: Query) => Promise<void>,
): Promise<StartResult> {
  const expected = await withDatabase(adminUrl, async (url, query) => {
    await prepare(query);
    const { line, ended } = await runMigrate(url, null);
    return { ...(await describeState(query)), statements: line.count, ended };
  });
  if (expected.ended !== 0) return { runs: 1, failures: ['A start that nothing interrupts does not work.'] };
  const points = Array.from({ length: expected.statements * 2 }, (_, index) => ({
    statement: Math.floor(index / 2) + 1,
    isDelivered: index % 2 === 1,
  }));
  return tryPoints(choose(points, pointsMax), (point) =>
    withDatabase(adminUrl, async (url, query) => {
      await prepare(query);
      const killed = await runMigrate(url, point);
      const next = await runMigrate(url, null);
      const where = `at statement ${point.statement}, which Postgres ${point.isDelivered ? 'got' : 'did not get'}`;
      if (killed.ended !== 'SIGKILL' && killed.line.count >= point.statement)
        return `The process was not killed ${where}.`;
      if (next.ended !== 0) return `The start after a kill ${where} failed: ${next.output}`;
      const { schema, rows } = await describeState(query);
      const isEqual =
        JSON.stringify({ schema, rows }) === JSON.stringify({ schema: expected.schema, rows: expected.rows });
      return isEqual ? null : `After a kill ${where}, the database differs from one that nothing interrupted.`;
    }),
  );
}

async function continueOldStarts(adminUrl: string, pointsMax: number | null): Promise<StartResult> {
  const migrations = await readOldMigrations();
  const log = createLog('silent');
  const expected = await withDatabase(adminUrl, async (url, query) => {
    await migrateCompletely(url, { log });
    return describeSchema(query);
  });
  const points = migrations.flatMap(({ name, statements }) =>
    Array.from({ length: statements.length + 1 }, (_, statementCount) => ({ name, statementCount })),
  );
  return tryPoints(choose(points, pointsMax), (point) =>
    withDatabase(adminUrl, async (url, query) => {
      await applyAsVersion010(query, migrations, point);
      await migrateCompletely(url, { log });
      const isEqual = JSON.stringify(await describeSchema(query)) === JSON.stringify(expected);
      return isEqual ? null : `After ${point.statementCount} statements of ${point.name}, the tables differ.`;
    }),
  );
}

const choose = <T>(points: T[], max: number | null): T[] => {
  if (max === null || max >= points.length) return points;
  return Array.from({ length: max }, (_, index) => points[Math.floor(((index + 0.5) * points.length) / max)] as T);
};

/** @param attempt returns what did not work, or `null` */
async function tryPoints<T>(points: T[], attempt: (point: T) => Promise<string | null>): Promise<StartResult> {
  const failures: string[] = [];
  const left = [...points];
  const work = async () => {
    for (let point = left.shift(); point !== undefined; point = left.shift()) {
      const failure = await attempt(point).catch((error: Error) => `${JSON.stringify(point)}: ${error.message}`);
      if (failure !== null) failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { runs: points.length, failures };
}

type Query = <Row = Record<string, unknown>>(sql: string, values?: unknown[]) => Promise<Row[]>;

async function withDatabase<T>(adminUrl: string, work: (url: string, query: Query) => Promise<T>): Promise<T> {
  const name = `start_${randomBytes(6).toString('hex')}`;
  const admin = new pg.Client({ connectionString: adminUrl });
  admin.on('error', () => {});
  await admin.connect();
  const url = Object.assign(new URL(adminUrl), { pathname: `/${name}` }).href;
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  pool.on('error', () => {});
  try {
    await admin.query(`create database ${name} template template0`);
    return await work(url, async (sql, values) => (await pool.query(sql, values)).rows);
  } finally {
    await pool.end();
    await admin.query(`drop database if exists ${name} with (force)`);
    await admin.end();
  }
}

interface MigrateRun {
  line: StatementLine;
  /** Exit code, or the signal that ended it. */
  ended: number | NodeJS.Signals | null;
  output: string;
}

/** Runs `npm run migrate` in a process of its own, which does all that a start does to a database. */
async function runMigrate(databaseUrl: string, point: Point | null): Promise<MigrateRun> {
  let child: ChildProcess | undefined;
  const line = new StatementLine({
    databaseUrl,
    stopAt: point?.statement ?? null,
    isDelivered: point?.isDelivered ?? false,
    onReached: () => child?.kill('SIGKILL'),
  });
  await line.start();
  try {
    child = spawn(process.execPath, ['src/migrate.ts'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, DATABASE_URL: line.url, POSTHORN_ENCRYPTION_KEY: ENCRYPTION_KEY },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const [code, signal] = await once(child, 'close');
    return { line, ended: signal ?? code, output };
  } finally {
    await line.stop();
  }
}

/** A database as a version before the newest migrations left it, with some rows. */
async function prepareOldDatabase(query: Query): Promise<void> {
  const migrations = await readOldMigrations();
  const old = migrations.filter(({ name }) => name <= UPGRADED_FROM);
  await applyAsVersion010(query, old, { name: '', statementCount: 0 });
  await query(`insert into events (id, organization_id, environment_id, type, source_key, body, content_type, endpoint_count)
    select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, o.id, e.id, 'old.' || n % 3,
      case when n % 2 = 0 then 'key' || n end, '{}', 'application/json', 1
    from generate_series(1, 50) n, organizations o, environments e`);
  await query(`insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, status, max_retries)
    select gen_random_uuid(), organization_id, environment_id, id, gen_random_uuid(), 'DELIVERED', 0 from events`);
}

/** Tables and rows, to compare databases. */
async function describeState(query: Query) {
  const schema = await describeSchema(query);
  const rows = await query(`select event_id, event_type, source_key from deliveries order by event_id`);
  const queues = await query('select name from pgboss.queue order by name');
  const tenants = await query('select name from organizations');
  return { schema, rows: [...rows, ...queues, ...tenants] };
}
