import pg from 'pg';
import { isConnectionLimit } from '../database-errors.ts';

/** A pool keeps at least so many connections, whatever the server allows. */
const POOL_MIN = 2;
/** Connections that the pools leave free for others: the one that listens. */
const OTHERS = 1;
/** After so long, pools try to grow to their configured size again. */
const REGROW_MS = 30_000;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 1_000;

/**
 * Divides what the server allows among the pools of a process. If Postgres refuses another connection, the connections that the
 * process has are divided equally, so that neither callers nor workers starve. Later the pools grow again.
 */
export class ConnectionShare {
  readonly #pools: SharingPool[] = [];
  #regrowTimer: NodeJS.Timeout | undefined;

  add(pool: SharingPool): void {
    this.#pools.push(pool);
  }

  remove(pool: SharingPool): void {
    this.#pools.splice(this.#pools.indexOf(pool), 1);
    if (this.#pools.length === 0) clearTimeout(this.#regrowTimer);
  }

  /** Makes all pools as large as the connections that they have now allow. */
  shrink(): void {
    const total = this.#pools.reduce((sum, pool) => sum + pool.totalCount, 0);
    const share = Math.max(POOL_MIN, Math.floor((total - OTHERS) / this.#pools.length));
    for (const pool of this.#pools) pool.resize(share);
    clearTimeout(this.#regrowTimer);
    this.#regrowTimer = setTimeout(() => {
      for (const pool of this.#pools) pool.resize(Number.POSITIVE_INFINITY);
    }, REGROW_MS).unref();
  }
}

type Callback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void,
) => void;

/**
 * A pool whose callers wait if Postgres refuses another connection (53300: the limit of server, database or role) until one
 * becomes free, at most `patienceMs`.
 */
export class SharingPool extends pg.Pool {
  readonly #share: ConnectionShare;
  readonly #patienceMs: number;
  readonly #max: number;
  readonly #endListeners: (() => void)[] = [];

  constructor(config: pg.PoolConfig & { max: number }, share: ConnectionShare, patienceMs: number) {
    super(config);
    this.#share = share;
    this.#patienceMs = patienceMs;
    this.#max = config.max;
    share.add(this);
    this.on('release', (_, client) => {
      if (this.totalCount > this.options.max) void (client as unknown as pg.Client).end().catch(() => {});
    });
  }

  /** @param max connections to have from now on, at most those of the configuration. Surplus ones close when released */
  resize(max: number): void {
    this.options.max = Math.min(max, this.#max);
  }

  override async end(): Promise<void> {
    this.#share.remove(this);
    for (const listener of this.#endListeners) listener();
    await super.end();
  }

  /** Calls `listener` when {@link end} is called, before connections close. */
  onEnd(listener: () => void): void {
    this.#endListeners.push(listener);
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Callback): void;
  override connect(callback?: Callback): Promise<pg.PoolClient> | undefined {
    if (callback) return void this.#connect(callback, { since: null, waitMs: RETRY_MS_MIN });
    return new Promise((resolve, reject) => {
      this.#connect((error, client) => (client ? resolve(client) : reject(error)), {
        since: null,
        waitMs: RETRY_MS_MIN,
      });
    });
  }

  #connect(callback: Callback, { since, waitMs }: { since: number | null; waitMs: number }) {
    super.connect((error, client, done) => {
      if (!error || !isConnectionLimit(error)) return callback(error, client, done);
      this.#share.shrink();
      const startedAt = since ?? performance.now();
      if (performance.now() - startedAt + waitMs > this.#patienceMs) return callback(error, client, done);
      setTimeout(
        () => this.#connect(callback, { since: startedAt, waitMs: Math.min(waitMs * 2, RETRY_MS_MAX) }),
        waitMs,
      );
    });
  }
}
