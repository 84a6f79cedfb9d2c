import { describe, expect, it } from 'vitest';
import { makeAddressPolicy } from '../../src/domain/address.ts';

const isPublic = makeAddressPolicy([]);

/** IANA IPv4 Special-Purpose Address Registry and IPv4 multicast: first and last address of each network. */
const SPECIAL_V4: [string, string, string][] = [
  ['this network, RFC 791', '0.0.0.0', '0.255.255.255'],
  ['private use, RFC 1918', '10.0.0.0', '10.255.255.255'],
  ['shared address space, RFC 6598', '100.64.0.0', '100.127.255.255'],
  ['loopback, RFC 1122', '127.0.0.0', '127.255.255.255'],
  ['link-local and cloud metadata, RFC 3927', '169.254.0.0', '169.254.169.254'],
  ['private use, RFC 1918', '172.16.0.0', '172.31.255.255'],
  ['IETF protocol assignments, RFC 6890', '192.0.0.0', '192.0.0.255'],
  ['documentation, RFC 5737', '192.0.2.0', '192.0.2.255'],
  ['6to4 relay anycast, RFC 7526', '192.88.99.0', '192.88.99.255'],
  ['private use, RFC 1918', '192.168.0.0', '192.168.255.255'],
  ['benchmarking, RFC 2544', '198.18.0.0', '198.19.255.255'],
  ['documentation, RFC 5737', '198.51.100.0', '198.51.100.255'],
  ['documentation, RFC 5737', '203.0.113.0', '203.0.113.255'],
  ['multicast, RFC 5771', '224.0.0.0', '239.255.255.255'],
  ['reserved, RFC 1112', '240.0.0.0', '255.255.255.254'],
  ['limited broadcast, RFC 8190', '255.255.255.255', '255.255.255.255'],
];

/** IANA IPv6 Special-Purpose Address Registry, and what is not global unicast at all. */
const SPECIAL_V6: [string, string, string][] = [
  ['unspecified', '::', '0:0:0:0:0:0:0:0'],
  ['loopback', '::1', '0:0:0:0:0:0:0:1'],
  ['IPv4-compatible of a private address', '::a00:1', '::10.0.0.1'],
  ['IPv4-compatible of a public address', '::808:808', '0:0:0:0:0:0:808:808'],
  ['IPv4-translated, RFC 2765', '::ffff:0:0:0', '::ffff:0:7f00:1'],
  ['NAT64, RFC 6052, of a private address', '64:ff9b::a00:1', '64:ff9b::10.0.0.1'],
  ['NAT64, RFC 6052, of loopback', '64:ff9b::7f00:1', '64:ff9b::127.0.0.1'],
  ['NAT64, RFC 6052, of cloud metadata', '64:ff9b::a9fe:a9fe', '64:ff9b::169.254.169.254'],
  ['NAT64 of local choice, RFC 8215', '64:ff9b:1::', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
  ['discard only, RFC 6666', '100::', '100::ffff:ffff:ffff:ffff'],
  ['dummy prefix, RFC 9780', '100:0:0:1::', '100:0:0:1:ffff:ffff:ffff:ffff'],
  ['Teredo, RFC 4380', '2001::', '2001:0:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['benchmarking, RFC 5180', '2001:2::', '2001:2:0:ffff:ffff:ffff:ffff:ffff'],
  ['ORCHID, RFC 4843', '2001:10::', '2001:1f:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['ORCHIDv2, RFC 7343', '2001:20::', '2001:2f:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['documentation, RFC 3849', '2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['6to4, RFC 3056, of loopback', '2002:7f00:1::', '2002:7f00:1::1'],
  ['documentation, RFC 9637', '3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['not handed out', '4000::', '5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['segment routing, RFC 9602', '5f00::', '5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['unique local, RFC 4193', 'fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['link-local, RFC 4291', 'fe80::', 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['link-local with a zone', 'fe80::1%eth0', 'fe80::1%1'],
  ['site-local, RFC 3879', 'fec0::', 'feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['multicast, RFC 4291', 'ff00::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
];

/** Public addresses, many of them right beside a special network. */
const PUBLIC = [
  '1.0.0.0',
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.0',
  '192.0.3.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '203.0.112.255',
  '203.0.114.0',
  '223.255.255.255',
  '2001:200::1',
  '2001:4860:4860::8888',
  '2001:db7:ffff::1',
  '2001:db9::1',
  '2003::1',
  '2400:cb00::1',
  '2606:4700:4700::1111',
  '2A00:1450:4001:82A::200E',
];

describe('without allowed networks', () => {
  it.each([...SPECIAL_V4, ...SPECIAL_V6])('deliveries do not reach %s: %s to %s', (_, first, last) => {
    expect([first, last].filter(isPublic)).toEqual([]);
  });

  it.each(SPECIAL_V4)('nor the same written as IPv4 in IPv6: %s: %s to %s', (_, first, last) => {
    const addresses = [first, last].flatMap((address) => [`::ffff:${address}`, `::FFFF:${toHex(address)}`]);
    expect(addresses.filter(isPublic)).toEqual([]);
  });

  it.each(PUBLIC)('deliveries reach the public address %s', (address) => {
    expect(isPublic(address)).toBe(true);
  });

  it('deliveries reach a public IPv4 address that is written as IPv6', () => {
    expect(isPublic('::ffff:8.8.8.8')).toBe(true);
    expect(isPublic('::ffff:808:808')).toBe(true);
  });

  it('an IPv4-compatible address is the same in both ways to write it', () => {
    expect(isPublic('::808:808')).toBe(false);
    expect(isPublic('::8.8.8.8')).toBe(false);
  });

  it.each(['127.1', '2130706433', '0x7f000001', '017700000001', '0x7f.1', '0177.0.0.1', '10.1'])(
    'deliveries do not reach a special address in the ways of old: %s',
    (address) => {
      expect(isPublic(address)).toBe(false);
    },
  );

  it.each([
    '',
    'localhost',
    'example.com',
    '[2606:4700:4700::1111]',
    '256.1.1.1',
    '1.1.1.1/32',
    '1.1.1.1:80',
    ':::1',
    '2606:4700:4700::01111',
    '::ffff:08.8.8.8',
  ])('what is no address is not reached: %j', (text) => {
    expect(isPublic(text)).toBe(false);
  });
});

describe('allowed networks', () => {
  it.each([
    ['10.0.0.0/8', ['10.0.0.1', '10.255.255.255', '::ffff:10.0.0.1'], ['172.16.0.1', '192.168.0.1']],
    ['10.1.2.3/32', ['10.1.2.3'], ['10.1.2.2', '10.1.2.4']],
    ['127.0.0.0/8', ['127.0.0.1', '127.1'], ['::1', '10.0.0.1', '0.0.0.0']],
    ['::1/128', ['::1', '0:0:0:0:0:0:0:1'], ['::', '::2', '127.0.0.1']],
    ['fd00::/8', ['fd00::1', 'fdff::1'], ['fc00::1', 'fe80::1']],
    ['169.254.169.254/32', ['169.254.169.254'], ['169.254.169.253']],
    ['64:ff9b::/96', ['64:ff9b::a00:1'], ['10.0.0.1', '64:ff9b:1::1']],
    ['0.0.0.0/0', ['127.0.0.1', '255.255.255.255'], ['::1', 'fd00::1']],
    ['::/0', ['::1', 'fd00::1'], ['127.0.0.1', '10.0.0.1']],
  ])('%s opens itself and nothing beside it', (network, reached, blocked) => {
    const isAllowed = makeAddressPolicy([network]);
    expect(reached.filter((address) => !isAllowed(address))).toEqual([]);
    expect(blocked.filter(isAllowed)).toEqual([]);
  });

  it('add up, and take nothing from the public', () => {
    const isAllowed = makeAddressPolicy(['10.0.0.0/8', '::1/128']);
    expect(['10.0.0.1', '::1', '8.8.8.8', '2606:4700:4700::1111'].filter((address) => !isAllowed(address))).toEqual([]);
    expect(['192.168.0.1', 'fd00::1'].filter(isAllowed)).toEqual([]);
  });

  it('that are none are refused at once', () => {
    expect(() => makeAddressPolicy(['10.0.0.0'])).toThrow();
  });
});

/** The last 32 bits of an IPv6 address, for example `7f00:1`. */
function toHex(address: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
