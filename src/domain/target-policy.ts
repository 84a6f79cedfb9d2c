import { isIP } from 'node:net';
import { makeAddressPolicy } from './address.ts';
import { DENIED_PORTS_DEFAULT, nameDeniedPort } from './denied-ports.ts';

/** What an operator sets. Every process of a deployment has to have the same. */
export interface TargetRules {
  /** CIDRs that may be reached though they are not public. */
  allowedNetworks: string[];
  /** Names, or `*.` and a name, that may be reached wherever they lead. */
  allowedHosts: string[];
  /** Ports that may not be reached, whatever the host; null: {@link DENIED_PORTS_DEFAULT}. */
  deniedPorts: number[] | null;
}

/** Tells where deliveries may go. It never changes while a process runs. */
export interface TargetPolicy {
  /** Why a URL can't be delivered to, as far as that can be said without a look-up; null: nothing speaks against it. */
  findFault: (url: URL) => string | null;
  /** Whether deliveries to a host may connect to an address that its name leads to. */
  mayConnect: (host: string, address: string) => boolean;
}

/** Names that are known to lead to addresses that are not public: RFC 6761 section 6.3, and a cloud's metadata. */
const KNOWN_NAMES = new Map([
  ['localhost', ['127.0.0.1', '::1']],
  ['metadata.google.internal', ['169.254.169.254']],
]);

export function makeTargetPolicy({ allowedNetworks, allowedHosts, deniedPorts }: TargetRules): TargetPolicy {
  const isAllowedAddress = makeAddressPolicy(allowedNetworks);
  const isAllowedHost = makeHostMatcher(allowedHosts);
  const denied = new Set(deniedPorts ?? DENIED_PORTS_DEFAULT);
  const mayConnect = (host: string, address: string) => isAllowedHost(toName(host)) || isAllowedAddress(address);
  return {
    mayConnect,
    findFault: (url) => {
      const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
      if (denied.has(port)) return describeBlockedPort(port);
      const host = toName(url.hostname);
      const addresses = isIP(host) ? [host] : findKnownAddresses(host);
      if (!addresses || addresses.some((address) => mayConnect(host, address))) return null;
      return describeBlockedHost(host);
    },
  };
}

/** Says that deliveries must not reach a host, and what to do. What its name leads to stays untold. */
export function describeBlockedHost(host: string): string {
  if (isIP(host)) {
    const advice = 'The operator can allow its network with POSTHORN_ALLOWED_NETWORKS.';
    return `Deliveries must not reach ${host}: it is no public address. ${advice}`;
  }
  const advice =
    'The operator can allow it with POSTHORN_ALLOWED_HOSTS, or its network with POSTHORN_ALLOWED_NETWORKS.';
  return `Deliveries must not reach ${host}: it leads to no public address. ${advice}`;
}

function describeBlockedPort(port: number): string {
  const name = nameDeniedPort(port);
  const reason = name ? ` (${name})` : '';
  return `Deliveries must not reach port ${port}${reason}. The operator can allow it with POSTHORN_DENIED_PORTS.`;
}

/** A host as it is compared: in small letters, without the brackets of IPv6 and the dot that ends a full name. */
const toName = (hostname: string): string => hostname.toLowerCase().replace(/^\[|\]$|\.$/g, '');

function findKnownAddresses(name: string): string[] | undefined {
  return KNOWN_NAMES.get(name.endsWith('.localhost') ? 'localhost' : name);
}

function makeHostMatcher(patterns: string[]): (name: string) => boolean {
  const names = patterns.map(toName);
  const exact = new Set(names.filter((name) => !name.startsWith('*.')));
  const endings = names.filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  return (name) => exact.has(name) || endings.some((ending) => name.endsWith(ending) && name.length > ending.length);
}
