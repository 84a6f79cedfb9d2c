import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { POOLER_ENV, startPooler } from '../support/pooler.ts';
import type { Cluster } from './cluster.ts';
import type { CleanUps, Connection } from './scene.ts';

/** @returns why PgBouncer can't be tried here; null: it can */
export const findPoolerObstacle = (): Promise<string | null> =>
  promisify(execFile)('pgbouncer', ['--version'], { env: POOLER_ENV }).then(
    () => null,
    () => 'PgBouncer is not installed (apt-get install pgbouncer)',
  );

/** Posthorn reaches Postgres through a PgBouncer in transaction mode, and directly for what needs a session. */
export const throughPooler =
  (cleanUps: CleanUps) =>
  async (cluster: Cluster): Promise<Connection> => {
    const pooler = await startPooler(cluster.url);
    cleanUps.push(pooler.stop);
    return { databaseUrl: pooler.url, env: { POSTHORN_DIRECT_DATABASE_URL: cluster.url } };
  };
