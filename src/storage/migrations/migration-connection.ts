import pg from 'pg';
import { describeConnectFailure } from '../connect-failure.ts';
import { describeSession } from '../session-settings.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** Building an index takes as long as it takes, whatever limit the role has. */
const UNLIMITED = { settings: { statement_timeout: '0' } };

/**
 * Opens a session of its own for migrations, directly on Postgres.
 *
 * @throws {StartupError} if the database can't be reached
 */
export async function openMigrationConnection(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    ...describeSession(databaseUrl, UNLIMITED),
    application_name: 'posthorn-migrations',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  // A connection that breaks fails the statement in flight. Without a listener, it would also end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (cause) {
    throw describeConnectFailure(cause, 'DATABASE_URL');
  }
}
