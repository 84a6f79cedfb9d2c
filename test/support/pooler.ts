import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from '../../src/storage/embedded-postgres.ts';

/** The user that PgBouncer runs as if the tests run as root, which it refuses. */
const UNPRIVILEGED_ID = 65_534;
const START_MS_MAX = 10_000;
/** Debian installs it where only root's shells look. */
export const POOLER_ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

export interface Pooler {
  /** The same database through PgBouncer. */
  url: string;
  stop(): Promise<void>;
}

/**
 * Starts a PgBouncer in transaction mode in front of a database.
 *
 * @param settings lines of its configuration, for example `ignore_startup_parameters = options`
 */
export async function startPooler(databaseUrl: string, settings: string[] = []): Promise<Pooler> {
  const folder = await mkdtemp(join(tmpdir(), 'posthorn-pooler-'));
  await chmod(folder, 0o755);
  const port = await findFreePort();
  const file = join(folder, 'pgbouncer.ini');
  await writeFile(file, describeSettings(new URL(databaseUrl), port, settings));
  const id = process.getuid?.() === 0 ? UNPRIVILEGED_ID : undefined;
  const child = spawn('pgbouncer', [file], { stdio: 'ignore', env: POOLER_ENV, uid: id, gid: id });
  await waitUntilOpen(port);
  return {
    url: Object.assign(new URL(databaseUrl), { port: String(port) }).href,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function describeSettings({ username, password, pathname, port: postgresPort }: URL, port: number, settings: string[]) {
  const name = pathname.slice(1);
  return `[databases]
${name} = host=127.0.0.1 port=${postgresPort} dbname=${name} user=${username} password=${decodeURIComponent(password)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 8
max_client_conn = 200
${settings.join('\n')}
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
