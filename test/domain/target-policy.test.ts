import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeAddressPolicy } from '../../src/domain/address.ts';
import { DENIED_PORTS_DEFAULT, nameDeniedPort } from '../../src/domain/denied-ports.ts';
import { makeTargetPolicy, type TargetRules } from '../../src/domain/target-policy.ts';

const makePolicy = (rules: Partial<TargetRules> = {}) =>
  makeTargetPolicy({ allowedNetworks: [], allowedHosts: [], deniedPorts: null, ...rules });

const strict = makePolicy();
const findFault = (url: string, rules: Partial<TargetRules> = {}) => makePolicy(rules).findFault(new URL(url));

describe('the port of a URL', () => {
  it.each(['https://example.com/', 'http://example.com/', 'http://example.com:8080/', 'https://example.com:8443/'])(
    'may be that of %s',
    (url) => {
      expect(findFault(url)).toBeNull();
    },
  );

  it('may not be one that fetch blocks', async () => {
    const isAllowed = (port: number) => strict.findFault(new URL(`http://example.com:${port}/`)) === null;
    const blocksItself = async (port: number) => {
      const error = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1) }).catch(
        (reason) => reason,
      );
      return (error as Error).cause instanceof Error && ((error as Error).cause as Error).message === 'bad port';
    };
    expect(await blocksItself(9)).toBe(true);
    const allowed = Array.from({ length: 1_024 }, (_, port) => port).filter(isAllowed);
    const missing: number[] = [];
    for (const port of allowed) if (await blocksItself(port)) missing.push(port);
    expect(missing).toEqual([]);
    const above = [
      1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679,
    ];
    expect([...above, 6697, 10080].filter(isAllowed)).toEqual([]);
  });

  it.each([5432, 3306, 1433, 27017, 9200, 6379, 11211, 5672, 9092, 2375, 2376, 2379, 6443, 8500, 10250, 10255])(
    'may not be that of a database, cache, queue, or of what controls containers: %i',
    (port) => {
      const fault = findFault(`http://example.com:${port}/`);
      expect(fault).toContain(`port ${port} (${nameDeniedPort(port)})`);
      expect(fault).toContain('POSTHORN_DENIED_PORTS');
    },
  );

  it('is denied on every host, also one that is allowed', () => {
    const rules = { allowedNetworks: ['10.0.0.0/8'], allowedHosts: ['db.internal'] };
    for (const host of ['10.0.0.1', 'db.internal', '8.8.8.8', '[::1]']) {
      expect(findFault(`http://${host}:5432/`, rules)).toContain('port 5432');
    }
  });

  it('is denied by the list of the operator in place of the own one', () => {
    const rules = { deniedPorts: [80, 8443] };
    expect(findFault('http://example.com/', rules)).toContain('port 80');
    expect(findFault('https://example.com:8443/', rules)).toContain('port 8443');
    expect(findFault('https://example.com/', rules)).toBeNull();
    expect(findFault('http://example.com:5432/', rules)).toBeNull();
    expect(findFault('http://example.com:22/', { deniedPorts: [] })).toBeNull();
  });

  it('has a reason to be on the list, and those that webhooks are received on are not there', () => {
    for (const port of DENIED_PORTS_DEFAULT) expect(nameDeniedPort(port)).toMatch(/\w/);
    for (const port of [80, 443, 3000, 4000, 8000, 8080, 8443]) expect(DENIED_PORTS_DEFAULT).not.toContain(port);
  });
});

describe('the host of a URL', () => {
  it.each([
    'http://127.0.0.1/',
    'http://127.0.0.1./',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://017700000001/',
    'http://0177.0.0.1./',
    'http://0x7f.1/',
    'http://127.1/',
    'http://①②⑦.0.0.1/',
    'http://%31%32%37.0.0.1/',
    'http://127。0。0。1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[0:0:0:0:0:ffff:7f00:1]/',
    'http://169.254.169.254/',
    'http://[fd00:ec2::254]/',
    'http://168.63.129.16/',
    'http://localhost/',
    'http://LOCALHOST/',
    'http://localhost./',
    'http://ⓛocalhost/',
    'http://app.localhost/',
    'http://a.b.localhost./',
    'http://metadata.google.internal/',
    'http://metadata.google.internal./',
    'http://METADATA.google.INTERNAL/',
    'http://user@127.0.0.1/',
    'http://example.com@127.0.0.1/',
    'http://127.0.0.1#@example.com/',
    'http:\\\\127.0.0.1\\',
    'http:127.0.0.1',
  ])('is refused without a look-up: %s', (url) => {
    expect(findFault(url)).toMatch(/^Deliveries must not reach .*POSTHORN_ALLOWED_NETWORKS/);
  });

  it.each([
    'https://example.com/',
    'https://example.com./',
    'https://8.8.8.8/',
    'https://[2606:4700:4700::1111]/',
    'https://localhost.example.com/',
    'https://notlocalhost/',
    'https://127.0.0.1.example.com/',
    'https://metadata.google.internal.example.com/',
    'https://constructor/',
    'https://__proto__/',
  ])('has nothing against it as far as can be said without a look-up: %s', (url) => {
    expect(findFault(url)).toBeNull();
  });

  it.each(['http://[fe80::1%25eth0]/', 'http://[::1%eth0]/', 'http://[::1', 'http://256.1.1.1/', 'http://1.2.3.4.5/'])(
    'that no URL can have makes none: %s',
    (url) => {
      expect(URL.canParse(url)).toBe(false);
    },
  );
});

describe('a host that is allowed by name', () => {
  it.each([
    [['hooks.example.internal'], ['hooks.example.internal', 'HOOKS.example.internal', 'hooks.example.internal.']],
    [['Hooks.Example.Internal.'], ['hooks.example.internal']],
    [['*.example.internal'], ['hooks.example.internal', 'a.b.example.internal', 'a.example.internal.']],
    [['localhost'], ['localhost', 'localhost.']],
  ])('%j may lead anywhere: %j', (allowedHosts, hosts) => {
    const policy = makePolicy({ allowedHosts });
    for (const host of hosts) {
      expect(policy.findFault(new URL(`http://${host}/`))).toBeNull();
      expect(policy.mayConnect(host, '10.0.0.1')).toBe(true);
    }
  });

  it.each([
    [['hooks.example.internal'], ['example.internal', 'a.hooks.example.internal', 'xhooks.example.internal']],
    [['*.example.internal'], ['example.internal', '.example.internal', 'xexample.internal', 'a.example.internal.evil']],
    [['localhost'], ['a.localhost', 'localhost.evil']],
    [['constructor'], ['toString', '__proto__']],
  ])('%j opens nothing beside it: %j', (allowedHosts, hosts) => {
    const policy = makePolicy({ allowedHosts });
    for (const host of hosts) expect(policy.mayConnect(host, '10.0.0.1')).toBe(false);
  });

  it('still leads to what is public, as every other', () => {
    const policy = makePolicy({ allowedHosts: ['hooks.internal'] });
    expect(policy.mayConnect('example.com', '8.8.8.8')).toBe(true);
    expect(policy.mayConnect('hooks.internal', '8.8.8.8')).toBe(true);
  });
});

describe('a network that is allowed', () => {
  it('is known by the names that lead there', () => {
    expect(findFault('http://localhost:8080/', { allowedNetworks: ['127.0.0.0/8'] })).toBeNull();
    expect(findFault('http://localhost:8080/', { allowedNetworks: ['::1/128'] })).toBeNull();
    expect(findFault('http://localhost:8080/', { allowedNetworks: ['10.0.0.0/8'] })).not.toBeNull();
    expect(findFault('http://metadata.google.internal/', { allowedNetworks: ['169.254.0.0/16'] })).toBeNull();
  });
});

describe('the message', () => {
  it('does not tell where a name leads', () => {
    expect(findFault('http://localhost/')).not.toMatch(/127|::1/);
    expect(findFault('http://metadata.google.internal/')).not.toContain('169.254');
  });
});

describe('any URL', () => {
  const isPublic = makeAddressPolicy([]);
  const host = fc.oneof(
    fc.ipV4(),
    fc.ipV4Extended(),
    fc.ipV6().map((text) => `[${text}]`),
    fc.integer({ min: 0, max: 0xffffffff }).map(String),
    fc.integer({ min: 0x7f000000, max: 0x7fffffff }).map((number) => `0x${number.toString(16)}`),
    fc.ipV4().map((text) => `[::ffff:${text}]`),
    fc.ipV4().map((text) => `[64:ff9b::${text}]`),
    fc.domain(),
    fc.string(),
  );
  const url = fc
    .tuple(
      fc.constantFrom('http', 'https'),
      fc.constantFrom('', 'a@', 'a:b@'),
      host,
      fc.constantFrom('', '.'),
      fc.constantFrom('', ':80', ':8080', ':5432', ':022'),
    )
    .map(([scheme, user, name, dot, port]) => `${scheme}://${user}${name}${dot}${port}/`);

  it('that gets through has a port that is not denied, and where its host is an address, a public one', () => {
    let through = 0;
    const property = fc.property(fc.oneof(url, fc.webUrl()), (text) => {
      if (!URL.canParse(text)) return;
      const parsed = new URL(text);
      if (strict.findFault(parsed) !== null) return;
      through += 1;
      const name = parsed.hostname.replace(/^\[|\]$/g, '');
      expect(DENIED_PORTS_DEFAULT).not.toContain(Number(parsed.port || 80));
      if (isIP(name)) expect([name, isPublic(name)]).toEqual([name, true]);
    });
    fc.assert(property, { numRuns: 5_000 });
    expect(through).toBeGreaterThan(500);
  });
});
