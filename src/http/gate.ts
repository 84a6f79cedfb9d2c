import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import type { Authenticator, Credentials } from '../access/authenticate.ts';
import { type Caller, countedAs } from '../access/caller.ts';
import { RequestError } from '../errors.ts';
import { TokenBuckets } from './token-buckets.ts';

/** Requests without a good key that one address may make, in each process: keys can't be guessed at speed. */
export const UNKNOWN_PER_SECOND = 10;
export const UNKNOWN_BURST = 100;
/** How many times its requests of a second a key may make at once. */
export const BURST_SECONDS = 2;
/** Keys and addresses that are remembered. */
const KEYS_MAX = 10_000;
const ADDRESSES_MAX = 100_000;
/** Networks of so many bits are given to one customer, RFC 6177: what asks from one of them is one. */
const V6_PREFIX_BITS = 64;

export interface GateOptions {
  authenticator: Authenticator;
  /** Requests a second that one API key may make; null: any number. */
  requestsPerSecondMax: number | null;
  /** Proxies in front that add to `X-Forwarded-For`. */
  trustedProxies: number;
}

/** Lets a request in: who makes it, and whether not too often. */
export class Gate {
  readonly #options: GateOptions;
  readonly #byKey: TokenBuckets | null;
  readonly #byAddress: TokenBuckets;
  /** Hashes of keys that were good. They still are looked up, but others from their address don't hold them up. */
  readonly #knownKeys = new LRUCache<string, true>({ max: KEYS_MAX });
  readonly #policy: string;

  constructor(options: GateOptions) {
    this.#options = options;
    const perSecond = options.requestsPerSecondMax;
    const burst = (perSecond ?? 0) * BURST_SECONDS;
    this.#policy = `"key";q=${burst};w=${BURST_SECONDS}`;
    this.#byKey = perSecond === null ? null : new TokenBuckets({ perSecond, burst, bucketsMax: KEYS_MAX });
    this.#byAddress = new TokenBuckets({
      perSecond: UNKNOWN_PER_SECOND,
      burst: UNKNOWN_BURST,
      bucketsMax: ADDRESSES_MAX,
    });
  }

  /**
   * Checks the key of a request, and counts it.
   *
   * @param response gets the `RateLimit` fields; undefined: an operation of a WebSocket, which has none
   * @throws {RequestError} as {@link Authenticator.authenticate}; RATE_LIMITED where the key, or keys that are not good
   *   from this address, came too often
   */
  async admit(credentials: Credentials, request: IncomingMessage, response?: ServerResponse): Promise<Caller> {
    const secret = credentials.key ?? credentials.session ?? null;
    const caller = await this.guard(secret, request, () => this.#options.authenticator.authenticate(credentials));
    this.#count(caller, response);
    return caller;
  }

  /**
   * Checks a key, and counts the check where the key is not good.
   *
   * @param check throws UNAUTHENTICATED where it is not
   * @throws {RequestError} RATE_LIMITED where keys that are not good came too often from this address
   * @throws what the check does
   */
  async guard<T>(secret: string | null, request: IncomingMessage, check: () => Promise<T>): Promise<T> {
    const keyHash = secret && hash('sha256', secret, 'base64');
    if (keyHash && this.#knownKeys.has(keyHash)) {
      try {
        return await check();
      } catch (error) {
        if (isUnauthenticated(error)) this.#knownKeys.delete(keyHash);
        throw error;
      }
    }
    const address = findNetwork(findAddress(request, this.#options.trustedProxies));
    const { isTaken, waitMs } = this.#byAddress.take(address);
    if (!isTaken) {
      throw tooMany('Too many requests without a good API key came from your address. Try again later.', waitMs);
    }
    try {
      const checked = await check();
      if (keyHash) this.#knownKeys.set(keyHash, true);
      this.#byAddress.giveBack(address);
      return checked;
    } catch (error) {
      if (!isUnauthenticated(error)) this.#byAddress.giveBack(address);
      throw error;
    }
  }

  /** The fields are those of the IETF's "RateLimit header fields for HTTP", draft-ietf-httpapi-ratelimit-headers-09. */
  #count(caller: Caller, response: ServerResponse | undefined) {
    if (caller.isOperator || !this.#byKey) return;
    const { isTaken, remaining, waitMs, fullInMs } = this.#byKey.take(countedAs(caller));
    const seconds = Math.ceil((isTaken ? fullInMs : waitMs) / 1_000);
    response?.setHeader('ratelimit-policy', this.#policy);
    response?.setHeader('ratelimit', `"key";r=${remaining};t=${seconds}`);
    if (isTaken) return;
    const { requestsPerSecondMax } = this.#options;
    throw tooMany(`This API key may make ${requestsPerSecondMax} requests a second. Send it again later.`, waitMs);
  }
}

const tooMany = (message: string, waitMs: number) => new RequestError('RATE_LIMITED', message, Math.ceil(waitMs));

const isUnauthenticated = (error: unknown) => error instanceof RequestError && error.code === 'UNAUTHENTICATED';

/**
 * Where a request comes from: its connection, or what the proxies that are trusted say of that. Each adds the address
 * that it was asked from at the end, and what stands before could come from anybody. Where one says something else than an
 * address, it is that of the connection.
 */
export function findAddress({ headers, socket }: IncomingMessage, trustedProxies: number): string {
  const own = socket.remoteAddress ?? '';
  const forwarded = [headers['x-forwarded-for'] ?? []].flat().flatMap((line) => line.split(','));
  const way = [...forwarded.map((part) => withoutPort(part.trim())), own];
  const address = way[Math.max(0, way.length - 1 - trustedProxies)] as string;
  return ipaddr.isValid(address) ? address : own;
}

/** Some proxies write the port too: `203.0.113.7:4711`, `[2001:db8::1]:4711`. */
const withoutPort = (text: string): string =>
  text.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1');

/** What counts as one address. */
export function findNetwork(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/${V6_PREFIX_BITS}`).toString();
}
