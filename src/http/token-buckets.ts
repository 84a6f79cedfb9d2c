import { LRUCache } from 'lru-cache';

export interface TokenBucketsOptions {
  /** Tokens that come back in a second. */
  perSecond: number;
  /** Tokens of a full bucket: so many may be taken at once. */
  burst: number;
  /** Buckets that are kept, those used last. One that is not kept is full. */
  bucketsMax: number;
  /** In milliseconds, never going back. @default performance.now */
  now?: () => number;
}

interface Bucket {
  tokens: number;
  filledAt: number;
}

/** What a bucket has left. */
export interface Level {
  /** Whether a token was there to take. */
  isTaken: boolean;
  remaining: number;
  /** Until there is a token again; 0: there is one. */
  waitMs: number;
  /** Until the bucket is full. */
  fullInMs: number;
}

/** Token buckets, one for each name: https://en.wikipedia.org/wiki/Token_bucket */
export class TokenBuckets {
  readonly #options: Required<TokenBucketsOptions>;
  readonly #buckets: LRUCache<string, Bucket>;

  constructor(options: TokenBucketsOptions) {
    this.#options = { now: () => performance.now(), ...options };
    this.#buckets = new LRUCache({ max: options.bucketsMax });
  }

  /** Takes a token, where there is one. */
  take(name: string): Level {
    const { perSecond, burst } = this.#options;
    const bucket = this.#fill(name);
    const isTaken = bucket.tokens >= 1;
    if (isTaken) bucket.tokens -= 1;
    const msUntil = (tokens: number) => Math.max(0, ((tokens - bucket.tokens) * 1_000) / perSecond);
    return { isTaken, remaining: Math.floor(bucket.tokens), waitMs: msUntil(1), fullInMs: msUntil(burst) };
  }

  /** Gives back a token that was taken for nothing. */
  giveBack(name: string): void {
    const bucket = this.#buckets.get(name);
    if (bucket) bucket.tokens = Math.min(bucket.tokens + 1, this.#options.burst);
  }

  #fill(name: string): Bucket {
    const { perSecond, burst, now } = this.#options;
    const at = now();
    let bucket = this.#buckets.get(name);
    if (!bucket) {
      bucket = { tokens: burst, filledAt: at };
      this.#buckets.set(name, bucket);
    }
    bucket.tokens = Math.min(burst, bucket.tokens + ((at - bucket.filledAt) * perSecond) / 1_000);
    bucket.filledAt = at;
    return bucket;
  }
}
