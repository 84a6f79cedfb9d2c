import { mkdir, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { NameResolver, TTL_SECONDS_MAX } from '../../src/deliver/name-resolver.ts';
import { completeName, parseHosts, parseSearchRules } from '../../src/deliver/resolver-files.ts';
import { useNameServer } from '../support/name-server.ts';

const server = useNameServer();
const second = useNameServer();
let folder: string;
const resolvers: NameResolver[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'posthorn-names-'));
});

afterEach(() => {
  for (const resolver of resolvers.splice(0)) resolver.close();
});

afterAll(() => rm(folder, { recursive: true }));

let count = 0;
let now = 0;

/** A resolver that asks the test's name server, with such files. */
async function makeResolver({ hosts = '', resolvConf = '' } = {}) {
  count += 1;
  const [hostsPath, resolvConfPath] = [join(folder, `hosts-${count}`), join(folder, `resolv-${count}.conf`)];
  await writeFile(hostsPath, hosts);
  await writeFile(resolvConfPath, resolvConf);
  const resolver = new NameResolver({ servers: [server.address], hostsPath, resolvConfPath, now: () => now });
  resolvers.push(resolver);
  return resolver;
}

const addressesOf = async (resolver: NameResolver, name: string) =>
  (await resolver.resolve(name)).map(({ address }) => address);

describe('a name', () => {
  it('leads to its addresses of both IP versions, IPv4 first', async () => {
    server.answer = () => ({ addresses: ['2001:db8:0:0:0:0:0:1', '192.0.2.1', '192.0.2.2'] });
    expect(await (await makeResolver()).resolve('hooks.example.com')).toEqual([
      { address: '192.0.2.1', family: 4 },
      { address: '192.0.2.2', family: 4 },
      { address: '2001:db8::1', family: 6 },
    ]);
  });

  it('has the addresses of one IP version if nothing is answered for the other', async () => {
    for (const wanted of ['A', 'AAAA']) {
      server.answer = ({ type }) => (type === wanted ? { addresses: ['192.0.2.1', '::1'] } : 'never');
      expect(await addressesOf(await makeResolver(), 'half.example.com')).toEqual([
        wanted === 'A' ? '192.0.2.1' : '::1',
      ]);
    }
  });

  it('with a thousand addresses, in an answer over TCP, leads to the first eight', async () => {
    const addresses = Array.from({ length: 1_000 }, (_, index) => `192.0.${index >> 8}.${index & 255}`);
    server.answer = () => ({ addresses, isTruncated: true });
    expect(await addressesOf(await makeResolver(), 'huge.example.com')).toHaveLength(8);
    expect(server.questions.some(({ isTcp }) => isTcp)).toBe(true);
  });

  it('that is an address, localhost, or in the hosts file is not asked for', async () => {
    const hosts =
      '# comment\n192.0.2.7 Internal.Example alias # more\n::1 internal.example\nnonsense internal.example\n';
    const resolver = await makeResolver({ hosts });
    expect(await addressesOf(resolver, '192.0.2.9')).toEqual(['192.0.2.9']);
    expect(await addressesOf(resolver, '::1')).toEqual(['::1']);
    for (const name of ['localhost', 'LOCALHOST.', 'app.localhost']) {
      expect(await addressesOf(resolver, name)).toEqual(['127.0.0.1', '::1']);
    }
    for (const name of ['internal.example', 'INTERNAL.example.']) {
      expect(await addressesOf(resolver, name)).toEqual(['192.0.2.7', '::1']);
    }
    expect(await addressesOf(resolver, 'alias')).toEqual(['192.0.2.7']);
    await expect(resolver.resolve('nowhere.invalid')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(server.questions).toEqual([]);
  });

  it('is completed by the search domains, as containers need it', async () => {
    server.answer = ({ name }) =>
      name === 'hooks.default.svc.cluster.local' ? { addresses: ['192.0.2.1'] } : { code: 'NXDOMAIN' };
    const resolvConf = 'search default.svc.cluster.local svc.cluster.local\noptions ndots:5 timeout:1\n';
    const resolver = await makeResolver({ resolvConf });
    expect(await addressesOf(resolver, 'hooks')).toEqual(['192.0.2.1']);
    expect(await addressesOf(resolver, 'hooks.default')).toEqual(['192.0.2.1']);
    await expect(resolver.resolve('hooks.')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(server.of('hooks')).toHaveLength(2);
  });

  it('is found as it is although the server of a search domain fails', async () => {
    server.answer = ({ name }) => (name === 'hooks.example.com' ? { addresses: ['192.0.2.1'] } : { code: 'SERVFAIL' });
    const resolver = await makeResolver({ resolvConf: 'search broken.example\noptions ndots:5\n' });
    expect(await addressesOf(resolver, 'hooks.example.com')).toEqual(['192.0.2.1']);
    await expect(resolver.resolve('other.example.com')).rejects.toMatchObject({ code: 'ESERVFAIL' });
  });

  it('has its IPv4 addresses also if they are found later than those of IPv6', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    server.answer = async ({ type }) => {
      if (type === 'AAAA') setTimeout(open, 300);
      else await gate;
      return { addresses: ['192.0.2.1', '2001:db8:0:0:0:0:0:1'] };
    };
    expect(await addressesOf(await makeResolver(), 'hooks.example.com')).toEqual(['192.0.2.1', '2001:db8::1']);
  });

  it.each([
    ['a name that does not exist', { code: 'NXDOMAIN' }, 'ENOTFOUND'],
    ['a name without addresses', { addresses: [] }, 'ENODATA'],
    ['a server that fails', { code: 'SERVFAIL' }, 'ESERVFAIL'],
    ['a server that refuses', { code: 'REFUSED' }, 'EREFUSED'],
  ] as const)('fails with a code for %s', async (_, answer, code) => {
    server.answer = () => answer as never;
    const failure = (await makeResolver()).resolve('hooks.example.com');
    await expect(failure).rejects.toMatchObject({ name: 'LookupError', code, isServerAway: false });
  });

  it.each([['SERVFAIL'], ['REFUSED'], ['never']] as const)(
    'is asked of the next name server if the first answers %s',
    async (answer) => {
      server.answer = () => (answer === 'never' ? answer : { code: answer });
      second.answer = () => ({ addresses: ['192.0.2.1'] });
      const resolver = new NameResolver({ servers: [server.address, second.address] });
      resolvers.push(resolver);
      expect(await addressesOf(resolver, 'hooks.example.com')).toEqual(['192.0.2.1']);
    },
  );

  it('fails in a way that can be told apart if no name server can be reached', async () => {
    const resolver = new NameResolver({ servers: ['127.0.0.1:1'] });
    await expect(resolver.resolve('hooks.example.com')).rejects.toMatchObject({ isServerAway: true });
  });

  it('whose server never answers fails after a limit, while others are resolved', async () => {
    server.answer = ({ name }) => (name === 'silent.example.com' ? 'never' : { addresses: ['192.0.2.1'] });
    const resolver = await makeResolver();
    const order: string[] = [];
    const silent = resolver.resolve('silent.example.com').catch(({ code }) => order.push(code));
    const others = Array.from({ length: 200 }, (_, index) => resolver.resolve(`healthy-${index}.example.com`));
    await Promise.all(others).then(() => order.push('others'));
    await silent;
    expect(order).toEqual(['others', 'ETIMEOUT']);
  }, 15_000);
});

describe('a result', () => {
  it('is shared by everyone who asks meanwhile', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    server.answer = async () => {
      await gate;
      return { addresses: ['192.0.2.1'] };
    };
    const resolver = await makeResolver();
    const lookups = Array.from({ length: 50 }, () => addressesOf(resolver, 'hooks.example.com'));
    open();
    expect(new Set((await Promise.all(lookups)).flat())).toEqual(new Set(['192.0.2.1']));
    expect(server.questions).toHaveLength(2);
  });

  it.each([
    ['as long as its records say', 30, 30],
    ['a second at least', 0, 1],
    ['a minute at most', 86_400, TTL_SECONDS_MAX],
  ])('is kept for %s', async (_, ttl, seconds) => {
    let addresses = ['192.0.2.1'];
    server.answer = () => ({ addresses, ttl });
    const resolver = await makeResolver();
    expect(await addressesOf(resolver, 'hooks.example.com')).toEqual(['192.0.2.1']);
    addresses = ['192.0.2.2'];
    now += seconds * 1_000 - 100;
    expect(await addressesOf(resolver, 'hooks.example.com')).toEqual(['192.0.2.1']);
    now += 200;
    expect(await addressesOf(resolver, 'hooks.example.com')).toEqual(['192.0.2.2']);
  });

  it('that is a failure is kept for two seconds', async () => {
    const resolver = await makeResolver();
    await expect(resolver.resolve('hooks.example.com')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    server.answer = () => ({ addresses: ['192.0.2.1'] });
    await expect(resolver.resolve('hooks.example.com')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    now += 2_100;
    expect(await addressesOf(resolver, 'hooks.example.com')).toEqual(['192.0.2.1']);
  });
});

describe('the files of the system', () => {
  it('are read again later if they could not be read', async () => {
    const resolver = await makeResolver();
    const hostsPath = join(folder, `hosts-${count}`);
    await rm(hostsPath);
    await mkdir(hostsPath);
    await expect(resolver.resolve('internal.example')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    const { mtime } = await stat(hostsPath);
    await rm(hostsPath, { recursive: true });
    await writeFile(hostsPath, '192.0.2.7 internal.example\n');
    await utimes(hostsPath, mtime, mtime);
    await expect
      .poll(() => {
        now += 6_000;
        return addressesOf(resolver, 'internal.example').catch(() => []);
      })
      .toEqual(['192.0.2.7']);
  });

  it('are read as the C library reads them', () => {
    expect(parseSearchRules('domain a.example\nsearch b.example. c.example ; no\n#options ndots:3\n')).toEqual({
      domains: ['b.example', 'c.example'],
      ndots: 1,
    });
    expect(parseSearchRules('options ndots:99 rotate\noptions ndots:x\n')).toEqual({ domains: [], ndots: 15 });
    expect(parseHosts('127.0.0.1\tlocalhost\n\n256.0.0.1 bad\n').get('localhost')).toEqual(['127.0.0.1']);
    expect(completeName('a.b', { domains: ['x', 'y'], ndots: 1 })).toEqual(['a.b', 'a.b.x', 'a.b.y']);
    expect(completeName('a', { domains: ['x', 'y'], ndots: 1 })).toEqual(['a.x', 'a.y', 'a']);
    expect(completeName('a.', { domains: ['x', 'y'], ndots: 1 })).toEqual(['a']);
  });
});
