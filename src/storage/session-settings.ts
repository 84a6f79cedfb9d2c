import type { ClientConfig } from 'pg';
import { parseDatabaseUrl, SCHEMA_DEFAULT } from '../database-url.ts';

/**
 * Settings on which the meaning of a statement's text, of its parameters or of its result depends. Nothing may override
 * them. All exist since Postgres 14, and every role may set them.
 */
const MEANING_SETTINGS = {
  // Prisma reads and writes timestamps without an offset, and takes them for UTC.
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  timezone_abbreviations: 'Default',
  client_encoding: 'UTF8',
  bytea_output: 'hex',
  extra_float_digits: '1',
  array_nulls: 'on',
  xmlbinary: 'base64',
  xmloption: 'content',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  transform_null_equals: 'off',
  quote_all_identifiers: 'off',
  row_security: 'on',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
} as const;

/** Limits that would end Posthorn's sessions and statements: each pool and each command sets limits of its own. */
const TIMEOUT_SETTINGS = {
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  exit_on_error: 'off',
} as const;

/**
 * Postgres ends a session whose machine vanished within so long, and with it the session's locks. As it is set up, that takes two
 * hours, in which nobody can record what the machine was delivering. Over a Unix socket, these settings do nothing.
 */
const VANISHED_SETTINGS = {
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  // In milliseconds: for what was sent and never acknowledged.
  tcp_user_timeout: '25000',
} as const;

/**
 * Settings that choose plans. Statements and indexes are tested with these values. Parallel workers and compilation take
 * longer to start than any statement runs: 13 ms for a page that takes 0.2 ms.
 *
 * What depends on the machine stays as the operator set it: `work_mem`, `effective_cache_size`, `temp_buffers`.
 */
const PLAN_SETTINGS = {
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  plan_cache_mode: 'auto',
  constraint_exclusion: 'partition',
  cursor_tuple_fraction: '0.1',
  from_collapse_limit: '8',
  join_collapse_limit: '8',
  geqo: 'on',
  geqo_threshold: '12',
  gin_fuzzy_search_limit: '0',
  seq_page_cost: '1',
  random_page_cost: '4',
  cpu_tuple_cost: '0.01',
  cpu_index_tuple_cost: '0.005',
  cpu_operator_cost: '0.0025',
  enable_bitmapscan: 'on',
  enable_hashagg: 'on',
  enable_hashjoin: 'on',
  enable_incremental_sort: 'on',
  enable_indexonlyscan: 'on',
  enable_indexscan: 'on',
  enable_material: 'on',
  enable_memoize: 'on',
  enable_mergejoin: 'on',
  enable_nestloop: 'on',
  enable_seqscan: 'on',
  enable_sort: 'on',
  enable_tidscan: 'on',
} as const;

/**
 * Settings that PgBouncer takes at the start of a session and applies to each connection that it lends. Every pooler
 * accepts them, because the JDBC driver always sends them.
 */
const POOLER_SETTINGS = ['TimeZone', 'DateStyle'] as const;

export interface SessionOptions {
  /** The URL leads to a pooler in transaction mode, which refuses settings that it does not know. @default false */
  isPooled?: boolean;
  /** Settings by name that replace those above or are added to them. Not for poolers. */
  settings?: Record<string, string>;
}

/** What a connection to Postgres is opened with. */
export type SessionConfig = Pick<ClientConfig, 'connectionString' | 'options'>;

/**
 * Makes every connection mean the same whatever machine, server, database, role and URL set: the one place where sessions
 * are described. Used by pools, LISTEN, migrations and checks.
 *
 * Settings of the URL's own `options` override those that choose plans or end sessions of vanished machines, and none of the
 * others.
 *
 * @param databaseUrl one that `config.ts` accepted, or of the embedded Postgres: its schema is not checked here
 * @returns a configuration for `pg.Client` and `pg.Pool`
 */
export function describeSession(
  databaseUrl: string,
  { isPooled = false, settings = {} }: SessionOptions = {},
): SessionConfig {
  const { connectionString, options: ownOptions, schema } = parseDatabaseUrl(databaseUrl);
  if (isPooled) return { connectionString, ...(ownOptions && { options: ownOptions }) };
  const options = [
    toOptions({ ...PLAN_SETTINGS, ...VANISHED_SETTINGS }),
    ...(ownOptions ? [ownOptions] : []),
    toOptions({ ...MEANING_SETTINGS, search_path: schema, ...TIMEOUT_SETTINGS, ...settings }),
  ];
  return { connectionString, options: options.join(' ') };
}

/** Startup parameters that reach Postgres through a pooler, for {@link describeSession} with `isPooled`. */
export const poolerParameters: Record<string, string> = Object.fromEntries(
  POOLER_SETTINGS.map((name) => [name, MEANING_SETTINGS[name]]),
);

/** A setting that the role must have behind a pooler, where Posthorn cannot set it. */
export interface PoolerSetting {
  name: string;
  /** For ALTER ROLE … SET. */
  value: string;
  /** Matches every value that Posthorn works with. */
  accepts: RegExp;
}

/** Those of the settings above whose other values would change results. All others do not matter to today's statements. */
export const poolerSettings: readonly PoolerSetting[] = [
  { name: 'TimeZone', value: "'UTC'", accepts: /^(Etc\/)?(UTC|UCT|GMT|Zulu|Universal)$/i },
  { name: 'DateStyle', value: "'ISO, MDY'", accepts: /^ISO/ },
  { name: 'extra_float_digits', value: '1', accepts: /^[1-3]$/ },
  { name: 'array_nulls', value: 'on', accepts: /^on$/ },
  { name: 'standard_conforming_strings', value: 'on', accepts: /^on$/ },
  { name: 'transform_null_equals', value: 'off', accepts: /^off$/ },
  { name: 'default_transaction_isolation', value: "'read committed'", accepts: /^read committed$/ },
  { name: 'default_transaction_read_only', value: 'off', accepts: /^off$/ },
];

/** @returns the schema that a database URL names with Prisma's `?schema=` */
export const schemaOf = (databaseUrl: string): string => parseDatabaseUrl(databaseUrl).schema;

/** A name that is distinct for each schema of a database: `pgboss`, and `ph_pgboss` for the schema `ph`. */
export const nameInSchema = (schema: string, name: string): string =>
  schema === SCHEMA_DEFAULT ? name : `${schema}_${name}`;

const toOptions = (settings: Record<string, string>) =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, '\\$&')}`)
    .join(' ');
