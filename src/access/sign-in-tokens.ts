import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { hashKey } from './api-keys.ts';

/** How long a link may be used. */
const SIGN_IN_TOKEN_MS = 3_600_000;
/** More are not needed: each start makes one. */
const TOKENS_MAX = 16;

/**
 * Tokens that sign a person in once, for a link that is printed on the terminal: the key itself stays out of the browser's
 * history. They live in the memory of the process that made them.
 */
export class SignInTokens {
  readonly #keys = new LRUCache<string, string>({ max: TOKENS_MAX, ttl: SIGN_IN_TOKEN_MS });

  /** Makes a token that stands for a key. */
  make(key: string): string {
    const token = randomBytes(24).toString('base64url');
    this.#keys.set(nameOf(token), key);
    return token;
  }

  /** The key that a token stands for; from then on it is good for nothing. @returns null: it is unknown, used or too old */
  redeem(token: string): string | null {
    const key = this.#keys.get(nameOf(token)) ?? null;
    this.#keys.delete(nameOf(token));
    return key;
  }
}

/** By hash, so that how long a look-up takes tells nothing of a token. */
const nameOf = (token: string) => Buffer.from(hashKey(token)).toString('hex');
