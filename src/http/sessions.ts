import type { Authenticator } from '../access/authenticate.ts';
import { type Caller, countedAs } from '../access/caller.ts';
import { RequestError } from '../errors.ts';
import type { Log } from '../log.ts';

/** How often the keys of open connections are looked up. */
const CHECK_MS = 1_000;
const RETRY_AFTER_MS = 10_000;

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
    const release = take(this.#connections, caller, this.#options.connectionsPerKeyMax, 'connections');
    const session = { caller, close };
    this.#sessions.add(session);
    return () => {
      if (this.#sessions.delete(session)) release();
    };
  }

  /** Counts a subscription. @returns what is to be called when it ends. @throws as {@link open} */
  addSubscription(caller: Caller): () => void {
    return take(this.#subscriptions, caller, this.#options.subscriptionsPerKeyMax, 'subscriptions');
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
      this.#options.log.warn({ error: (error as Error).message }, 'sessions.check_failed');
    } finally {
      this.#isChecking = false;
    }
  }
}

/** Takes one of what a key may have. */
function take(counts: Map<string, number>, caller: Caller, max: number, what: string): () => void {
  const key = countedAs(caller);
  const count = counts.get(key) ?? 0;
  if (count >= max) {
    const message = `This API key has ${max} ${what} open, which is as many as it may. Close some first.`;
    throw new RequestError('RATE_LIMITED', message, RETRY_AFTER_MS);
  }
  counts.set(key, count + 1);
  let isTaken = true;
  return () => {
    if (!isTaken) return;
    isTaken = false;
    const left = (counts.get(key) ?? 1) - 1;
    if (left > 0) counts.set(key, left);
    else counts.delete(key);
  };
}
