import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from '../../src/storage/embedded-postgres.ts';

export const ROOT_KEY = 'bench-root-key-0123456789abcdef0123456789';
const ENCRYPTION_KEY = Buffer.alloc(32, 1).toString('base64');
const READY_MS_MAX = 30_000;
/** Folder of this version's code. */
export const ROOT = join(import.meta.dirname, '../..');

/** Every process that was started and has not ended. */
const children = new Set<ChildProcess>();
let mayStart = true;

/** Kills every process that was started, and lets none start any more. */
export async function killProcesses(): Promise<void> {
  mayStart = false;
  await Promise.all([...children].map((child) => end(child, 'SIGKILL')));
}

function keep(start: () => ChildProcess): ChildProcess {
  if (!mayStart) throw new Error('The run is being stopped.');
  const child = start();
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A Posthorn in a process of its own. */
export interface PosthornProcess {
  url: string;
  role: 'api' | 'worker' | 'all';
  pid: number;
  /** Lets attempts in flight finish. */
  stop(): Promise<void>;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
}

/**
 * Starts Posthorn as a user would, with its log thrown away, and waits until it is ready.
 *
 * @param root folder of the version to run
 */
export async function startPosthorn(
  databaseUrl: string,
  role: PosthornProcess['role'],
  root: string = ROOT,
): Promise<PosthornProcess> {
  const port = await findFreePort();
  const child = keep(() =>
    spawn(process.execPath, [join(root, 'src/main.ts')], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: databaseUrl,
        PORT: String(port),
        POSTHORN_ROLE: role,
        POSTHORN_ROOT_KEY: ROOT_KEY,
        POSTHORN_ENCRYPTION_KEY: ENCRYPTION_KEY,
        POSTHORN_ALLOWED_NETWORKS: '127.0.0.0/8',
      },
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(`${url}/readyz`, child);
  const pid = child.pid as number;
  return { url, role, pid, stop: () => end(child, 'SIGTERM'), kill: () => end(child, 'SIGKILL') };
}

async function waitUntilReady(url: string, child: ChildProcess) {
  const deadline = Date.now() + READY_MS_MAX;
  while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
    const ready = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
    await sleep(50);
  }
  throw new Error(`${url} did not become ready.`);
}

/** A script in a process of its own, which tells by messages how far it is. */
export interface Worker<Message> {
  /** The next message. */
  next(): Promise<Message>;
  /** Sends a message, and gives the one that answers it. Calls must wait for one another. */
  ask<Answer>(message: object): Promise<Answer>;
  stop(): Promise<void>;
}

/** Starts a script of this folder. It must end when its channel is closed. @param path from `bench/` */
export function startWorker<Message>(path: string, args: string[]): Worker<Message> {
  const child = keep(() => fork(join(import.meta.dirname, '..', path), args));
  const next = async () => {
    const stopped = new AbortController();
    const { signal } = stopped;
    const failed = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`${path} ended with code ${code}.`);
    });
    try {
      const [message] = await Promise.race([once(child, 'message', { signal }), failed]);
      return message;
    } finally {
      failed.catch(() => {});
      stopped.abort();
    }
  };
  return {
    next,
    ask: (message) => {
      const answer = next();
      child.send(message);
      return answer;
    },
    stop: () => end(child, 'SIGTERM'),
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}
