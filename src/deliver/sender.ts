import type { KeyObject } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { LRUCache } from 'lru-cache';
import type { Dispatcher } from 'undici';
import { encodeId } from '../domain/ids.ts';
import { parseRetryAfter } from '../domain/retry-policy.ts';
import { type Keyring, UnknownKeyError, UnreadableValueError } from '../domain/sealing.ts';
import { signatureHeaders, toSigningKey } from '../domain/signature.ts';
import type { TargetPolicy } from '../domain/target-policy.ts';
import type { OutgoingDelivery, SealedSecret } from '../storage/load-outgoing.ts';
import { HEADERS_COLUMN, SECRET_COLUMN } from '../storage/sealed-columns.ts';
import { AttemptError, BlockedAddressError, describeFailure } from './attempt-error.ts';
import { makeCheckedLookup } from './checked-lookup.ts';
import { Connections } from './connections.ts';
import { type Answer, exchange } from './exchange.ts';
import { hideInText, hideValues } from './hide-values.ts';
import { NameResolver } from './name-resolver.ts';
import { findOwnFault } from './own-fault.ts';
import { keepResponseBody } from './response-body.ts';
import { SecretIndex } from './secret-index.ts';
import { SocketGate } from './socket-gate.ts';
import { StallClock } from './stall-clock.ts';

/** URLs that are kept at hand, so that they need not be read for every attempt. */
const TARGETS_MAX = 10_000;
/** Bytes of indexes of header values that are kept. */
const SECRET_INDEX_BYTES_MAX = 16_777_216;
/** Status 410: the endpoint is gone for good, RFC 9110 section 15.5.11. */
const STATUS_GONE = 410;
/** `Retry-After` means something with 429 (RFC 6585 section 4) and 503 (RFC 9110 section 15.6.4). */
const STATUSES_WITH_RETRY_AFTER = [429, 503];

/** What one HTTP request brought. */
export interface SendResult {
  startedAt: Date;
  durationMs: number;
  requestHeaders: Record<string, string | null>;
  responseStatus: number | null;
  responseHeaders: Record<string, string | string[]> | null;
  responseBody: string | null;
  /** Null: 2xx. */
  error: AttemptError | null;
  /** Earliest time of the next attempt, from `Retry-After`; null if it asked for none. */
  notBefore: Date | null;
  /** 410. */
  isGone: boolean;
}

export interface SenderOptions {
  keyring: Keyring;
  targetPolicy: TargetPolicy;
  /** Where all requests go through; null: nowhere, they go straight. */
  proxyUrl: string | null;
  /** Addresses of name servers for the names of endpoints and proxy; null: those of the system. @default null */
  dnsServers?: string[] | null;
  /** Sockets that may be open at once; null: any number. If set, connections are not kept alive. @default null */
  socketsMax?: number | null;
  /** Product and version for the `user-agent` header. */
  userAgent: string;
}

/** Makes the HTTP request of an attempt. What an endpoint does wrong is part of the result, never thrown. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #names: NameResolver;
  readonly #stalls = new StallClock();
  readonly #gate: SocketGate | null;
  readonly #connections: Connections;
  readonly #signingKeys = new WeakMap<SealedSecret, KeyObject>();
  readonly #ownHeaders = new WeakMap<Buffer, Record<string, string>>();
  readonly #secrets = new LRUCache<Buffer, SecretIndex>({
    maxSize: SECRET_INDEX_BYTES_MAX,
    sizeCalculation: (index) => 1 + index.byteSize,
  });
  readonly #targets = new LRUCache<string, Target>({ max: TARGETS_MAX });

  constructor(options: SenderOptions) {
    this.#options = options;
    const { keyring, proxyUrl, targetPolicy } = options;
    this.#names = new NameResolver({ servers: options.dnsServers });
    const lookup = makeCheckedLookup(targetPolicy, this.#names.lookup);
    const lookUpProxy = makeCheckedLookup({ mayConnect: () => true }, this.#names.lookup);
    const { socketsMax = null } = options;
    this.#gate = socketsMax === null ? null : new SocketGate(socketsMax);
    this.#connections = new Connections({
      keyring,
      proxyUrl,
      lookup,
      lookUpProxy,
      keepsAlive: socketsMax === null,
    });
  }

  async close(): Promise<void> {
    this.#names.close();
    this.#stalls.stop();
    await this.#connections.close();
  }

  /**
   * @param delivery with its body, secrets and headers, still sealed
   * @param isLast whether the attempt will not be repeated if it fails through no fault of the endpoint @default true
   * @throws {OwnFaultError} if the attempt failed for a reason of this process or machine: it has to be repeated
   * @throws {UnknownKeyError} {@link UnreadableValueError} if these can't be decrypted. Nothing was sent
   */
  send(delivery: OutgoingDelivery, { isLast = true } = {}): Promise<SendResult> {
    const attempt = () => this.#attempt(delivery, isLast);
    return this.#gate ? this.#gate.pass(delivery.endpointId, attempt) : attempt();
  }

  /** The time of the attempt starts here: earlier waits are not the endpoint's fault. */
  async #attempt(delivery: OutgoingDelivery, isLast: boolean): Promise<SendResult> {
    const startedAt = new Date();
    const started = performance.now();
    const stalledBefore = this.#stalls.stalledMs;
    const { own, sent, recorded } = this.#makeHeaders(delivery, startedAt);
    const answer = await this.#request(delivery, sent).catch((error) => {
      const durationMs = performance.now() - started;
      const ownFault = findOwnFault(error, { isLast, durationMs, stalledMs: this.#stalls.stalledMs - stalledBefore });
      if (ownFault || isUndecryptable(error)) throw ownFault ?? error;
      return describeFailure(error, delivery);
    });
    const base = { startedAt, requestHeaders: recorded, durationMs: Math.round(performance.now() - started) };
    const shown = delivery.headersSealed ? hideSecrets(answer, this.#secretsOf(delivery.headersSealed, own)) : answer;
    return shown instanceof AttemptError ? withoutResponse(base, shown) : withResponse(base, shown);
  }

  #secretsOf(sealed: Buffer, own: Record<string, string>): SecretIndex {
    const known = this.#secrets.get(sealed);
    if (known) return known;
    const index = new SecretIndex(own);
    this.#secrets.set(sealed, index);
    return index;
  }

  async #request(delivery: OutgoingDelivery, headers: Record<string, string>): Promise<Answer> {
    const { origin, path } = this.#aim(delivery.url);
    const agent = this.#connections.agentOf(delivery);
    const { body, timeoutMs } = delivery;
    const method = delivery.method as Dispatcher.HttpMethod;
    return exchange(agent, { origin, path, method, headers, body, timeoutMs }, this.#stalls);
  }

  /**
   * What is remembered follows from the URL and the policy alone, and neither changes. Where a name leads to is not
   * among it: that is looked up and checked for each connection.
   *
   * @throws {BlockedAddressError} where the URL itself shows that deliveries must not go there
   */
  #aim(url: string): Target {
    const known = this.#targets.get(url);
    if (known) return known;
    const parsed = new URL(url);
    const fault = this.#options.targetPolicy.findFault(parsed);
    if (fault) throw new BlockedAddressError(fault);
    const target = { origin: parsed.origin, path: `${parsed.pathname}${parsed.search}` };
    this.#targets.set(url, target);
    return target;
  }

  /** An endpoint's own headers go out with their values, and on record without. */
  #makeHeaders(delivery: OutgoingDelivery, now: Date) {
    const own = delivery.headersSealed ? this.#openHeaders(delivery.headersSealed, delivery.endpointId) : {};
    const standard = {
      'content-type': delivery.contentType,
      'user-agent': this.#options.userAgent,
      ...signatureHeaders({
        keys: delivery.secretsSealed.map((secret) => this.#openSigningKey(secret)),
        webhookId: encodeId('Event', delivery.eventId),
        timestamp: now,
        body: delivery.body,
      }),
    };
    const masked = Object.fromEntries(Object.keys(own).map((name) => [name, null]));
    return { own, sent: { ...own, ...standard }, recorded: { ...masked, ...standard } };
  }

  #openSigningKey(secret: SealedSecret): KeyObject {
    const open = () => this.#options.keyring.open(secret.sealed, { ...SECRET_COLUMN, id: secret.id });
    return remember(this.#signingKeys, secret, () => toSigningKey(open()));
  }

  #openHeaders(sealed: Buffer, endpointId: string): Record<string, string> {
    const open = () => this.#options.keyring.open(sealed, { ...HEADERS_COLUMN, id: endpointId });
    return remember(this.#ownHeaders, sealed, () => JSON.parse(open()));
  }
}

function hideSecrets(result: Answer | AttemptError, secrets: SecretIndex): Answer | AttemptError {
  if (!(result instanceof AttemptError)) return hideValues(result, secrets);
  const message = hideInText(result.message, secrets);
  return message === result.message ? result : new AttemptError(result.code, message, { cause: result.cause });
}

/** Nothing was sent, which says nothing of the endpoint. */
const isUndecryptable = (error: unknown) => error instanceof UnknownKeyError || error instanceof UnreadableValueError;

/** What was unsealed before, for as long as the sealed bytes are kept at hand. */
function remember<K extends object, T extends object>(known: WeakMap<K, T>, sealed: K, open: () => T): T {
  const before = known.get(sealed);
  if (before) return before;
  const opened = open();
  known.set(sealed, opened);
  return opened;
}

/** Where an endpoint's requests go. */
interface Target {
  origin: string;
  path: string;
}

type Base = Pick<SendResult, 'startedAt' | 'durationMs' | 'requestHeaders'>;

const withoutResponse = (base: Base, error: AttemptError): SendResult => ({
  ...base,
  responseStatus: null,
  responseHeaders: null,
  responseBody: null,
  error,
  notBefore: null,
  isGone: false,
});

function withResponse(base: Base, { status, headers, body }: Answer): SendResult {
  const isSuccess = status >= 200 && status < 300;
  const retryAfter = STATUSES_WITH_RETRY_AFTER.includes(status) ? headers['retry-after'] : undefined;
  return {
    ...base,
    responseStatus: status,
    responseHeaders: headers as Record<string, string | string[]>,
    responseBody: keepResponseBody(body),
    error: isSuccess ? null : new AttemptError('HTTP_STATUS', `The endpoint answered with status ${status}.`),
    notBefore: parseRetryAfter(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter, new Date()),
    isGone: status === STATUS_GONE,
  };
}
