import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeAddressPolicy } from '../../src/domain/address.ts';

const isPublic = makeAddressPolicy([]);

/** IANA IPv4 Special-Purpose Address Registry and IPv4 multicast: first and last address of each network. */
const SPECIAL_V4: [string, string, string][] = [
  ['this network, RFC 791', '0.0.0.0', '0.255.255.255'],
  ['private use, RFC 1918', '10.0.0.0', '10.255.255.255'],
  ['shared address space, RFC 6598', '100.64.0.0', '100.127.255.255'],
  ['loopback, RFC 1122', '127.0.0.0', '127.255.255.255'],
  ['link-local, RFC 3927', '169.254.0.0', '169.254.255.255'],
  ['cloud metadata', '169.254.169.254', '169.254.170.2'],
  ["Azure's platform", '168.63.129.16', '168.63.129.16'],
  ['private use, RFC 1918', '172.16.0.0', '172.31.255.255'],
  ['IETF protocol assignments, RFC 6890', '192.0.0.0', '192.0.0.255'],
  ['documentation, RFC 5737', '192.0.2.0', '192.0.2.255'],
  ['6to4 relay anycast, RFC 7526', '192.88.99.0', '192.88.99.255'],
  ['private use, RFC 1918', '192.168.0.0', '192.168.255.255'],
  ['benchmarking, RFC 2544', '198.18.0.0', '198.19.255.255'],
  ['documentation, RFC 5737', '198.51.100.0', '198.51.100.255'],
  ['documentation, RFC 5737', '203.0.113.0', '203.0.113.255'],
  ['multicast, RFC 5771', '224.0.0.0', '239.255.255.255'],
  ['AS112, RFC 7535', '192.31.196.0', '192.31.196.255'],
  ['AMT relays, RFC 7450', '192.52.193.0', '192.52.193.255'],
  ['AS112, RFC 7534', '192.175.48.0', '192.175.48.255'],
  ['reserved, RFC 1112', '240.0.0.0', '255.255.255.254'],
  ['limited broadcast, RFC 8190', '255.255.255.255', '255.255.255.255'],
];

/** IANA IPv6 Special-Purpose Address Registry, and what is not global unicast at all. */
const SPECIAL_V6: [string, string, string][] = [
  ['unspecified', '::', '0:0:0:0:0:0:0:0'],
  ['loopback', '::1', '0:0:0:0:0:0:0:1'],
  ['IPv4-compatible of a private address', '::a00:1', '::10.0.0.1'],
  ['IPv4-compatible of a public address', '::808:808', '0:0:0:0:0:0:808:808'],
  ['IPv4-compatible, RFC 4291', '::', '::ffff:ffff'],
  ['mapped twice', '::ffff:0:0:ffff', '::1:ffff:7f00:1'],
  ['SIIT, RFC 2765', '::ffff:0:0:0', '::ffff:0:ffff:ffff'],
  ['SIIT of loopback', '::ffff:0:7f00:1', '::ffff:0:127.0.0.1'],
  ['NAT64, RFC 6052', '64:ff9b::', '64:ff9b::ffff:ffff'],
  ['NAT64, RFC 6052, of a private address', '64:ff9b::a00:1', '64:ff9b::10.0.0.1'],
  ['NAT64, RFC 6052, of loopback', '64:ff9b::7f00:1', '64:ff9b::127.0.0.1'],
  ['NAT64, RFC 6052, of cloud metadata', '64:ff9b::a9fe:a9fe', '64:ff9b::169.254.169.254'],
  ['NAT64 of local choice, RFC 8215', '64:ff9b:1::', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
  ['discard only, RFC 6666', '100::', '100::ffff:ffff:ffff:ffff'],
  ['dummy prefix, RFC 9780', '100:0:0:1::', '100:0:0:1:ffff:ffff:ffff:ffff'],
  ['Teredo, RFC 4380', '2001::', '2001:0:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['IETF protocol assignments, RFC 2928', '2001::', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['AMT, RFC 7450', '2001:3::', '2001:3:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['AS112, RFC 7535', '2001:4:112::', '2001:4:112:ffff:ffff:ffff:ffff:ffff'],
  ['benchmarking, RFC 5180', '2001:2::', '2001:2:0:ffff:ffff:ffff:ffff:ffff'],
  ['ORCHID, RFC 4843', '2001:10::', '2001:1f:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['ORCHIDv2, RFC 7343', '2001:20::', '2001:2f:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['documentation, RFC 3849', '2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['6to4, RFC 3056, of loopback', '2002:7f00:1::', '2002:7f00:1::1'],
  ['6to4, RFC 3056', '2002::', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['ISATAP, RFC 5214, of a private address', '2606:4700::5efe:a00:1', '2606:4700::200:5efe:10.0.0.1'],
  ['ISATAP, RFC 5214, of a public address', '2606:4700::5efe:808:808', '2606:4700::300:5efe:8.8.8.8'],
  ['AS112, RFC 7534', '2620:4f:8000::', '2620:4f:8000:ffff:ffff:ffff:ffff:ffff'],
  ['documentation, RFC 9637', '3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['not handed out', '1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '4000::'],
  ['not handed out', '5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '6000::'],
  ['not handed out', 'e000::', 'fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['not handed out', 'fe00::', 'fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
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
  '168.63.129.15',
  '168.63.129.17',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '191.255.255.255',
  '192.0.1.0',
  '192.0.1.255',
  '192.0.3.0',
  '192.31.195.255',
  '192.31.197.0',
  '192.52.192.255',
  '192.52.194.0',
  '192.88.98.255',
  '192.88.100.0',
  '192.167.255.255',
  '192.169.0.0',
  '192.175.47.255',
  '192.175.49.0',
  '198.17.255.255',
  '198.20.0.0',
  '198.51.99.255',
  '198.51.101.0',
  '203.0.112.255',
  '203.0.114.0',
  '223.255.255.255',
  '2000::',
  '2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  '2001:200::',
  '2001:200::1',
  '2001:4860:4860::8888',
  '2001:db7:ffff:ffff:ffff:ffff:ffff:ffff',
  '2001:db9::',
  '2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  '2003::',
  '2400:cb00::1',
  '2606:4700:4700::1111',
  '2606:4700::5eff:a00:1',
  '2606:4700::400:5efe:a00:1',
  '2620:4f:7fff:ffff:ffff:ffff:ffff:ffff',
  '2620:4f:8001::',
  '2A00:1450:4001:82A::200E',
  '3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  '3fff:1000::',
  '3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
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
    '1.1.1.1.',
    '2606:4700:4700::1111%eth0',
    '[::1]',
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

/** An IPv4 address by its number. */
const toText = (number: number) => [24, 16, 8, 0].map((bits) => (number >>> bits) & 255).join('.');

/** A part of an address as inet_aton reads it: decimal, hexadecimal in both letters, or octal. */
const NOTATIONS = [
  (part: number) => String(part),
  (part: number) => `0x${part.toString(16)}`,
  (part: number) => `0X${part.toString(16).toUpperCase()}`,
  (part: number) => `0${part.toString(8)}`,
];

/** An IPv4 address in 1 to 4 parts, of which the last takes what is left, each in a notation of its own. */
const notation = fc.record({
  number: fc.integer({ min: 0, max: 0xffffffff }),
  parts: fc.integer({ min: 1, max: 4 }),
  styles: fc.array(fc.constantFrom(...NOTATIONS), { minLength: 4, maxLength: 4 }),
});

function write({ number, parts, styles }: { number: number; parts: number; styles: ((part: number) => string)[] }) {
  const octets = toText(number).split('.').map(Number);
  const last = octets.slice(parts - 1).reduce((sum, octet) => sum * 256 + octet, 0);
  return [...octets.slice(0, parts - 1), last]
    .map((part, index) => (styles[index] as (part: number) => string)(part))
    .join('.');
}

/** IPv6 addresses that lead to an IPv4 address, or did once. */
const CARRIERS: [string, (v4: string) => string][] = [
  ['IPv4-compatible', (v4) => `::${v4}`],
  ['SIIT', (v4) => `::ffff:0:${v4}`],
  ['NAT64', (v4) => `64:ff9b::${v4}`],
  ['NAT64 of local choice', (v4) => `64:ff9b:1::${v4}`],
  ['6to4', (v4) => `2002:${toHex(v4)}::1`],
  ['Teredo', (v4) => `2001:0:4136:e378:8000:63bf:${toHex(invert(v4))}`],
  ['the server of Teredo', (v4) => `2001:0:${toHex(v4)}:8000:63bf:3fff:fdd2`],
  ['ISATAP', (v4) => `2606:4700:1:2:0:5efe:${toHex(v4)}`],
  ['ISATAP of a public address', (v4) => `2606:4700:1:2:200:5efe:${toHex(v4)}`],
  ['ISATAP, link-local', (v4) => `fe80::5efe:${v4}`],
];

/** Teredo writes the address of a client with every bit turned round. */
const invert = (v4: string) =>
  v4
    .split('.')
    .map((octet) => 255 - Number(octet))
    .join('.');

describe('any address', () => {
  const isSpecial = makeAddressPolicy(['10.0.0.0/8', '127.0.0.1/32', '64.0.0.0/2']);

  it('in any notation of IPv4 is what it is in four decimal parts', () => {
    const property = fc.property(notation, (given) => {
      for (const policy of [isPublic, isSpecial]) expect(policy(write(given))).toBe(policy(toText(given.number)));
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it('in any notation in a URL is what it is in four decimal parts', () => {
    const property = fc.property(notation, fc.constantFrom('', '.'), (given, dot) => {
      const { hostname } = new URL(`http://${write(given)}${dot}/`);
      expect(hostname).toBe(toText(given.number));
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it('mapped into IPv6 is what it is in IPv4', () => {
    const property = fc.property(fc.integer({ min: 0, max: 0xffffffff }), (number) => {
      const v4 = toText(number);
      for (const policy of [isPublic, isSpecial]) {
        for (const text of [`::ffff:${v4}`, `::FFFF:${toHex(v4)}`, `0:0:0:0:0:ffff:${toHex(v4)}`]) {
          expect(policy(text)).toBe(policy(v4));
        }
      }
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it.each(CARRIERS)('that carries an IPv4 address to a gateway is never public: %s', (_, carry) => {
    const property = fc.property(fc.integer({ min: 0, max: 0xffffffff }), (number) => {
      for (const policy of [isPublic, isSpecial]) expect(policy(carry(toText(number)))).toBe(false);
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('of IPv6 is the same in full, in short and in capitals', () => {
    const property = fc.property(
      fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }),
      (parts) => {
        const full = parts.map((part) => part.toString(16).padStart(4, '0')).join(':');
        const short = new URL(`http://[${full}]`).hostname.slice(1, -1);
        expect([isPublic(short), isPublic(full.toUpperCase())]).toEqual([isPublic(full), isPublic(full)]);
      },
    );
    fc.assert(property, { numRuns: 2_000 });
  });

  it('or any text gets an answer, and never a fault', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.ipV4Extended(),
      fc.ipV6(),
      fc.stringMatching(/^[0-9a-fx:.%[\]]*$/),
    );
    fc.assert(
      fc.property(text, (given) => {
        expect(typeof isPublic(given)).toBe('boolean');
      }),
      { numRuns: 2_000 },
    );
  });
});

/** The last 32 bits of an IPv6 address, for example `7f00:1`. */
function toHex(address: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
