import type { Pool } from 'pg';

/** @returns the version of the Postgres server, for example `18.4` */
export async function readPostgresVersion(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ version: string }>("select current_setting('server_version') as version");
  // Packages of distributions add a name: 17.5 (Debian 17.5-1).
  return rows[0]?.version.split(' ', 1)[0] ?? 'unknown';
}
