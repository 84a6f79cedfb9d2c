import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { parseDatabaseUrl } from '../database-url.ts';
import { StartupError } from '../errors.ts';
import type { Log } from '../log.ts';
import { describeConnectFailure, isPoolerRefusal } from './connect-failure.ts';
import { PooledClient } from './database.ts';
import { type DatabaseState, readDatabaseState } from './database-state.ts';
import { describeSession, nameInSchema, poolerSettings } from './session-settings.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 10_000;
/** A setting that exists only if the session got the settings that Posthorn asked for. */
const MARKER = 'posthorn.session';

const VERSION_MIN = 14;
const DOCUMENT = 'docs/DATABASE.md';

/** Where the database is, as the configuration names it. */
export interface DatabaseUrls {
  databaseUrl: string;
  /** Leads to the same database without a pooler; null: `databaseUrl` does. */
  directDatabaseUrl: string | null;
}

type Variable = 'DATABASE_URL' | 'POSTHORN_DIRECT_DATABASE_URL';

/** A connection to the database under one of its two URLs. */
interface Link {
  variable: Variable;
  url: string;
  schema: string;
  isPooled: boolean;
}

/**
 * Checks at the start, before anything is changed, that Posthorn can use a database: that it can be reached, is a primary
 * of a supported version in UTF8, that no pooler is in the way of what needs a session, that the role has the privileges
 * it needs, and that sessions mean what Posthorn expects.
 *
 * @returns the URLs to use, with options that correct defaults which cannot be pinned: `synchronous_commit` turned off, and a
 *   limit of transactions. Behind a pooler, which takes no options, the log warns of the first
 * @throws {DatabaseUnavailableError} if the database cannot be reached now, or accepts no connections yet
 * @throws {StartupError} one line that says why this database cannot be used, and what to do
 */
export async function checkDatabase({ databaseUrl, directDatabaseUrl }: DatabaseUrls, log: Log): Promise<DatabaseUrls> {
  const { schema } = parseDatabaseUrl(databaseUrl);
  const direct: Link = {
    variable: directDatabaseUrl === null ? 'DATABASE_URL' : 'POSTHORN_DIRECT_DATABASE_URL',
    url: directDatabaseUrl ?? databaseUrl,
    schema,
    isPooled: false,
  };
  const state = await withLink(direct, async (client, marker) => {
    const found = await readDatabaseState(client, schema, marker);
    if (!found.hasMarker || (await isLentPerTransaction(direct, client))) throw poolerInTheWay(direct);
    return found;
  });
  refuseUnusable(state, direct);
  const options = findMissingOptions(state);
  if (directDatabaseUrl === null) {
    if (state.mayLoseCommits) log.info({ synchronousCommit: 'on' }, 'database.durability_restored');
    return { databaseUrl: addOptions(databaseUrl, options), directDatabaseUrl };
  }
  await checkPooled({ ...direct, variable: 'DATABASE_URL', url: databaseUrl, isPooled: true }, state);
  if (state.mayLoseCommits) {
    const advice = `ALTER ROLE "${state.role}" SET synchronous_commit = on`;
    log.warn({ synchronousCommit: 'off', advice }, 'database.commits_may_be_lost');
  }
  return { databaseUrl, directDatabaseUrl: addOptions(directDatabaseUrl, options) };
}

/** Settings that cannot be pinned without knowing the server: its version, or which of several good values it has. */
function findMissingOptions({ mayLoseCommits, limitsTransactions }: DatabaseState): string[] {
  return [
    // An acknowledged event must survive a crash of the server: a default of role or database cannot decide otherwise.
    ...(mayLoseCommits ? ['-c synchronous_commit=on'] : []),
    // Since Postgres 17. It would end migrations.
    ...(limitsTransactions ? ['-c transaction_timeout=0'] : []),
  ];
}

function addOptions(databaseUrl: string, options: string[]): string {
  if (options.length === 0) return databaseUrl;
  const separator = databaseUrl.includes('?') ? '&' : '?';
  return `${databaseUrl}${separator}options=${encodeURIComponent(options.join(' '))}`;
}

async function withLink<T>(link: Link, work: (client: pg.Client, marker: string) => Promise<T>): Promise<T> {
  const marker = randomUUID();
  const client = openClient(link, { [MARKER]: marker });
  try {
    await client.connect().catch((error) => {
      if (!link.isPooled && isPoolerRefusal(error)) throw poolerInTheWay(link, error);
      throw describeConnectFailure(error, link.variable);
    });
    return await work(client, marker);
  } finally {
    await client.end().catch(() => {});
  }
}

function openClient({ url, isPooled }: Link, settings: Record<string, string>): pg.Client {
  const Client = isPooled ? PooledClient : pg.Client;
  const client = new Client({
    // A limit of the role is for its statements: those of the check have a time of their own.
    ...describeSession(url, { isPooled, settings: { statement_timeout: '0', ...settings } }),
    application_name: 'posthorn-check',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
  });
  client.on('error', () => {});
  return client;
}

/**
 * Whether a pooler lends each transaction another connection. Postgres names its own process when a session starts, a
 * pooler makes the number up. If they differ, a session setting shows whether the connection stays the same while another
 * client takes turns with this one.
 */
async function isLentPerTransaction(link: Link, client: pg.Client): Promise<boolean> {
  const { rows } = await client.query('select pg_backend_pid() as pid');
  if (rows[0].pid === (client as unknown as { processID: number | null }).processID) return false;
  const other = openClient(link, {});
  try {
    await other.connect();
    await client.query('begin');
    await other.query('select 1');
    await client.query('commit');
    await other.query('begin');
    const { rows: now } = await client.query('select pg_backend_pid() as pid');
    await other.query('commit');
    return now[0].pid !== rows[0].pid;
  } finally {
    await other.end().catch(() => {});
  }
}

function poolerInTheWay({ variable, url }: Link, cause?: unknown): StartupError {
  if (variable === 'POSTHORN_DIRECT_DATABASE_URL') {
    return new StartupError(
      'POSTHORN_DIRECT_DATABASE_URL leads to a pooler, which does not keep sessions. Set it to the address of Postgres itself.',
      { cause },
    );
  }
  const { host } = new pg.Client({ connectionString: parseDatabaseUrl(url).connectionString });
  return new StartupError(
    `DATABASE_URL leads to a pooler (${host}), which does not keep sessions. Set POSTHORN_DIRECT_DATABASE_URL to the same database at the address of Postgres itself, for migrations and LISTEN.`,
    { cause },
  );
}

function refuseUnusable(state: DatabaseState, link: Link) {
  const { variable, schema } = link;
  const fault = findServerFault(state) ?? findSchemaFault(state, link) ?? findMissingPrivilege(state, schema);
  if (fault) throw new StartupError(`${variable}: ${fault}`);
}

function findServerFault({ version, database, encoding, isStandby, replicationRole, role }: DatabaseState) {
  if (version < VERSION_MIN * 10_000) {
    return `Postgres is version ${Math.floor(version / 10_000)}. Posthorn needs version ${VERSION_MIN} or later.`;
  }
  if (encoding !== 'UTF8') {
    return `the database "${database}" has the encoding ${encoding}, which cannot hold every text. Create another one: CREATE DATABASE posthorn ENCODING 'UTF8' TEMPLATE template0`;
  }
  if (isStandby) return 'this server is a standby, which only reads. Use the address of the primary.';
  if (replicationRole !== 'origin') {
    return `session_replication_role is ${replicationRole}, which turns constraints off. Run: ALTER ROLE "${role}" RESET session_replication_role`;
  }
  return null;
}

/** A search path put the tables of older versions elsewhere. */
function findSchemaFault({ isInstalled, otherSchema }: DatabaseState, { schema, url }: Link) {
  if (isInstalled || otherSchema === null || parseDatabaseUrl(url).namesSchema) return null;
  return `Posthorn's tables are in the schema "${otherSchema}", not in "${schema}". Add ?schema=${otherSchema} to the URL, or ?schema=${schema} to start with an empty schema.`;
}

/** Everything that the role lacks, each with the statement that grants it. */
function findMissingPrivilege(state: DatabaseState, schema: string) {
  const { role, database } = state;
  const queueSchema = nameInSchema(schema, 'pgboss');
  const grants: string[] = [];
  const isMissing = !state.hasSchema || !state.hasQueueSchema;
  if (isMissing && !state.mayCreateSchemas) grants.push(`GRANT CREATE ON DATABASE "${database}" TO "${role}"`);
  if (state.hasSchema && !state.mayUseSchema) grants.push(`GRANT USAGE ON SCHEMA "${schema}" TO "${role}"`);
  if (state.hasSchema && !state.isInstalled && !state.mayCreateTables) {
    grants.push(`GRANT CREATE ON SCHEMA "${schema}" TO "${role}"`);
  }
  if (state.hasQueueSchema && !state.mayUseQueueSchema)
    grants.push(`GRANT USAGE ON SCHEMA "${queueSchema}" TO "${role}"`);
  for (const name of state.schemasToGrant) {
    grants.push(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "${name}" TO "${role}"`);
    grants.push(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA "${name}" TO "${role}"`);
  }
  if (grants.length === 0) return null;
  return `the role "${role}" lacks privileges (see ${DOCUMENT}). Run as the owner: ${grants.join('; ')}`;
}

async function checkPooled(link: Link, direct: DatabaseState) {
  const state = await withLink(link, (client, marker) => readDatabaseState(client, link.schema, marker));
  if (state.identity !== direct.identity) {
    throw new StartupError(
      `DATABASE_URL and POSTHORN_DIRECT_DATABASE_URL lead to different databases ("${state.database}" and "${direct.database}", or different servers). Use the same database in both.`,
    );
  }
  refuseUnusable(state, link);
  const wrong = poolerSettings.filter(({ name, accepts }) => !accepts.test(state.settings[name] ?? ''));
  const statements = wrong.map(({ name, value }) => `ALTER ROLE "${state.role}" SET ${name} = ${value}`);
  if (state.currentSchema !== link.schema)
    statements.push(`ALTER ROLE "${state.role}" SET search_path = "${link.schema}"`);
  if (statements.length === 0) return;
  throw new StartupError(
    `DATABASE_URL leads through a pooler, which keeps Posthorn from setting what its statements depend on. Run, and let the pooler open its connections again (RECONNECT): ${statements.join('; ')}`,
  );
}
