import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findFreePort } from '../../src/storage/embedded-postgres.ts';
import type { Cluster } from './cluster.ts';
import type { CleanUps, Connection } from './scene.ts';

/** The user that a program runs as which refuses to run as root. */
const UNPRIVILEGED_ID = 65_534;
/** Fewer connections than clients, so that each transaction may get another one. */
const POOL_SIZE = 8;
const START_MS_MAX = 10_000;

/** Debian puts it where only root's shells look. */
const ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

/** @returns why PgBouncer can't be tried here; null: it can */
export const findPoolerObstacle = (): Promise<string | null> =>
  promisify(execFile)('pgbouncer', ['--version'], { env: ENV }).then(
    () => null,
    () => 'PgBouncer is not installed (apt-get install pgbouncer)',
  );

/** Posthorn reaches Postgres through a PgBouncer in transaction mode, and directly for what needs a session. */
export const throughPooler =
  (cleanUps: CleanUps) =>
  async (cluster: Cluster): Promise<Connection> => {
    const port = await startPooler(cluster, cleanUps);
    const databaseUrl = Object.assign(new URL(cluster.url), { port: String(port) }).href;
    return { databaseUrl, env: { POSTHORN_DIRECT_DATABASE_URL: cluster.url } };
  };

async function startPooler(cluster: Cluster, cleanUps: CleanUps): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'posthorn-pooler-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const port = await findFreePort();
  const settings = join(folder, 'pgbouncer.ini');
  await writeFile(settings, describeSettings(cluster, port));
  const id = process.getuid?.() === 0 ? UNPRIVILEGED_ID : undefined;
  const child = spawn('pgbouncer', [settings], { stdio: 'ignore', env: ENV, uid: id, gid: id });
  cleanUps.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  await waitUntilOpen(port);
  return port;
}

function describeSettings({ url, port: postgresPort }: Cluster, port: number): string {
  const { username, password, pathname } = new URL(url);
  const name = pathname.slice(1);
  return `[databases]
${name} = host=127.0.0.1 port=${postgresPort} dbname=${name} user=${username} password=${decodeURIComponent(password)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${POOL_SIZE}
max_client_conn = 200
`;
}

async function waitUntilOpen(port: number) {
  const deadline = performance.now() + START_MS_MAX;
  while (performance.now() < deadline) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error('PgBouncer did not start.');
}
