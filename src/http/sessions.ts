import type { Authenticator } from '../access/authenticate.ts';
import { type Caller, countedAs } from '../access/caller.ts';
import { logFailure } from '../database-outage.ts';
import { RequestError } from '../errors.ts';
import type { Log } from '../log.ts';

/** How often the keys of open connections are looked up. */
const CHECK_MS = 1_000;
const RETRY_AFTER_MS = 10_000;
/** Bytes of the requests with which one key opened its subscriptions on this process. */
export const SUBSCRIPTION_BYTES_PER_KEY_MAX = 16_777_216;

export interface SessionLimits {
  /** WebSockets and SSE streams that one key may have open on this process. */
  connectionsPerKeyMax: number;
  /** Subscriptions that one key may have on this process. */
  subscriptionsPerKeyMax: number;
}

export interface SessionsOptions extends SessionLimits {
  authenticator: Authenticator;
  log: Log;
}

interface Session {
  caller: Caller;
  /** The key, token or session was revoked or has expired. */
  close: () => void;
}

/** Connections that stay open, and subscriptions: counts them by key, and closes those whose key ends. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #sessions = new Set<Session>();
  readonly #connections = new Map<string, number>();
  readonly #subscriptions = new Map<string, number>();
  readonly #subscriptionBytes = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #isChecking = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#check(), CHECK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * Counts a connection.
   *
   * @param close is called when the key was revoked or has expired
   * @returns what is to be called when the connection is closed
   * @throws {RequestError} RATE_LIMITED where the key has too many
   */
  open(caller: Caller, close: () => void): () => void {
    const release = take(this.#connections, caller, { max: this.#options.connectionsPerKeyMax, what: 'connections' });
    const session = { caller, close };
    this.#sessions.add(session);
    return () => {
      if (this.#sessions.delete(session)) release();
    };
  }

  /**
   * Counts a subscription.
   *
   * @param bytes of its request, which it keeps
   * @returns what is to be called when it ends
   * @throws as {@link open}
   */
  addSubscription(caller: Caller, bytes: number): () => void {
    const { subscriptionsPerKeyMax } = this.#options;
    const release = take(this.#subscriptions, caller, { max: subscriptionsPerKeyMax, what: 'subscriptions' });
    try {
      const limit = { max: SUBSCRIPTION_BYTES_PER_KEY_MAX, what: 'bytes of subscriptions', amount: bytes };
      const releaseBytes = take(this.#subscriptionBytes, caller, limit);
      return () => {
        release();
        releaseBytes();
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #check() {
    const now = new Date();
    for (const { caller, close } of this.#sessions) if (caller.expiresAt !== null && caller.expiresAt <= now) close();
    const keyIds = [...new Set([...this.#sessions].flatMap(({ caller }) => caller.keyId ?? []))];
    if (keyIds.length === 0 || this.#isChecking) return;
    this.#isChecking = true;
    try {
      const good = await this.#options.authenticator.findGoodKeys(keyIds);
      const ended = new Set(keyIds.filter((id) => !good.has(id)));
      for (const { caller, close } of this.#sessions) if (caller.keyId !== null && ended.has(caller.keyId)) close();
    } catch (error) {
      logFailure(this.#options.log, { level: 'warn', error }, 'sessions.check_failed');
    } finally {
      this.#isChecking = false;
    }
  }
}

interface Limit {
  max: number;
  /** Names what is counted. */
  what: string;
  /** @default 1 */
  amount?: number;
}

/** Takes a part of what a key may have. @returns a function that releases it, once. @throws {RequestError} RATE_LIMITED */
function take(counts: Map<string, number>, caller: Caller, { max, what, amount = 1 }: Limit): () => void {
  const key = countedAs(caller);
  const count = counts.get(key) ?? 0;
  if (count + amount > max) {
    const message = `This API key has too many ${what} open: the maximum is ${max}. Close some first.`;
    throw new RequestError('RATE_LIMITED', message, RETRY_AFTER_MS);
  }
  counts.set(key, count + amount);
  let isTaken = true;
  return () => {
    if (!isTaken) return;
    isTaken = false;
    const left = (counts.get(key) ?? amount) - amount;
    if (left > 0) counts.set(key, left);
    else counts.delete(key);
  };
}
