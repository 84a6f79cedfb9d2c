import ipaddr from 'ipaddr.js';

/** Tells whether deliveries may connect to an IP address. */
export type AddressPolicy = (address: string) => boolean;

/** NAT64 with a prefix of one's own choice, RFC 8215: may lead to any IPv4 address. */
const NAT64_LOCAL = ipaddr.IPv6.parseCIDR('64:ff9b:1::/48');
/** IPv4-compatible IPv6 addresses, deprecated by RFC 4291 section 2.5.5.1. */
const IPV4_COMPATIBLE = ipaddr.IPv6.parseCIDR('::/96');
/** Documentation, RFC 9637. */
const DOCUMENTATION_V6 = ipaddr.IPv6.parseCIDR('3fff::/20');
/** The only IPv6 space that is routed publicly, RFC 4291 section 2.4 and IANA's registry. */
const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * A policy that lets deliveries reach public unicast addresses only, and the networks named.
 * What is special follows the IANA IPv4 and IPv6 special-purpose address registries.
 *
 * @param allowedNetworks CIDRs that may be reached though they are not public
 */
export function makeAddressPolicy(allowedNetworks: string[]): AddressPolicy {
  const allowed = allowedNetworks.map((cidr) => ipaddr.parseCIDR(cidr));
  return (text) => {
    const normal = normalise(text);
    if (normal === null) return false;
    const address = ipaddr.process(normal);
    if (allowed.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits)))
      return true;
    return address.kind() === 'ipv4' ? address.range() === 'unicast' : isPublicV6(address as ipaddr.IPv6);
  };
}

/**
 * An address as the URL standard writes it; null where the text is none, or has a zone, which only local ones have.
 * As it stands, ipaddr.js would take `::8.8.8.8` for a mapped address.
 */
function normalise(text: string): string | null {
  if (!ipaddr.isValid(text)) return null;
  if (!text.includes(':')) return text;
  const url = `http://[${text}]`;
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : null;
}

function isPublicV6(address: ipaddr.IPv6): boolean {
  if (address.match(NAT64_LOCAL) || address.match(IPV4_COMPATIBLE) || address.match(DOCUMENTATION_V6)) return false;
  return address.range() === 'unicast' && address.match(GLOBAL_UNICAST_V6);
}
