import type { LookupFunction } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { Agent, buildConnector } from 'undici';
import type { ClientCertificate } from '../domain/client-certificate.ts';
import type { Keyring } from '../domain/sealing.ts';
import { CERTIFICATE_COLUMN } from '../storage/sealed-columns.ts';
import { guardAnswers } from './answer-guard.ts';
import { makeProxyConnector } from './proxy-connector.ts';
import { RESPONSE_HEAD_BYTES_MAX } from './response-limits.ts';

/** Below the 5 s after which many servers close an idle connection. */
const KEEP_ALIVE_MS = 4_000;
/** A connection that is not there after so long is given up, so that those of stalled endpoints do not pile up. */
export const CONNECT_MS_MAX = 10_000;
/** Endpoints with certificates of their own whose connections are kept for further requests. */
export const OWN_AGENTS_MAX = 256;

export interface ConnectionsOptions {
  /** Gives only addresses that deliveries may reach. */
  lookup: LookupFunction;
  /** Resolves the name of the proxy, which may have any address. @default the system's resolver */
  lookUpProxy?: LookupFunction | undefined;
  /** Where all connections go through, with user name and password; null: none. */
  proxyUrl: string | null;
  keyring: Keyring;
  /** Whether connections are kept for further requests. @default true */
  keepsAlive?: boolean;
}

/** What an endpoint has of certificates. */
export interface EndpointCertificates {
  /** UUID. */
  endpointId: string;
  url: string;
  /** Sealed {@link ClientCertificate} as JSON; null: Posthorn shows none. */
  clientCertificateSealed: Buffer | null;
  /** Authorities in PEM, in place of the usual ones; null: the usual ones. */
  caCertificate: string | null;
}

/**
 * Connections to endpoints. All those without certificates of their own share an agent; each of the others has one, so
 * that nobody else's request goes over a connection that its client certificate opened.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #shared: Agent;
  readonly #own: LRUCache<string, Agent>;
  /** Those that fell out and still have requests in flight. */
  readonly #closing = new Set<Agent>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#shared = this.#makeAgent();
    this.#own = new LRUCache({ max: OWN_AGENTS_MAX, dispose: (agent) => this.#retire(agent) });
  }

  /**
   * The agent for an endpoint's request, which must be dispatched at once.
   *
   * @throws {UnknownKeyError} {@link UnreadableValueError} if the client certificate can't be decrypted
   */
  agentOf({ endpointId, url, clientCertificateSealed, caCertificate }: EndpointCertificates): Agent {
    if ((!clientCertificateSealed && !caCertificate) || !url.startsWith('https:')) return this.#shared;
    // Another certificate has other sealed bytes. Those of another endpoint must not open here.
    const key = `${endpointId} ${clientCertificateSealed?.toString('latin1')} ${caCertificate}`;
    const known = this.#own.get(key);
    if (known) return known;
    const client = clientCertificateSealed ? this.#open(clientCertificateSealed, endpointId) : null;
    const agent = this.#makeAgent(
      createSecureContext({ cert: client?.certificate, key: client?.privateKey, ca: caCertificate ?? undefined }),
    );
    this.#own.set(key, agent);
    return agent;
  }

  /** Cuts off what is in flight. */
  async close(): Promise<void> {
    const agents = [this.#shared, ...this.#own.values(), ...this.#closing];
    await Promise.all(agents.map((agent) => agent.destroy()));
  }

  #open = (sealed: Buffer, id: string): ClientCertificate =>
    JSON.parse(this.#options.keyring.open(sealed, { ...CERTIFICATE_COLUMN, id }));

  /** Takes no more requests, and closes when those in flight are done. */
  #retire(agent: Agent) {
    this.#closing.add(agent);
    void agent.close().finally(() => this.#closing.delete(agent));
  }

  #makeAgent(secureContext?: SecureContext): Agent {
    const { lookup, lookUpProxy, proxyUrl, keepsAlive = true } = this.#options;
    const connect = proxyUrl
      ? makeProxyConnector({ proxyUrl, lookup, lookUpProxy, timeoutMs: CONNECT_MS_MAX, secureContext })
      : buildConnector({ lookup, timeout: CONNECT_MS_MAX, secureContext, allowH2: false });
    // As many connections as there are requests in flight, which the lanes bound: many endpoints may share an origin,
    // and those that stall must not take the others' connections.
    return new Agent({
      pipelining: keepsAlive ? 1 : 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Also where an endpoint asks for longer.
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: RESPONSE_HEAD_BYTES_MAX,
      // With it, undici holds all requests to an origin back until its first TLS handshake is done.
      allowH2: false,
      // The attempt's own deadline covers these.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: guardAnswers(withoutFinalDot(connect)),
    });
  }
}

/**
 * RFC 6066 section 3: a name in a TLS handshake has no dot at its end, though one in a URL may, as `https://host./`. The
 * certificate is checked for the name without it, and the `host` header stays as the URL has it.
 */
const withoutFinalDot =
  (connect: buildConnector.connector): buildConnector.connector =>
  (target, callback) => {
    const isFull = target.hostname.endsWith('.');
    connect(isFull ? { ...target, servername: target.hostname.slice(0, -1) } : target, callback);
  };
