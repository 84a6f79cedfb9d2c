import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ENCRYPTION_KEY, ROOT_KEY } from './posthorn.ts';
import type { Measured } from './watched-server.ts';

/** A Posthorn in a process of its own, whose event loop and memory can be looked at. */
export class WatchedProcess {
  readonly #child: ChildProcess;

  constructor(databaseUrl: string, env: Record<string, string> = {}) {
    this.#child = fork(join(import.meta.dirname, 'watched-server.ts'), {
      execArgv: ['--expose-gc'],
      env: {
        ...{ PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', HOST: '127.0.0.1' },
        ...{ DATABASE_URL: databaseUrl, POSTHORN_ROOT_KEY: ROOT_KEY, POSTHORN_ROLE: 'api' },
        ...{ POSTHORN_ENCRYPTION_KEY: ENCRYPTION_KEY.toString('base64'), POSTHORN_LOG_LEVEL: 'silent', ...env },
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  /** Resolves when it answers requests. */
  async started(): Promise<void> {
    await this.#next();
  }

  /** What it measured since the call before. Rejects if it has ended. */
  async measure(): Promise<Measured> {
    const answer = this.#next();
    this.#child.send('measure');
    return (await answer) as Measured;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  #next(): Promise<unknown> {
    return Promise.race([
      once(this.#child, 'message').then(([message]) => message),
      once(this.#child, 'exit').then(([code, signal]) => {
        throw new Error(`The process has ended: ${code ?? signal}`);
      }),
    ]);
  }
}
