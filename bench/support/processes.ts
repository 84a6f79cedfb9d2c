import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from '../../src/storage/embedded-postgres.ts';

export const ROOT_KEY = 'bench-root-key-0123456789abcdef0123456789';
const ENCRYPTION_KEY = Buffer.alloc(32, 1).toString('base64');
const READY_MS_MAX = 30_000;

/** A Posthorn in a process of its own. */
export interface PosthornProcess {
  url: string;
  stop(): Promise<void>;
}

/** Starts Posthorn as a user would, with its log thrown away, and waits until it is ready. */
export async function startPosthorn(databaseUrl: string, role: 'api' | 'worker' | 'all'): Promise<PosthornProcess> {
  const port = await findFreePort();
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../src/main.ts')], {
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
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(`${url}/readyz`, child);
  return { url, stop: () => end(child) };
}

async function waitUntilReady(url: string, child: ChildProcess) {
  const deadline = Date.now() + READY_MS_MAX;
  while (Date.now() < deadline && child.exitCode === null) {
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
  stop(): Promise<void>;
}

/** Starts a script of this folder. @param path from `bench/` */
export function startWorker<Message>(path: string, args: string[]): Worker<Message> {
  const child = fork(join(import.meta.dirname, '..', path), args);
  return {
    next: async () => {
      const failed = once(child, 'exit').then(([code]) => {
        throw new Error(`${path} ended with code ${code}.`);
      });
      const [message] = (await Promise.race([once(child, 'message'), failed])) as [Message];
      failed.catch(() => {});
      return message;
    },
    stop: () => end(child),
  };
}

async function end(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
