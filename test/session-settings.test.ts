import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from './faults/cluster.ts';
import { createTestDatabase, type TestDatabase, type TestDatabaseOptions } from './support/database.ts';
import { useFollowing } from './support/following.ts';
import { doMainJob } from './support/main-job.ts';
import { TestBed, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const receiver = useReceiver();

/** Defaults that an operator may have set for good reasons of their own; two time zones have half-hour offsets. */
const HOSTILE_DATABASES: (TestDatabaseOptions & { title: string })[] = [
  {
    title: 'in Kolkata, with dates as day, month, year',
    settings: {
      timezone: "'Asia/Kolkata'",
      datestyle: "'SQL, DMY'",
      bytea_output: 'escape',
      extra_float_digits: '-15',
    },
  },
  {
    title: 'in Los Angeles, with German dates and serializable transactions',
    settings: {
      timezone: "'America/Los_Angeles'",
      datestyle: 'German',
      intervalstyle: 'sql_standard',
      default_transaction_isolation: 'serializable',
      lock_timeout: '1',
    },
  },
  {
    title: 'in Kathmandu, sorted and cased as in Turkish, with transactions that only read',
    create: "encoding 'UTF8' locale_provider icu icu_locale 'tr-TR' locale 'C'",
    settings: { timezone: "'Asia/Kathmandu'", default_transaction_read_only: 'on', array_nulls: 'off' },
  },
  {
    title: 'on Lord Howe, where daylight saving shifts clocks by half an hour, with a search path and old string rules',
    settings: {
      timezone: "'Australia/Lord_Howe'",
      datestyle: "'Postgres, MDY'",
      search_path: 'elsewhere',
      standard_conforming_strings: 'off',
      transform_null_equals: 'on',
      idle_session_timeout: '200',
      transaction_timeout: '500',
      statement_timeout: '60',
      enable_indexscan: 'off',
    },
  },
];

describe.each(HOSTILE_DATABASES)('In a database $title,', (options) => {
  const bed = useTestBed({}, { isEmpty: true, ...options });
  const { follow } = useFollowing(bed);

  let key: string;

  it('Posthorn publishes, delivers, retries, lists, counts and follows as in any other', async () => {
    key = await doMainJob({ bed, receiver, follow });
  });

  it('a second process starts and reads what the first one wrote', async () => {
    const other = await bed.startProcess();
    const { edges } = await bed.ask('{ events(first: 10) { edges { node { id } } } }', {}, { url: other.url, key });
    expect(edges).toHaveLength(1);
  });
});

describe('With a database whose URL names a schema,', () => {
  const beds = ['first_tenant', 'second'].map((schema) => ({ schema, bed: new TestBed({}) }));
  const follows = beds.map(({ bed }) => useFollowing(bed).follow);
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase({ isEmpty: true });
    for (const { schema, bed } of beds) {
      const databaseUrl = `${database.url}?schema=${schema}&application_name=posthorn-${schema}`;
      bed.posthorn = await bed.startProcess({ databaseUrl });
    }
  });

  afterAll(async () => {
    for (const { bed } of beds) await bed.posthorn.stop();
    await database.drop();
  });

  it('two Posthorns do their work side by side, each in schemas of its own', async () => {
    for (const [index, { bed }] of beds.entries()) {
      await doMainJob({ bed, receiver, follow: follows[index] as (typeof follows)[0] });
    }
    const rows = await database.query<{ name: string; count: number }>(
      `select nspname as name, count(*)::int from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where relkind = 'r' and nspname !~ '^(pg_|information)' group by 1 order by 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual(['first_tenant', 'first_tenant_pgboss', 'second', 'second_pgboss']);
  });
});

describe('In a process outside UTC,', () => {
  const bed = useTestBed({}, { settings: { timezone: "'America/Los_Angeles'" } });
  const { follow } = useFollowing(bed);
  const zone = process.env.TZ;
  beforeAll(() => {
    process.env.TZ = 'Asia/Kolkata';
  });
  afterAll(() => {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  });

  it('times are those of UTC, whatever the zones of machine and database', async () => {
    expect(new Date().getTimezoneOffset()).toBe(-330);
    await doMainJob({ bed, receiver, follow });
  });
});

it('an embedded Postgres that is set up on a machine outside UTC keeps and logs times in UTC', async () => {
  const cluster = await Cluster.start({ env: { TZ: 'Asia/Kathmandu' } });
  try {
    const rows = await cluster.query(
      "select current_setting('timezone') as zone, current_setting('log_timezone') as log",
    );
    expect(rows).toEqual([{ zone: 'UTC', log: 'UTC' }]);
  } finally {
    await cluster.remove();
  }
});
