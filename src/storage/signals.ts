import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { logFailure } from '../database-outage.ts';
import type { Log } from '../log.ts';
import { describeSession, nameInSchema, schemaOf } from './session-settings.ts';

/** What a process can be woken for. */
export type Signal = 'posthorn_jobs' | 'posthorn_changes';

const SIGNALS: readonly Signal[] = ['posthorn_jobs', 'posthorn_changes'];
/** There is one NOTIFY in this time at the most: its commit takes a lock that all notifying transactions share. */
const NOTIFY_INTERVAL_MS = 10;
const NOTIFY_SQL = 'select pg_notify(channel, $2) from unnest($1::text[]) as channel';
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 5_000;
const KEEP_ALIVE_MS = 10_000;
/** How often the connection that listens is asked whether it still answers: it may go silent without being closed. */
const CHECK_INTERVAL_MS = 5_000;
const CHECK_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;

export interface SignalsOptions {
  /** Leads to Postgres itself: LISTEN does not pass a pooler. */
  databaseUrl: string;
  pool: pg.Pool;
  log: Log;
}

/**
 * Wakes this process and the others on the same database with LISTEN and NOTIFY: one connection for all signals.
 * A signal says only "look again". It may get lost, so every listener also looks by itself from time to time.
 */
export class Signals {
  readonly #options: SignalsOptions;
  readonly #listeners = new Map<Signal, Set<() => void>>(SIGNALS.map((signal) => [signal, new Set()]));
  readonly #pending = new Set<Signal>();
  /** Tells the signals of this process from those of others. */
  readonly #sender = randomUUID();
  /** Signals by the channel that carries them: each schema of a database has channels of its own. */
  readonly #signals: Map<string, Signal>;
  #notifyTimer: NodeJS.Timeout | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  #client: pg.Client | undefined;
  /** The client, once it listens. */
  #listening: pg.Client | undefined;
  #isStopped = false;

  constructor(options: SignalsOptions) {
    this.#options = options;
    const schema = schemaOf(options.databaseUrl);
    this.#signals = new Map(SIGNALS.map((signal) => [nameInSchema(schema, signal), signal]));
  }

  /** Starts to listen. Where the connection breaks, it is made again with back-off, and all listeners are woken. */
  async start(): Promise<void> {
    await this.#connect();
    this.#checkTimer = setInterval(() => void this.#check(), CHECK_INTERVAL_MS);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#notifyTimer);
    clearTimeout(this.#reconnectTimer);
    clearInterval(this.#checkTimer);
    await this.#client?.end().catch(() => {});
  }

  /** Calls `listener` at every signal. @returns a function that ends that */
  on(signal: Signal, listener: () => void): () => void {
    this.#listeners.get(signal)?.add(listener);
    return () => this.#listeners.get(signal)?.delete(listener);
  }

  /**
   * Wakes listeners here at once, and those of other processes too, unless they were woken just before. Signals that
   * are sent together go out as one statement.
   */
  send(...signals: Signal[]): void {
    for (const signal of signals) {
      this.#wake(signal);
      this.#pending.add(signal);
    }
    if (!this.#notifyTimer) this.#notify();
  }

  #wake(signal: Signal) {
    for (const listener of this.#listeners.get(signal) ?? []) listener();
  }

  #notify() {
    this.#notifyTimer = undefined;
    if (this.#pending.size === 0) return;
    this.#notifyTimer = setTimeout(() => this.#notify(), NOTIFY_INTERVAL_MS);
    const channels = [...this.#signals].filter(([, signal]) => this.#pending.has(signal)).map(([channel]) => channel);
    this.#pending.clear();
    // Over the connection that listens, whose commits wait for no disk. While it is away, over the pool.
    (this.#listening ?? this.#options.pool)
      .query({ name: 'notify', text: NOTIFY_SQL, values: [channels, this.#sender] })
      .catch((error: Error) => void logFailure(this.#options.log, { level: 'warn', error }, 'signals.notify_failed'));
  }

  async #connect(waitMs = RECONNECT_MS_MIN): Promise<void> {
    const client = new pg.Client({
      // A notification that a crash loses wakes nobody up later than a poll does.
      ...describeSession(this.#options.databaseUrl, {
        settings: { synchronous_commit: 'off', statement_timeout: '0' },
      }),
      application_name: 'posthorn-signals',
      pipeline: true,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: CHECK_TIMEOUT_MS,
    });
    client.on('notification', ({ channel, payload }) => {
      // This process was woken by send() itself.
      const signal = this.#signals.get(channel);
      if (signal && payload !== this.#sender) this.#wake(signal);
    });
    client.on('error', () => {});
    client.once('end', () => this.#reconnect(client, waitMs));
    this.#client = client;
    try {
      await client.connect();
      for (const channel of this.#signals.keys()) await client.query(`listen ${quoteIfNeeded(channel)}`);
      this.#listening = client;
      for (const signal of SIGNALS) this.#wake(signal);
    } catch (error) {
      logFailure(this.#options.log, { level: 'warn', error, retryInMs: waitMs }, 'signals.connection_failed');
      this.#reconnect(client, Math.min(waitMs * 2, RECONNECT_MS_MAX));
    }
  }

  /** Only a connection that listens already: one that is just being made has a time-out of its own. */
  async #check() {
    const client = this.#client;
    if (!client || client !== this.#listening) return;
    try {
      // Changes nothing where it listens already.
      for (const channel of this.#signals.keys()) await client.query(`listen ${quoteIfNeeded(channel)}`);
    } catch (error) {
      logFailure(this.#options.log, { level: 'warn', error }, 'signals.connection_silent');
      this.#reconnect(client, RECONNECT_MS_MIN);
    }
  }

  #reconnect(client: pg.Client, waitMs: number) {
    if (this.#isStopped || client !== this.#client) return;
    this.#client = undefined;
    this.#listening = undefined;
    client.end().catch(() => {});
    this.#reconnectTimer = setTimeout(() => void this.#connect(waitMs), waitMs);
  }
}

/** The name as Postgres reads it: without quotation marks, it folds upper-case letters. */
const quoteIfNeeded = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
