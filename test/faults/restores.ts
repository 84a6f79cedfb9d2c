import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createLog } from '../../src/log.ts';
import { superviseEmbeddedPostgres } from '../../src/storage/supervised-postgres.ts';
import { DebianPostgres, findDumpObstacle } from '../support/debian-postgres.ts';
import type { Cluster } from './cluster.ts';
import { DatabaseLine } from './database-line.ts';
import { askCount, type CleanUps, type Disaster, type Scene } from './scene.ts';

/** Transaction IDs of the cluster that the dump is of begin so many times four thousand million ahead. */
const EPOCH_OF_SOURCE = 7;
/** How long events are published that a restore of an older state takes back. */
const LOST_MS = 2_000;
const RESTART_MS_MAX = 60_000;
const POLL_MS = 50;
/** Rows that are younger may still be on their way into the table. */
const SETTLED_MS = 5_000;

/** What scenes and invariants need of a database. Faults that kill or freeze it need a whole {@link Cluster}. */
type Database = Pick<Cluster, 'url' | 'port' | 'query' | 'remove'>;

const asCluster = (database: Database) => database as Cluster;

export const findRestoreObstacle = async () => findDumpObstacle();

/** The database is dumped, restored into a new cluster, and Posthorn's connections lead there from then on. */
export function restoreDump(cleanUps: CleanUps): Disaster {
  let source: DebianPostgres;
  let line: DatabaseLine;
  return {
    hasOperationalEvents: true,
    openCluster: async () => {
      source = await DebianPostgres.start({ epoch: EPOCH_OF_SOURCE });
      cleanUps.push(() => source.remove());
      return asCluster(source);
    },
    connect: async (cluster) => {
      line = new DatabaseLine(cluster.port);
      await line.start();
      cleanUps.push(() => line.stop());
      return { databaseUrl: line.over(cluster.url) };
    },
    strike: async (scene) => {
      line.close();
      await waitUntil(async () => {
        const sql = `select 1 from pg_stat_activity where backend_type = 'client backend' and application_name like 'posthorn%'`;
        return (await source.query(sql)).length === 0;
      }, 'all connections to end');
      const target = await DebianPostgres.start();
      cleanUps.push(() => target.remove());
      await target.restore(await source.dump());
      scene.cluster = asCluster(target);
      line.open(target.port);
      await scene.restartFollower();
      await scene.waitForFlow();
    },
  };
}

/** A copy of the data directory takes the place of the cluster: what was written since is gone. */
export function restoreOlderState(cleanUps: CleanUps): Disaster {
  return {
    hasOperationalEvents: true,
    strike: async (scene) => {
      const { cluster, publishers } = scene;
      const folder = await mkdtemp(join(tmpdir(), 'posthorn-copy-'));
      cleanUps.push(() => rm(folder, { recursive: true, force: true }));
      const [data, copy] = [join(cluster.path, 'cluster'), join(folder, 'cluster')];
      await cluster.stop();
      await cp(data, copy, { recursive: true });
      const kept = new Set(publishers.calls.filter(({ acknowledged }) => acknowledged !== null));
      await cluster.start();
      await scene.waitForFlow();
      await sleep(LOST_MS);
      await cluster.stop();
      await rm(data, { recursive: true });
      await cp(copy, data, { recursive: true });
      // Nobody can promise what was acknowledged after the copy.
      for (const call of publishers.calls) if (!kept.has(call)) call.acknowledged = null;
      await cluster.start();
      // What they had sent and the copy knows nothing of is sent again.
      await scene.killWorkers();
      await scene.restartFollower();
      await scene.waitForFlow();
    },
  };
}

/** An embedded Postgres under Posthorn's own supervision. */
export function killSupervised(cleanUps: CleanUps): Disaster {
  let path: string;
  const readPid = () => Number(readFileSync(join(path, 'cluster/postmaster.pid'), 'utf8').split('\n')[0]);
  return {
    openCluster: async () => {
      path = await mkdtemp(join(tmpdir(), 'posthorn-supervised-'));
      cleanUps.push(() => rm(path, { recursive: true, force: true }));
      const { url, stop } = await superviseEmbeddedPostgres({ path, password: 'faults' }, createLog('silent'));
      return asCluster({
        url,
        port: Number(new URL(url).port),
        query: (sql, values) => query(url, sql, values),
        remove: stop,
      });
    },
    strike: async (scene) => {
      for (let left = scene.isLong ? 3 : 1; left > 0; left -= 1) {
        const pid = readPid();
        process.kill(pid, 'SIGKILL');
        await waitUntil(
          () =>
            scene.cluster.query('select 1').then(
              () => readPid() !== pid,
              () => false,
            ),
          'Postgres to be restarted',
        );
        await scene.waitForFlow();
      }
    },
  };
}

async function query<Row>(url: string, sql: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'faults' });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql, values)).rows as Row[];
  } finally {
    await client.end().catch(() => {});
  }
}

/** Jobs that no worker has taken yet, and lanes. */
export async function deleteJobs(scene: Scene) {
  for (let left = scene.isLong ? 20 : 8; left > 0; left -= 1) {
    await scene.cluster.query(`delete from pgboss.job where state < 'active'`);
    await sleep(Math.random() * 200);
  }
}

/** Time filters must find what the table has, by the times in it. */
export async function compareTimeFilters(scene: Scene) {
  const createdBefore = new Date(Date.now() - SETTLED_MS);
  const [row] = await scene.cluster.query<{ count: number }>(
    'select least(count(*), 10000)::int as count from deliveries where created_at < $1',
    [createdBefore],
  );
  const count = await askCount(scene, { createdBefore });
  if (row?.count !== count) throw new Error(`A time filter finds ${count} deliveries and not ${row?.count}.`);
}

async function waitUntil(look: () => Promise<boolean>, what: string) {
  const deadline = performance.now() + RESTART_MS_MAX;
  while (performance.now() < deadline) {
    if (await look()) return;
    await sleep(POLL_MS);
  }
  throw new Error(`Waited in vain for ${what}.`);
}
