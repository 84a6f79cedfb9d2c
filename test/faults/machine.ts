import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from '../../src/storage/embedded-postgres.ts';

/** The code under test. */
export const ROOT = join(import.meta.dirname, '../..');
export const ROOT_KEY = 'faults-root-key-0123456789abcdef01234567';
const ENCRYPTION_KEY = Buffer.alloc(32, 3).toString('base64');
const READY_MS_MAX = 45_000;
/** Lines of the log that are kept to tell why something broke. */
const LINES_MAX = 40;

export interface MachineOptions {
  role: 'api' | 'worker';
  /** As Posthorn sees it: directly, or through something that breaks. */
  databaseUrl: string;
  /** Folder of the code to run. @default this one */
  root?: string;
  env?: Record<string, string>;
}

/** A Posthorn in a process of its own, which keeps its URL when it is started again. */
export class Machine {
  readonly role: 'api' | 'worker';
  readonly #options: MachineOptions;
  readonly #port: number;
  #child: ChildProcess | undefined;
  readonly #lines: string[] = [];

  private constructor(options: MachineOptions, port: number) {
    this.role = options.role;
    this.#options = options;
    this.#port = port;
  }

  /** Resolves when it is ready. */
  static async start(options: MachineOptions): Promise<Machine> {
    const machine = new Machine(options, await findFreePort());
    try {
      await machine.start();
      return machine;
    } catch (error) {
      await machine.kill();
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Its last words. */
  get log(): string {
    return this.#lines.join('\n');
  }

  async start(): Promise<void> {
    const { role, databaseUrl, root = ROOT, env } = this.#options;
    const child = spawn(process.execPath, ['src/main.ts'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: databaseUrl,
        PORT: String(this.#port),
        POSTHORN_ROLE: role,
        POSTHORN_ROOT_KEY: ROOT_KEY,
        POSTHORN_ENCRYPTION_KEY: ENCRYPTION_KEY,
        POSTHORN_ALLOWED_NETWORKS: '127.0.0.0/8',
        POSTHORN_LOG_LEVEL: 'warn',
        ...env,
      },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => this.#keep(text));
    await this.#waitUntilReady(child);
  }

  /** Ends it at once, with SIGKILL. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Lets attempts in flight finish. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  #keep(text: string) {
    this.#lines.push(...text.trimEnd().split('\n'));
    this.#lines.splice(0, this.#lines.length - LINES_MAX);
  }

  async #end(signal: NodeJS.Signals) {
    const child = this.#child;
    if (!child || !this.isRunning) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async #waitUntilReady(child: ChildProcess) {
    const deadline = performance.now() + READY_MS_MAX;
    while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) {
      const ready = await fetch(`${this.url}/readyz`).then(
        (response) => response.ok,
        () => false,
      );
      if (ready) return;
      await sleep(50);
    }
    throw new Error(`The ${this.role} did not become ready: ${this.log}`);
  }
}
