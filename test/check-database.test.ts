import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { DatabaseUnavailableError, StartupError } from '../src/errors.ts';
import { createLog } from '../src/log.ts';
import { checkDatabase } from '../src/storage/check-database.ts';
import { openPool } from '../src/storage/database.ts';
import { findFreePort } from '../src/storage/embedded-postgres.ts';
import { Cluster } from './faults/cluster.ts';
import { findPoolerObstacle } from './faults/pooler.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { useFollowing } from './support/following.ts';
import { doMainJob } from './support/main-job.ts';
import { type Pooler, startPooler } from './support/pooler.ts';
import { TestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';
import { withRole } from './support/roles.ts';

const receiver = useReceiver();
const log = createLog('silent');

const check = (databaseUrl: string, directDatabaseUrl: string | null = null) =>
  checkDatabase({ databaseUrl, directDatabaseUrl }, log);

/** The one line that a start ends with. */
async function refusalOf(work: Promise<unknown>): Promise<StartupError> {
  const error = await work.then(
    () => null,
    (refusal: Error) => refusal,
  );
  expect(error).toBeInstanceOf(StartupError);
  expect((error as StartupError).message).not.toContain('\n');
  return error as StartupError;
}

function change(
  url: string,
  parts: Partial<Pick<URL, 'port' | 'pathname' | 'username' | 'password' | 'search' | 'hostname'>>,
) {
  return Object.assign(new URL(url), parts).href;
}

describe('A database that cannot be used', () => {
  const made: TestDatabase[] = [];
  const create = async (options: Parameters<typeof createTestDatabase>[0]) => {
    const database = await createTestDatabase(options);
    made.push(database);
    return database;
  };
  afterAll(async () => {
    for (const database of made) await database.drop();
  });

  it.each(['LATIN1', 'SQL_ASCII', 'WIN1252'])('is refused if its encoding is %s', async (encoding) => {
    const { url } = await create({ isEmpty: true, create: `encoding '${encoding}' locale 'C'` });
    const { message } = await refusalOf(new TestBed({ databaseUrl: url }).startProcess());
    expect(message).toMatch(new RegExp(`^DATABASE_URL: .* encoding ${encoding}.*CREATE DATABASE .* ENCODING 'UTF8'`));
  });

  it('is refused if it does not exist, or the password is wrong, each with what to correct', async () => {
    const url = inject('templateUrl');
    const missing = await refusalOf(check(change(url, { pathname: '/nowhere' })));
    expect(missing.message).toMatch(/database "nowhere" does not exist.*CREATE DATABASE/);
    const wrong = await refusalOf(check(change(url, { password: 'wrong' })));
    expect(wrong.message).toMatch(/password authentication failed.*Correct user and password/);
    for (const error of [missing, wrong]) expect(error).not.toBeInstanceOf(DatabaseUnavailableError);
  });

  it('is refused if the server offers no TLS and the URL demands it', async () => {
    const { message } = await refusalOf(check(`${inject('templateUrl')}?sslmode=verify-full`));
    expect(message).toMatch(/does not support SSL connections.*Check sslmode/);
  });

  it('is refused if the options of the URL hold an unknown setting', async () => {
    const { message } = await refusalOf(check(`${inject('templateUrl')}?options=-c%20no_such_setting%3D1`));
    expect(message).toMatch(/no_such_setting.*options of the URL/);
  });

  it('may become usable if nothing listens there, or nothing answers', async () => {
    const refused = await refusalOf(check(change(inject('templateUrl'), { port: String(await findFreePort()) })));
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const cut = await refusalOf(check(change(inject('templateUrl'), { port: String(port) })));
    server.close();
    const unknown = await refusalOf(check(change(inject('templateUrl'), { hostname: 'database.invalid' })));
    for (const error of [refused, cut, unknown]) {
      expect(error).toBeInstanceOf(DatabaseUnavailableError);
      expect(error.message).toMatch(/^Postgres at DATABASE_URL can't be reached/);
    }
  });

  it('is refused if its server is a standby', async () => {
    const cluster = await Cluster.start();
    try {
      await cluster.stop();
      await writeFile(join(cluster.path, 'cluster/standby.signal'), '');
      await cluster.start();
      const { message } = await refusalOf(check(cluster.url));
      expect(message).toMatch(/standby.*Use the address of the primary/);
    } finally {
      await cluster.remove();
    }
  });

  it('is refused if a search path put the tables of an older version into another schema', async () => {
    const database = await create({ settings: { search_path: 'public' } });
    await database.query('alter schema public rename to ph');
    await database.query('create schema public');
    const { message } = await refusalOf(check(database.url));
    expect(message).toMatch(/tables are in the schema "ph".*\?schema=ph/);
    await check(`${database.url}?schema=ph`);
    await check(`${database.url}?schema=public`);
  });
});

describe('A role that lacks privileges', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase({ isEmpty: true });
  });
  afterAll(() => database.drop());

  it('is told every statement that grants what is missing in an empty database', async () => {
    await withRole(database, {}, async ({ url, name }) => {
      const { message } = await refusalOf(new TestBed({ databaseUrl: url }).startProcess());
      expect(message).toContain(`GRANT CREATE ON DATABASE "${new URL(url).pathname.slice(1)}" TO "${name}"`);
      expect(message).toContain(`GRANT CREATE ON SCHEMA "public" TO "${name}"`);
    });
  });

  it('is told every statement that grants what is missing in a migrated database', async () => {
    const migrated = await createTestDatabase();
    await withRole(migrated, {}, async ({ url, name }) => {
      const { message } = await refusalOf(check(url));
      for (const statement of message.match(/GRANT [^;]+/g) ?? []) await migrated.query(statement);
      await check(url);
      expect(message).toContain(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "pgboss" TO "${name}"`);
    });
    await migrated.drop();
  });
});

describe('With exactly the documented privileges,', () => {
  const beds = { own: new TestBed({}), granted: new TestBed({}) };
  const follows = { own: useFollowing(beds.own).follow, granted: useFollowing(beds.granted).follow };

  it('a role that may create schemas migrates an empty database and does all work', async () => {
    const bed = beds.own;
    const database = await createTestDatabase({ isEmpty: true });
    const grants = ['grant create on database {database} to {role}', 'grant create on schema public to {role}'];
    await withRole(database, { grants }, async ({ url }) => {
      bed.posthorn = await bed.startProcess({ databaseUrl: url });
      await doMainJob({ bed, receiver, follow: follows.own });
      await bed.posthorn.stop();
      await (await bed.startProcess({ databaseUrl: url })).stop();
    });
    await database.drop();
  });

  it('a role that owns nothing does all work in tables that their owner migrated', async () => {
    const bed = beds.granted;
    const database = await createTestDatabase();
    const grants = ['public', 'pgboss'].flatMap((schema) => [
      `grant usage on schema ${schema} to {role}`,
      `grant select, insert, update, delete on all tables in schema ${schema} to {role}`,
      `grant usage on all sequences in schema ${schema} to {role}`,
    ]);
    await withRole(database, { grants }, async ({ url }) => {
      bed.posthorn = await bed.startProcess({ databaseUrl: url });
      await doMainJob({ bed, receiver, follow: follows.granted });
      await bed.posthorn.stop();
    });
    await database.drop();
  });
});

/** Ignores what other poolers refuse. */
const LENIENT = ['ignore_startup_parameters = extra_float_digits, options, statement_timeout'];

const obstacle = await findPoolerObstacle();

describe.skipIf(obstacle !== null)(`Behind PgBouncer in transaction mode${obstacle ? ` (${obstacle})` : ''},`, () => {
  let database: TestDatabase;
  let pooler: Pooler;
  const bed = new TestBed({});
  const { follow } = useFollowing(bed);

  beforeAll(async () => {
    database = await createTestDatabase({
      settings: { timezone: "'America/Los_Angeles'", datestyle: "'SQL, DMY'" },
    });
    pooler = await startPooler(database.url);
  });
  afterAll(async () => {
    await pooler.stop();
    await database.drop();
  });

  it.each(['strict', 'lenient'] as const)(
    'a start without a direct URL is refused in one line, and the next one with it works at once, if the pooler is %s about settings',
    async (kind) => {
      const empty = await createTestDatabase({ isEmpty: true });
      const settings = kind === 'strict' ? [] : LENIENT;
      const pooler = await startPooler(empty.url, settings);
      const { message } = await refusalOf(new TestBed({ databaseUrl: pooler.url }).startProcess());
      expect(message).toMatch(/^DATABASE_URL leads to a pooler .*Set POSTHORN_DIRECT_DATABASE_URL/);
      const locks = await empty.query(
        `select 1 from pg_locks where locktype = 'advisory'
           and database = (select oid from pg_database where datname = current_database())`,
      );
      expect(locks).toEqual([]);
      const next = new TestBed({ databaseUrl: pooler.url, directDatabaseUrl: empty.url });
      await (await next.startProcess()).stop();
      expect(await empty.query('select 1 from _prisma_migrations where finished_at is null')).toEqual([]);
      await pooler.stop();
      await empty.drop();
    },
  );

  it('a direct URL that leads to the pooler too, or to another database, is refused', async () => {
    const both = await refusalOf(check(pooler.url, pooler.url));
    expect(both.message).toMatch(/^POSTHORN_DIRECT_DATABASE_URL leads to a pooler/);
    const other = await refusalOf(check(pooler.url, inject('templateUrl')));
    expect(other.message).toMatch(/lead to different databases/);
  });

  it('Posthorn does all work with a direct URL, in a database with another zone and other dates', async () => {
    bed.posthorn = await bed.startProcess({ databaseUrl: pooler.url, directDatabaseUrl: database.url });
    await doMainJob({ bed, receiver, follow });
    await bed.posthorn.stop();
  });

  it('defaults that the pooler keeps Posthorn from changing are refused with the statements that change them', async () => {
    const hostile = await createTestDatabase({
      settings: {
        default_transaction_isolation: 'serializable',
        search_path: 'elsewhere',
        transform_null_equals: 'on',
      },
    });
    const pooler = await startPooler(hostile.url);
    const { message } = await refusalOf(check(pooler.url, hostile.url));
    const statements = message.match(/ALTER ROLE [^;]+/g) ?? [];
    expect(statements).toHaveLength(3);
    await withRole(hostile, { isOwner: true }, async ({ name, url }) => {
      for (const statement of statements) await hostile.query(statement.replace(/"\w+"/, name));
      const { username, password } = new URL(url);
      const own = await startPooler(change(hostile.url, { username, password }));
      await check(own.url, url);
      await own.stop();
    });
    await pooler.stop();
    await hostile.drop();
  });
});

describe('synchronous_commit', () => {
  it.each([
    { title: 'off by a default is turned on again', value: 'off', options: '', expected: 'on' },
    { title: 'local by a default stays', value: 'local', options: '', expected: 'local' },
    {
      title: 'off by the options of the URL stays',
      value: 'on',
      options: '?options=-c%20synchronous_commit%3Doff',
      expected: 'off',
    },
  ])('$title', async ({ value, options, expected }) => {
    const database = await createTestDatabase({ settings: { synchronous_commit: value } });
    const { databaseUrl } = await check(`${database.url}${options}`);
    const pool = openPool(databaseUrl, log);
    const { rows } = await pool.query('show synchronous_commit');
    expect(rows[0].synchronous_commit).toBe(expected);
    await pool.end();
    await database.drop();
  });
});
