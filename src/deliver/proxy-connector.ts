import type { LookupAddress } from 'node:dns';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { buildConnector } from 'undici';
import { AttemptError } from './attempt-error.ts';

/** Addresses of a name that the proxy is asked for in turn, where it can't connect to those before. */
const ADDRESSES_MAX = 3;

/** The proxy failed, or refused: nothing that the endpoint did. */
export class ProxyError extends AttemptError {
  override readonly name = 'ProxyError';
  /** Whether the proxy may do better with another address of the endpoint. */
  readonly isAddressAtFault: boolean;

  constructor(
    message: string,
    { cause, isAddressAtFault = false }: { cause?: Error; isAddressAtFault?: boolean } = {},
  ) {
    super('CONNECTION', message, { cause });
    this.isAddressAtFault = isAddressAtFault;
  }
}

export interface ProxyConnectorOptions {
  proxyUrl: string;
  /** Gives only addresses that deliveries may reach. */
  lookup: LookupFunction;
  /** Resolves the name of the proxy, which may have any address; undefined: the system's resolver. */
  lookUpProxy: LookupFunction | undefined;
  /** For the way to the proxy and on to the endpoint, and once more for the TLS handshake with it. */
  timeoutMs: number;
  /** For TLS with endpoints; undefined: the usual one. */
  secureContext: SecureContext | undefined;
}

/**
 * Connects to endpoints through a proxy, by CONNECT (RFC 9110 section 9.3.6) to an address that was looked up and
 * checked here: the proxy gets no name that it could resolve to something else. undici's own ProxyAgent gives it names.
 */
export function makeProxyConnector(options: ProxyConnectorOptions): buildConnector.connector {
  const proxy = readProxy(options.proxyUrl);
  const secure = buildConnector({
    allowH2: false,
    timeout: options.timeoutMs,
    secureContext: options.secureContext,
  });
  return (target, callback) => {
    openTunnel(proxy, target, options).then(
      (socket) => {
        if (target.protocol === 'https:') secure({ ...target, httpSocket: socket }, callback);
        else callback(null, socket.setNoDelay(true));
      },
      (error: Error) => callback(error, null),
    );
  };
}

interface Proxy {
  isSecure: boolean;
  host: string;
  port: number;
  /** RFC 7617; undefined: it asks for none. */
  authorization: string | undefined;
}

function readProxy(proxyUrl: string): Proxy {
  const { protocol, hostname, port, username, password } = new URL(proxyUrl);
  const isSecure = protocol === 'https:';
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    isSecure,
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port) || (isSecure ? 443 : 80),
    authorization: username || password ? `Basic ${Buffer.from(credentials).toString('base64')}` : undefined,
  };
}

/** A connection to one of the endpoint's addresses: to the first that the proxy can connect to. */
async function openTunnel(
  proxy: Proxy,
  { hostname, protocol, port }: buildConnector.Options,
  { lookup, lookUpProxy, timeoutMs }: ProxyConnectorOptions,
): Promise<Socket> {
  const deadline = performance.now() + timeoutMs;
  const addresses = (await resolve(hostname, lookup)).slice(0, ADDRESSES_MAX);
  for (;;) {
    const address = addresses.shift() as string;
    const host = isIP(address) === 6 ? `[${address}]` : address;
    const authority = `${host}:${port || (protocol === 'https:' ? 443 : 80)}`;
    try {
      return await askProxy({ ...proxy, lookup: lookUpProxy }, authority, deadline - performance.now());
    } catch (error) {
      if (!(error instanceof ProxyError && error.isAddressAtFault) || addresses.length === 0) throw error;
    }
  }
}

/** Addresses that were checked. A host that is an address already comes back as it is. */
const resolve = (hostname: string, lookup: LookupFunction): Promise<string[]> =>
  new Promise((resolve, reject) => {
    lookup(hostname, { all: true }, (error, found) => {
      if (error) reject(error);
      else resolve((found as LookupAddress[]).map(({ address }) => address));
    });
  });

/** @throws {ProxyError} */
const askProxy = (
  proxy: Proxy & { lookup: LookupFunction | undefined },
  authority: string,
  timeoutMs: number,
): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const request = (proxy.isSecure ? requestHttps : requestHttp)({
      host: proxy.host,
      port: proxy.port,
      lookup: proxy.lookup,
      // Else it would be taken from the header, and the proxy's certificate be checked for the endpoint's address.
      servername: isIP(proxy.host) ? '' : proxy.host,
      method: 'CONNECT',
      path: authority,
      agent: false,
      headers: {
        host: authority,
        connection: 'keep-alive',
        ...(proxy.authorization && { 'proxy-authorization': proxy.authorization }),
      },
    });
    const timer = setTimeout(() => request.destroy(new ProxyError('The proxy did not answer in time.')), timeoutMs);
    request.on('connect', ({ statusCode = 0 }, socket, head) => {
      clearTimeout(timer);
      if (statusCode >= 200 && statusCode < 300) {
        if (head.length > 0) socket.unshift(head);
        return resolve(socket as Socket);
      }
      socket.destroy();
      reject(describeRefusal(statusCode));
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(error instanceof ProxyError ? error : describeFault(error));
    });
    request.end();
  });

function describeRefusal(status: number): ProxyError {
  if (status === 407) {
    return new ProxyError(
      'The proxy refused its user name and password (status 407). The operator sets them with POSTHORN_PROXY_URL.',
    );
  }
  if (status >= 500) {
    return new ProxyError(`The proxy could not connect to the endpoint (status ${status}).`, {
      isAddressAtFault: true,
    });
  }
  return new ProxyError(`The proxy refused to connect to the endpoint (status ${status}).`);
}

const describeFault = (cause: NodeJS.ErrnoException): ProxyError =>
  new ProxyError(
    `The connection to the proxy failed (${cause.code ?? cause.message}). The operator sets it with POSTHORN_PROXY_URL.`,
    { cause },
  );
