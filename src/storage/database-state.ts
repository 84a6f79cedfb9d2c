import type { ClientBase } from 'pg';
import { nameInSchema, poolerSettings } from './session-settings.ts';

/** What a session says about itself and its database. */
export interface DatabaseState {
  /** As a number, for example 180001. */
  version: number;
  database: string;
  /** The role whose privileges count, which `SET ROLE` may have changed. */
  role: string;
  encoding: string;
  /** The same for two sessions if they are in one database of one running server. */
  identity: string;
  isStandby: boolean;
  replicationRole: string;
  /** Whether the session got the settings that it asked for. */
  hasMarker: boolean;
  /** Whether a default turns `synchronous_commit` off, and not the URL's own options. */
  mayLoseCommits: boolean;
  /** Whether a default limits the duration of transactions. */
  limitsTransactions: boolean;
  /** The schema in which new tables go; null if there is none. */
  currentSchema: string | null;
  /** Settings in effect, by name. */
  settings: Record<string, string>;
  hasSchema: boolean;
  hasQueueSchema: boolean;
  mayCreateSchemas: boolean;
  mayUseSchema: boolean;
  mayCreateTables: boolean;
  mayUseQueueSchema: boolean;
  /** Whether Posthorn's tables are in its schema, all or some. */
  isInstalled: boolean;
  /** Another schema that has Posthorn's tables, or null. */
  otherSchema: string | null;
  /** Schemas in which the role may not read or write a table, or use a sequence. */
  schemasToGrant: string[];
}

/** Tables that Posthorn always has: a schema may hold those of others too. */
const TABLES = ['events', 'deliveries', 'delivery_attempts', 'endpoints'];

/** Parameters: 1 Posthorn's schema, 2 that of pg-boss, 3 the marker, 4 names of settings, 5 names of tables. */
const STATE_SQL = `
  with installed as (
    select n.oid, n.nspname from pg_class m join pg_namespace n on n.oid = m.relnamespace
    where m.relname = '_prisma_migrations'
      and $5::text[] <@ array(select relname::text from pg_class t where t.relnamespace = n.oid)
  )
  select current_setting('server_version_num')::int as version, current_database() as database, current_user as role,
    pg_encoding_to_char(d.encoding) as encoding, d.oid || ' ' || extract(epoch from pg_postmaster_start_time()) as identity,
    pg_is_in_recovery() as "isStandby",
    current_setting('session_replication_role') as "replicationRole",
    coalesce(current_setting('posthorn.session', true) = $3, false) as "hasMarker",
    (select setting = 'off' and source <> 'client' from pg_settings where name = 'synchronous_commit') as "mayLoseCommits",
    coalesce(current_setting('transaction_timeout', true), '0') <> '0' as "limitsTransactions",
    current_schema() as "currentSchema",
    (select json_object_agg(name, setting) from pg_settings where name = any($4)) as settings,
    own.oid is not null as "hasSchema", queue.oid is not null as "hasQueueSchema",
    has_database_privilege(d.oid, 'CREATE') as "mayCreateSchemas",
    coalesce(has_schema_privilege(own.oid, 'USAGE'), false) as "mayUseSchema",
    coalesce(has_schema_privilege(own.oid, 'CREATE'), false) as "mayCreateTables",
    coalesce(has_schema_privilege(queue.oid, 'USAGE'), false) as "mayUseQueueSchema",
    exists (select from installed where oid = own.oid) as "isInstalled",
    (select nspname::text from installed where oid <> coalesce(own.oid, 0) order by nspname limit 1) as "otherSchema",
    array(
      select n.nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relnamespace in (own.oid, queue.oid) and c.relkind in ('r', 'p')
        and (c.relnamespace = queue.oid or c.relname = any($5))
        and not (has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'INSERT')
          and has_table_privilege(c.oid, 'UPDATE') and has_table_privilege(c.oid, 'DELETE'))
      union
      select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relnamespace = own.oid and c.relkind = 'S' and c.relname = 'delivery_changes_id_seq'
        and not has_sequence_privilege(c.oid, 'USAGE')
    ) as "schemasToGrant"
  from pg_database d
    left join pg_namespace own on own.nspname = $1
    left join pg_namespace queue on queue.nspname = $2
  where d.datname = current_database()`;

/** @param marker the value that the session's setting `posthorn.session` was asked to have */
export async function readDatabaseState(client: ClientBase, schema: string, marker: string): Promise<DatabaseState> {
  const names = poolerSettings.map(({ name }) => name);
  const { rows } = await client.query(STATE_SQL, [schema, nameInSchema(schema, 'pgboss'), marker, names, TABLES]);
  return rows[0];
}
