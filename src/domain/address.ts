import ipaddr from 'ipaddr.js';

/** Tells whether deliveries may connect to an IP address. Never throws. */
export type AddressPolicy = (address: string) => boolean;

/** IPv4-compatible IPv6 addresses, deprecated by RFC 4291 section 2.5.5.1. */
const IPV4_COMPATIBLE = ipaddr.IPv6.parseCIDR('::/96');
/** The only IPv6 space that is routed publicly, RFC 4291 section 2.4 and IANA's registry. */
const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR('2000::/3');
/** Azure's platform: a public address that leads each virtual machine to what its host keeps for it. */
const AZURE_PLATFORM = ipaddr.IPv4.parseCIDR('168.63.129.16/32');

/**
 * A policy that lets deliveries reach public unicast addresses only, and the networks named.
 * What is special follows the IANA IPv4 and IPv6 special-purpose address registries. Addresses that carry an IPv4
 * address to a gateway (6to4, Teredo, ISATAP, NAT64, SIIT, IPv4-compatible) are never public; the mapped form of an
 * IPv4 address is that address.
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
    return address.kind() === 'ipv4' ? isPublicV4(address as ipaddr.IPv4) : isPublicV6(address as ipaddr.IPv6);
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

const isPublicV4 = (address: ipaddr.IPv4): boolean => address.range() === 'unicast' && !address.match(AZURE_PLATFORM);

function isPublicV6(address: ipaddr.IPv6): boolean {
  if (address.match(IPV4_COMPATIBLE) || isIsatap(address)) return false;
  return address.range() === 'unicast' && address.match(GLOBAL_UNICAST_V6);
}

/** RFC 5214 section 6.1: `00-00-5E-FE` stands before the IPv4 address, with two bits that may be set. */
const isIsatap = ({ parts }: ipaddr.IPv6): boolean => ((parts[4] as number) & 0xfcff) === 0 && parts[5] === 0x5efe;
