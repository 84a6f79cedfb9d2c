import { type LookupAddress, promises } from 'node:dns';
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Resolve } from './checked-lookup.ts';
import { completeName, parseHosts, parseSearchRules, type SearchRules } from './resolver-files.ts';

/** A look-up that takes longer fails. */
export const LOOKUP_MS_MAX = 5_000;
/** How long a name server has for the first answer; later tries have longer. */
const TRY_MS = 1_000;
const TRIES = 3;
/** Once IPv4 addresses are found, IPv6 addresses are waited for no longer than this. */
const IPV6_WAIT_MS = 100;
/** Many machines can use IPv4 only, so it is waited for longer: until a lost packet was sent again. */
const IPV4_WAIT_MS = 2_500;
/** Addresses are cached as long as their records say (TTL), within these bounds. */
export const TTL_SECONDS_MIN = 1;
export const TTL_SECONDS_MAX = 60;
/** How long a look-up that failed counts. */
export const FAILURE_SECONDS = 2;
const NAMES_MAX = 10_000;
/** Addresses of one name and IP version: connections are tried to one after the other. */
const ADDRESSES_MAX = 8;
/** How often the system's files are checked for changes. */
const FILES_CHECK_MS = 5_000;
/** The look-up failed, but another name server may know better. */
const SERVER_FAULTS = new Set(['ESERVFAIL', 'EREFUSED', 'ENOTIMP', 'EFORMERR', 'EBADRESP', 'ECONNREFUSED', 'ETIMEOUT']);
/** The name exists nowhere, has no address, or is too long. */
const NOT_FOUND = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME']);
const SERVERS_MAX = 3;
const LOOPBACK = ['127.0.0.1', '::1'];

/** Names of RFC 6761 that are never asked for: section 6.3, and 6.4, which exist nowhere. */
const LOCALHOST = /(^|\.)localhost$/;
const INVALID = /(^|\.)invalid$/;

/** A name could not be resolved. `code` is a code of c-ares, as in `node:dns`. */
export class LookupError extends Error {
  override readonly name = 'LookupError';
  readonly code: string;
  /** Whether no name server can be reached, or no socket is left to ask one: nothing that the owner of the name did. */
  readonly isServerAway: boolean;

  constructor(code: string, hostname: string, cause?: Error) {
    super(`The look-up of ${hostname} failed: ${code}`, { cause });
    this.code = code;
    this.isServerAway = code === 'ECONNREFUSED';
  }
}

export interface NameResolverOptions {
  /** Addresses of name servers, with a port if it is not 53; null: those of the system. @default null */
  servers?: string[] | null;
  /** @default /etc/hosts */
  hostsPath?: string;
  /** @default /etc/resolv.conf */
  resolvConfPath?: string;
  /** Milliseconds of a monotonic clock. @default performance.now */
  now?: () => number;
}

interface Found {
  addresses: LookupAddress[];
  /** Seconds. */
  ttl: number;
}

/** A result that is kept. */
interface Known {
  result: Found | LookupError;
  expiresAt: number;
}

/** Content of this machine's files. */
interface SystemFiles {
  hosts: Map<string, string[]>;
  rules: SearchRules;
}

/**
 * Resolves names of endpoints with c-ares, which asks name servers over sockets of this process. The system's own resolver
 * (`getaddrinfo`) would wait for them in one of four threads, which every other look-up, also that of the database, and
 * files share: a few names whose server does not answer would stop all of them.
 *
 * Attempts to the same name share a look-up, each has a time limit, and results are kept shortly. Names in the `hosts`
 * file, `search` and `ndots` of `resolv.conf` count as usual. Other sources of `nsswitch.conf` (mDNS, LDAP) do not.
 */
export class NameResolver {
  readonly #options: Required<NameResolverOptions>;
  readonly #known = new LRUCache<string, Known>({ max: NAMES_MAX });
  readonly #pending = new Map<string, Promise<LookupAddress[]>>();
  #resolvers: promises.Resolver[] = [];
  #files: SystemFiles = { hosts: new Map(), rules: parseSearchRules('') };
  #versions = new Map<string, string>();
  #checkAt = 0;
  #reading: Promise<void> | undefined;

  constructor({
    servers = null,
    hostsPath = '/etc/hosts',
    resolvConfPath = '/etc/resolv.conf',
    now = () => performance.now(),
  }: NameResolverOptions = {}) {
    this.#options = { servers, hostsPath, resolvConfPath, now };
  }

  /** As `dns.lookup` with `all`: for connections. IPv4 addresses come first. */
  readonly lookup: Resolve = (hostname, _, callback) => {
    this.resolve(hostname).then(
      (addresses) => callback(null, addresses),
      (error) => callback(error, []),
    );
  };

  /** @returns at least one address @throws {LookupError} */
  async resolve(hostname: string): Promise<LookupAddress[]> {
    const family = isIP(hostname);
    if (family > 0) return [{ address: hostname, family }];
    await this.#refresh();
    const name = hostname.toLowerCase();
    const own = this.#findOwn(name.replace(/\.$/, ''));
    if (own) return toAddresses(own);
    const known = this.#known.get(name);
    if (!known || known.expiresAt <= this.#options.now()) return this.#share(name);
    if (known.result instanceof LookupError) throw known.result;
    return known.result.addresses;
  }

  /** Ends look-ups under way. */
  close(): void {
    for (const resolver of this.#resolvers) resolver.cancel();
  }

  #share(name: string): Promise<LookupAddress[]> {
    const pending = this.#pending.get(name);
    if (pending) return pending;
    const started = this.#lookUp(name).finally(() => this.#pending.delete(name));
    this.#pending.set(name, started);
    return started;
  }

  async #lookUp(name: string): Promise<LookupAddress[]> {
    const timer = new AbortController();
    const timeout = sleep(LOOKUP_MS_MAX, null, { ref: false, signal: timer.signal }).catch(() => null);
    try {
      const found = await Promise.race([this.#tryNames(name, timer.signal), timeout]);
      if (!found) throw new LookupError('ETIMEOUT', name);
      this.#keep(name, found, Math.min(Math.max(found.ttl, TTL_SECONDS_MIN), TTL_SECONDS_MAX));
      return found.addresses;
    } catch (error) {
      const failure = error instanceof LookupError ? error : new LookupError('ESERVFAIL', name, error as Error);
      if (!failure.isServerAway) this.#keep(name, failure, FAILURE_SECONDS);
      throw failure;
    } finally {
      timer.abort();
    }
  }

  #keep(name: string, result: Found | LookupError, seconds: number) {
    this.#known.set(name, { result, expiresAt: this.#options.now() + seconds * 1_000 });
  }

  /**
   * A search domain whose servers fail does not keep the name from being tried in the next one, as in the C library.
   *
   * @param signal aborted when nobody waits any longer
   * @throws {LookupError} the first failure of a server, or else the first of all
   */
  async #tryNames(name: string, signal: AbortSignal): Promise<Found> {
    const failures: LookupError[] = [];
    for (const full of completeName(name, this.#files.rules)) {
      try {
        return await this.#tryServers(full, signal);
      } catch (error) {
        if (!(error instanceof LookupError && (NOT_FOUND.has(error.code) || error.code === 'ESERVFAIL'))) throw error;
        failures.push(error);
      }
    }
    throw failures.find(({ code }) => !NOT_FOUND.has(code)) ?? (failures[0] as LookupError);
  }

  /** @throws {LookupError} */
  async #tryServers(name: string, signal: AbortSignal): Promise<Found> {
    let failure: LookupError | undefined;
    for (const resolver of this.#resolvers) {
      if (signal.aborted) throw new LookupError('ECANCELLED', name);
      const found = await query(resolver, name);
      if (!(found instanceof LookupError)) return found;
      failure = found;
      if (!SERVER_FAULTS.has(failure.code)) break;
    }
    throw failure ?? new LookupError('ECONNREFUSED', name);
  }

  /** Addresses that this machine knows without name servers; undefined: it does not. */
  #findOwn(name: string): string[] | undefined {
    const found = this.#files.hosts.get(name);
    if (found) return found;
    if (INVALID.test(name)) throw new LookupError('ENOTFOUND', name);
    return LOCALHOST.test(name) ? LOOPBACK : undefined;
  }

  /** Reads the system's files again if they have changed. Only the first call waits for that. */
  #refresh(): Promise<void> | undefined {
    if (this.#options.now() < this.#checkAt) return this.#resolvers.length === 0 ? this.#reading : undefined;
    this.#checkAt = this.#options.now() + FILES_CHECK_MS;
    this.#reading = this.#readFiles();
    // If nobody waits for it, look-ups go on with what is known.
    this.#reading.catch(() => {});
    return this.#resolvers.length === 0 ? this.#reading : undefined;
  }

  async #readFiles() {
    const { hostsPath, resolvConfPath, servers } = this.#options;
    const [hosts, resolvConf] = await Promise.all([this.#readChanged(hostsPath), this.#readChanged(resolvConfPath)]);
    if (hosts !== null) this.#files.hosts = parseHosts(hosts);
    if (resolvConf !== null) this.#files.rules = parseSearchRules(resolvConf);
    if (this.#resolvers.length === 0 || (resolvConf !== null && !servers)) {
      this.#resolvers = makeResolvers(servers);
      this.#known.clear();
    }
  }

  /** @returns null if the file is as it was read before, or can't be read now; an empty text if it is missing */
  async #readChanged(path: string): Promise<string | null> {
    const version = await stat(path).then(
      ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
      () => 'missing',
    );
    if (this.#versions.get(path) === version) return null;
    if (version === 'missing') {
      this.#versions.set(path, version);
      return '';
    }
    // It may be unreadable for a while, for example without a free descriptor.
    const text = await readFile(path, 'utf8').catch(() => null);
    if (text !== null) this.#versions.set(path, version);
    return text;
  }
}

const toAddresses = (addresses: string[]): LookupAddress[] =>
  addresses.map((address) => ({ address, family: isIP(address) })).toSorted((a, b) => a.family - b.family);

const RESOLVER_OPTIONS = { timeout: TRY_MS, tries: TRIES, maxTimeout: LOOKUP_MS_MAX };

/** One for each server, which asks that one first: c-ares takes an answer of "server failed" for final. */
function makeResolvers(servers: string[] | null): promises.Resolver[] {
  const system = new promises.Resolver(RESOLVER_OPTIONS);
  const all = servers ?? system.getServers();
  const others = all.slice(servers ? 0 : 1, SERVERS_MAX).map((server) => {
    const resolver = new promises.Resolver(RESOLVER_OPTIONS);
    resolver.setServers([server, ...all.filter((other) => other !== server)]);
    return resolver;
  });
  // As the system has them, in whatever form.
  return servers ? others : [system, ...others];
}

type Answer = Found & { isIPv4: boolean; error: LookupError | null };

/** Asks for the addresses of both IP versions. */
async function query(resolver: promises.Resolver, name: string): Promise<Found | LookupError> {
  const four = settle(resolver.resolve4(name, { ttl: true }), 4, name);
  const six = settle(resolver.resolve6(name, { ttl: true }), 6, name);
  const first = await Promise.race([four, six]);
  const both = Promise.all([four, six]);
  const answers =
    first.addresses.length > 0
      ? await Promise.race([both, sleep(first.isIPv4 ? IPV6_WAIT_MS : IPV4_WAIT_MS, [first], { ref: false })])
      : await both;
  const addresses = answers.flatMap((answer) => answer.addresses);
  if (addresses.length > 0) return { addresses, ttl: Math.min(...answers.map(({ ttl }) => ttl)) };
  const errors = answers.flatMap(({ error }) => error ?? []);
  return errors.find(({ code }) => !NOT_FOUND.has(code)) ?? (errors[0] as LookupError);
}

function settle(records: Promise<{ address: string; ttl: number }[]>, family: number, name: string): Promise<Answer> {
  return records.then(
    (found) => ({
      addresses: found.slice(0, ADDRESSES_MAX).map(({ address }) => ({ address, family })),
      ttl: Math.min(...found.map(({ ttl }) => ttl)),
      isIPv4: family === 4,
      error: found.length > 0 ? null : new LookupError('ENODATA', name),
    }),
    (error: NodeJS.ErrnoException) => ({
      addresses: [],
      ttl: TTL_SECONDS_MAX,
      isIPv4: family === 4,
      error: new LookupError(error.code ?? 'ESERVFAIL', name, error),
    }),
  );
}
