import { afterEach, describe, expect, it, vi } from 'vitest';
import { ENCRYPTION_KEY_BYTES, ROOT_KEY_MIN_CHARS, readConfig, readProcessConfig } from '../src/config.ts';
import { makeAddressPolicy } from '../src/domain/address.ts';
import { makeTargetPolicy } from '../src/domain/target-policy.ts';
import { StartupError } from '../src/errors.ts';

const DATABASE_URL = 'postgresql://user:password@db:5432/posthorn';
const POSTHORN_ROOT_KEY = 'r'.repeat(ROOT_KEY_MIN_CHARS);
const POSTHORN_ENCRYPTION_KEY = Buffer.alloc(ENCRYPTION_KEY_BYTES, 7).toString('base64');
const OLD_KEYS = [8, 9].map((byte) => Buffer.alloc(ENCRYPTION_KEY_BYTES, byte).toString('base64'));
const KEYS = { POSTHORN_ROOT_KEY, POSTHORN_ENCRYPTION_KEY };

/** The message with which a configuration is refused; null: it is taken. */
function findFault(env: Record<string, string | undefined>): string | null {
  try {
    readConfig(env);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    return (error as StartupError).message;
  }
}

describe('with nothing set', () => {
  const DEFAULTS = {
    databaseUrl: null,
    directDatabaseUrl: null,
    databaseWaitMs: 60_000,
    databaseConnections: 12,
    migrates: true,
    dataDir: '.posthorn',
    host: '127.0.0.1',
    port: 4000,
    rootKey: null,
    encryptionKey: null,
    oldEncryptionKeys: [],
    proxyUrl: null,
    dnsServers: null,
    allowedNetworks: ['127.0.0.0/8', '::1/128'],
    allowedHosts: [],
    deniedPorts: null,
    role: 'all',
    production: false,
    logLevel: 'info',
    shutdownTimeoutMs: 20_000,
    retentionDays: 30,
    disableFailingAfterMs: 432_000_000,
    connectionsPerKeyMax: 2_000,
    subscriptionsPerKeyMax: 5_000,
    complexityMax: 50_000,
    operationTimeoutMs: 30_000,
    requestTimeoutMs: 60_000,
    requestsPerSecondMax: 1_000,
    trustedProxies: 0,
    corsOrigins: ['*'],
    embedOrigins: [],
    introspection: true,
    behindTls: false,
  };

  it('the defaults are those of a first try: embedded Postgres, loopback may be reached', () => {
    expect(readConfig({})).toEqual(DEFAULTS);
  });

  it('a variable that is empty counts as not set', () => {
    const names = ['DATABASE_URL', 'PORT', 'HOST', 'NODE_ENV'];
    const sealed = ['ROOT_KEY', 'ENCRYPTION_KEY', 'OLD_ENCRYPTION_KEYS', 'PROXY_URL'];
    const own = [...sealed, 'ALLOWED_NETWORKS', 'ALLOWED_HOSTS', 'DENIED_PORTS', 'ROLE', 'DATA_DIR', 'LOG_LEVEL'];
    const empty = [...names, ...own.map((name) => `POSTHORN_${name}`)].map((name) => [name, '']);
    expect(readConfig(Object.fromEntries(empty))).toEqual(DEFAULTS);
  });

  it('variables of others are left alone', () => {
    expect(readConfig({ PATH: '/bin', SOMETHING: 'x', NODE_ENV: 'test', HOME: undefined })).toEqual(DEFAULTS);
  });
});

describe('a direct URL beside that of a pooler', () => {
  const POSTHORN_DIRECT_DATABASE_URL = 'postgresql://user:password@db:5433/posthorn';

  it('is taken', () => {
    const config = readConfig({ ...KEYS, DATABASE_URL, POSTHORN_DIRECT_DATABASE_URL });
    expect(config).toMatchObject({ databaseUrl: DATABASE_URL, directDatabaseUrl: POSTHORN_DIRECT_DATABASE_URL });
  });

  it('is refused alone, and where it is no URL of Postgres', () => {
    expect(findFault({ ...KEYS, POSTHORN_DIRECT_DATABASE_URL })).toContain('beside DATABASE_URL');
    const fault = findFault({ ...KEYS, DATABASE_URL, POSTHORN_DIRECT_DATABASE_URL: 'http://db' });
    expect(fault).toContain('POSTHORN_DIRECT_DATABASE_URL must be a URL');
  });
});

describe('with everything set', () => {
  it('every value is taken', () => {
    const config = readConfig({
      DATABASE_URL,
      POSTHORN_DIRECT_DATABASE_URL: DATABASE_URL,
      PORT: '8080',
      HOST: '0.0.0.0',
      POSTHORN_ROOT_KEY,
      POSTHORN_ENCRYPTION_KEY,
      POSTHORN_OLD_ENCRYPTION_KEYS: ` ${OLD_KEYS.join(' , ')},`,
      POSTHORN_PROXY_URL: 'https://user:pass%20word@proxy.example:3128',
      POSTHORN_DNS_SERVERS: '10.0.0.53, 10.0.0.54:5353,[fd00::53]:53,fd00::54',
      POSTHORN_ALLOWED_NETWORKS: ' 10.0.0.0/8 , fd00::/8,',
      POSTHORN_ALLOWED_HOSTS: 'hooks.internal, *.example.internal',
      POSTHORN_DENIED_PORTS: '25, 5432',
      POSTHORN_ROLE: 'api',
      POSTHORN_DATA_DIR: '/var/lib/posthorn',
      POSTHORN_LOG_LEVEL: 'debug',
      POSTHORN_SHUTDOWN_TIMEOUT_MS: '500',
      POSTHORN_DATABASE_WAIT_MS: '5000',
      POSTHORN_DATABASE_CONNECTIONS: '20',
      POSTHORN_MIGRATE: 'off',
      POSTHORN_RETENTION_DAYS: '7',
      POSTHORN_DISABLE_FAILING_AFTER_DAYS: '3',
      POSTHORN_CONNECTIONS_PER_KEY: '10',
      POSTHORN_SUBSCRIPTIONS_PER_KEY: '20',
      POSTHORN_MAX_COMPLEXITY: '30',
      POSTHORN_OPERATION_TIMEOUT_MS: '4000',
      POSTHORN_REQUEST_TIMEOUT_MS: '5000',
      POSTHORN_REQUESTS_PER_SECOND: '60',
      POSTHORN_TRUST_PROXY: '2',
      POSTHORN_CORS_ORIGINS: 'https://app.example.com, http://localhost:3000',
      POSTHORN_EMBED_ORIGINS: 'https://product.example.com',
      POSTHORN_INTROSPECTION: 'on',
      POSTHORN_BEHIND_TLS: 'on',
      NODE_ENV: 'production',
    });
    expect(config).toEqual({
      databaseUrl: DATABASE_URL,
      directDatabaseUrl: DATABASE_URL,
      port: 8080,
      host: '0.0.0.0',
      rootKey: POSTHORN_ROOT_KEY,
      encryptionKey: new Uint8Array(ENCRYPTION_KEY_BYTES).fill(7),
      oldEncryptionKeys: [8, 9].map((byte) => new Uint8Array(ENCRYPTION_KEY_BYTES).fill(byte)),
      proxyUrl: 'https://user:pass%20word@proxy.example:3128',
      dnsServers: ['10.0.0.53', '10.0.0.54:5353', '[fd00::53]:53', 'fd00::54'],
      allowedNetworks: ['10.0.0.0/8', 'fd00::/8'],
      allowedHosts: ['hooks.internal', '*.example.internal'],
      deniedPorts: [25, 5432],
      role: 'api',
      databaseWaitMs: 5_000,
      databaseConnections: 20,
      migrates: false,
      dataDir: '/var/lib/posthorn',
      logLevel: 'debug',
      shutdownTimeoutMs: 500,
      retentionDays: 7,
      disableFailingAfterMs: 259_200_000,
      connectionsPerKeyMax: 10,
      subscriptionsPerKeyMax: 20,
      complexityMax: 30,
      operationTimeoutMs: 4_000,
      requestTimeoutMs: 5_000,
      requestsPerSecondMax: 60,
      trustedProxies: 2,
      corsOrigins: ['https://app.example.com', 'http://localhost:3000'],
      embedOrigins: ['https://product.example.com'],
      introspection: true,
      behindTls: true,
      production: true,
    });
  });

  it.each<Record<string, string>>([
    { PORT: '0' },
    { PORT: '65535' },
    { POSTHORN_ALLOWED_HOSTS: 'localhost' },
    { POSTHORN_ALLOWED_HOSTS: 'a_b.xn--caf-dma.example,*.local,10.example' },
    { POSTHORN_DENIED_PORTS: 'none' },
    { POSTHORN_DENIED_PORTS: '0,65535' },
    { POSTHORN_ROLE: 'all' },
    { POSTHORN_PROXY_URL: 'http://10.0.0.1:3128/' },
    { POSTHORN_PROXY_URL: 'http://[fd00::1]' },
    { POSTHORN_OLD_ENCRYPTION_KEYS: POSTHORN_ENCRYPTION_KEY },
    { POSTHORN_ROLE: 'worker' },
    { POSTHORN_LOG_LEVEL: 'silent' },
    { POSTHORN_SHUTDOWN_TIMEOUT_MS: '0' },
    { POSTHORN_DATABASE_WAIT_MS: '0' },
    { POSTHORN_DATABASE_CONNECTIONS: '2' },
    { POSTHORN_DATABASE_CONNECTIONS: '1000' },
    { ...KEYS, DATABASE_URL: 'postgresql://db/posthorn?schema=ph_1&sslmode=disable' },
    { POSTHORN_DATABASE_WAIT_MS: '3600000', POSTHORN_MIGRATE: 'on' },
    { POSTHORN_RETENTION_DAYS: '1' },
    { POSTHORN_DISABLE_FAILING_AFTER_DAYS: '1' },
    { POSTHORN_DISABLE_FAILING_AFTER_DAYS: 'off' },
    { POSTHORN_CONNECTIONS_PER_KEY: '1', POSTHORN_SUBSCRIPTIONS_PER_KEY: '1000000' },
    { POSTHORN_OPERATION_TIMEOUT_MS: '100', POSTHORN_REQUEST_TIMEOUT_MS: '600000' },
    { POSTHORN_MAX_COMPLEXITY: '1', POSTHORN_REQUESTS_PER_SECOND: '1000000', POSTHORN_TRUST_PROXY: '10' },
    { POSTHORN_CORS_ORIGINS: '*', POSTHORN_INTROSPECTION: 'off', POSTHORN_BEHIND_TLS: 'off' },
    { ...KEYS, DATABASE_URL: 'postgres://db/posthorn' },
  ])('%j is taken', (env) => {
    expect(findFault(env)).toBeNull();
  });
});

describe('a value that is wrong', () => {
  it.each([
    ['DATABASE_URL', 'mysql://db/posthorn', 'postgresql://user:password@host:5432/database'],
    ['DATABASE_URL', 'db:5432', 'postgresql://user:password@host:5432/database'],
    ['PORT', 'http', 'from 0 to 65535'],
    ['PORT', '-1', 'from 0 to 65535'],
    ['PORT', '65536', 'from 0 to 65535'],
    ['PORT', '80.5', 'from 0 to 65535'],
    ['PORT', ' 80', 'from 0 to 65535'],
    ['POSTHORN_ROOT_KEY', 'r'.repeat(31), 'openssl rand -hex 32'],
    ['POSTHORN_ENCRYPTION_KEY', 'short', 'openssl rand -base64 32'],
    ['POSTHORN_ENCRYPTION_KEY', Buffer.alloc(31).toString('base64'), 'openssl rand -base64 32'],
    ['POSTHORN_ENCRYPTION_KEY', Buffer.alloc(33).toString('base64'), 'openssl rand -base64 32'],
    ['POSTHORN_ENCRYPTION_KEY', Buffer.alloc(32).toString('hex'), 'openssl rand -base64 32'],
    ['POSTHORN_OLD_ENCRYPTION_KEYS', `${OLD_KEYS[0]},short`, 'separated by commas'],
    ['POSTHORN_OLD_ENCRYPTION_KEYS', OLD_KEYS.join(' '), 'separated by commas'],
    ['POSTHORN_OLD_ENCRYPTION_KEYS', Array(11).fill(OLD_KEYS[0]).join(), '10 at most'],
    ['POSTHORN_PROXY_URL', 'proxy:3128', 'http://user:password@host:port'],
    ['POSTHORN_PROXY_URL', 'socks5://proxy:1080', 'http://user:password@host:port'],
    ['POSTHORN_PROXY_URL', 'http://proxy:3128/path', 'without a path'],
    ['POSTHORN_PROXY_URL', 'http://proxy:3128?x', 'without a path'],
    ['POSTHORN_PROXY_URL', 'http://user:100%@proxy:3128', 'http://user:password@host:port'],
    ...['dns.example', '10.0.0.53:', '10.0.0.53:65536', '[10.0.0.53]:53', '[fd00::53]', ','].map(
      (servers): [string, string, string] => ['POSTHORN_DNS_SERVERS', servers, '10.0.0.53,[fd00::53]:5353'],
    ),
    ['POSTHORN_ALLOWED_NETWORKS', 'localhost', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ALLOWED_NETWORKS', '10.0.0.1', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ALLOWED_NETWORKS', '10.0.0.0/33', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ALLOWED_NETWORKS', '10.0.0.0/8 fd00::/8', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ALLOWED_NETWORKS', '10.0.0.0/8,fd00::/129', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ALLOWED_HOSTS', '10.0.0.1', 'POSTHORN_ALLOWED_NETWORKS'],
    ['POSTHORN_ALLOWED_HOSTS', '[::1]', 'POSTHORN_ALLOWED_NETWORKS'],
    ['POSTHORN_ALLOWED_HOSTS', '2130706433', 'POSTHORN_ALLOWED_NETWORKS'],
    ['POSTHORN_ALLOWED_HOSTS', '*', 'hooks.example.internal,*.example.internal'],
    ['POSTHORN_ALLOWED_HOSTS', '*.', 'hooks.example.internal,*.example.internal'],
    ['POSTHORN_ALLOWED_HOSTS', 'a.*.internal', 'hooks.example.internal,*.example.internal'],
    ['POSTHORN_ALLOWED_HOSTS', 'hooks.internal:8080', 'hooks.example.internal,*.example.internal'],
    ['POSTHORN_ALLOWED_HOSTS', 'https://hooks.internal', 'hooks.example.internal,*.example.internal'],
    ['POSTHORN_ALLOWED_HOSTS', 'a.internal b.internal', 'hooks.example.internal,*.example.internal'],
    ['POSTHORN_DENIED_PORTS', '65536', 'none to deny none'],
    ['POSTHORN_DENIED_PORTS', '22-25', 'none to deny none'],
    ['POSTHORN_DENIED_PORTS', 'ssh', 'none to deny none'],
    ['POSTHORN_DENIED_PORTS', 'none,22', 'none to deny none'],
    ['POSTHORN_DENIED_PORTS', ',', 'none to deny none'],
    ['POSTHORN_ROLE', 'API', 'all, api or worker'],
    ['POSTHORN_LOG_LEVEL', 'loud', 'trace, debug, info, warn, error or silent'],
    ['POSTHORN_SHUTDOWN_TIMEOUT_MS', '20s', 'milliseconds'],
    ['POSTHORN_CONNECTIONS_PER_KEY', '0', 'from 1 to 1000000'],
    ['POSTHORN_SUBSCRIPTIONS_PER_KEY', 'many', 'from 1 to 1000000'],
    ['POSTHORN_DATABASE_WAIT_MS', '3600001', 'from 0 to 3600000'],
    ['POSTHORN_DATABASE_CONNECTIONS', '1', 'from 2 to 1000'],
    ['DATABASE_URL', 'postgresql://db/posthorn?schema=Ph', 'lower-case letters'],
    ['DATABASE_URL', 'postgresql://db/posthorn?schema=pg_own', 'pg_ at the start'],
    ['POSTHORN_MIGRATE', 'never', 'must be on or off'],
    ['POSTHORN_RETENTION_DAYS', '0', 'from 1 to 36500'],
    ['POSTHORN_DISABLE_FAILING_AFTER_DAYS', '0', 'from 1 to 365, or off'],
    ['POSTHORN_DISABLE_FAILING_AFTER_DAYS', '400', 'from 1 to 365, or off'],
    ['POSTHORN_DISABLE_FAILING_AFTER_DAYS', 'never', 'from 1 to 365, or off'],
    ['POSTHORN_RETENTION_DAYS', '40000', 'from 1 to 36500'],
    ['POSTHORN_RETENTION_DAYS', 'a month', 'from 1 to 36500'],
    ['POSTHORN_MAX_COMPLEXITY', '0', 'from 1 to 1000000000'],
    ['POSTHORN_OPERATION_TIMEOUT_MS', '99', 'milliseconds from 100 to 600000'],
    ['POSTHORN_REQUEST_TIMEOUT_MS', '1m', 'milliseconds from 100 to 600000'],
    ['POSTHORN_REQUESTS_PER_SECOND', 'none', 'off, or a number from 0 to 1000000'],
    ['POSTHORN_REQUESTS_PER_SECOND', '1000001', 'off, or a number from 0 to 1000000'],
    ['POSTHORN_TRUST_PROXY', 'true', 'a number of proxies from 0 to 10'],
    ['POSTHORN_CORS_ORIGINS', 'app.example.com', 'https://app.example.com'],
    ['POSTHORN_CORS_ORIGINS', 'https://app.example.com/', 'https://app.example.com'],
    ['POSTHORN_CORS_ORIGINS', 'https://*.example.com', 'https://app.example.com'],
    ['POSTHORN_CORS_ORIGINS', 'null', 'https://app.example.com'],
    ['POSTHORN_EMBED_ORIGINS', '*', 'https://app.example.com'],
    ['POSTHORN_EMBED_ORIGINS', 'https://app.example.com/page', 'https://app.example.com'],
    ['POSTHORN_INTROSPECTION', 'yes', 'on or off'],
    ['POSTHORN_BEHIND_TLS', '1', 'on or off'],
  ])('is refused by the name of its variable, with what to do: %s=%s', (name, value, advice) => {
    const fault = findFault({ ...KEYS, [name]: value });
    expect(fault).toMatch(new RegExp(`^${name} must `));
    expect(fault).toContain(advice);
  });

  it('is not repeated in the message where it is a secret', () => {
    const env = {
      POSTHORN_ROOT_KEY: 'my-short-secret',
      DATABASE_URL: 'mysql://user:hunter2@db/x',
      POSTHORN_PROXY_URL: 'ftp://user:hunter3@proxy',
      POSTHORN_OLD_ENCRYPTION_KEYS: 'my-old-key',
    };
    const fault = findFault(env);
    for (const name of Object.keys(env)) expect(fault).toContain(name);
    expect(fault).not.toMatch(/my-short-secret|hunter|my-old-key/);
  });
});

describe('several faults', () => {
  it('are reported together', () => {
    const env = {
      DATABASE_URL: 'mysql://db',
      PORT: 'http',
      POSTHORN_ROOT_KEY: 'short',
      POSTHORN_ENCRYPTION_KEY: 'short',
      POSTHORN_ALLOWED_NETWORKS: 'everything',
      POSTHORN_ALLOWED_HOSTS: '*',
      POSTHORN_DENIED_PORTS: 'all',
      POSTHORN_ROLE: 'boss',
      POSTHORN_LOG_LEVEL: 'loud',
      POSTHORN_SHUTDOWN_TIMEOUT_MS: 'soon',
    };
    const fault = findFault(env);
    for (const name of Object.keys(env)) expect(fault).toContain(`${name} must `);
    expect(fault?.split('; ').filter((line) => / must /.test(line))).toHaveLength(Object.keys(env).length);
  });

  it.each<[string, Record<string, string>]>([
    ['DATABASE_URL', { DATABASE_URL }],
    ['NODE_ENV=production', { NODE_ENV: 'production' }],
  ])('are reported together where one is a key that is missing with %s', (_, env) => {
    const fault = findFault({ ...env, PORT: 'http' });
    for (const name of ['PORT', 'POSTHORN_ROOT_KEY', 'POSTHORN_ENCRYPTION_KEY'])
      expect(fault).toContain(`${name} must `);
  });

  it('are reported together where one key is missing and the other is wrong', () => {
    const fault = findFault({ DATABASE_URL, POSTHORN_ROOT_KEY: 'short' });
    for (const name of Object.keys(KEYS)) expect(fault).toContain(`${name} must `);
  });
});

describe('the keys', () => {
  it.each<[string, Record<string, string>]>([
    ['DATABASE_URL', { DATABASE_URL }],
    ['NODE_ENV=production', { NODE_ENV: 'production' }],
    ['NODE_ENV=production', { NODE_ENV: 'production', DATABASE_URL }],
  ])('must both be set with %s, and the message tells how to make them', (where, env) => {
    expect(findFault(env)).toBe(
      `POSTHORN_ROOT_KEY must be set with ${where}; make one with: openssl rand -hex 32; ` +
        `POSTHORN_ENCRYPTION_KEY must be set with ${where}; make one with: openssl rand -base64 32`,
    );
    expect(findFault({ ...env, ...KEYS })).toBeNull();
  });

  it.each(Object.keys(KEYS))('are each asked for alone: %s', (missing) => {
    const fault = findFault({ DATABASE_URL, ...KEYS, [missing]: undefined });
    expect(fault).toMatch(new RegExp(`^${missing} must be set with DATABASE_URL`));
    expect(fault?.match(/must be set/g)).toHaveLength(1);
  });

  it.each<Record<string, string>>([{ DATABASE_URL }, { NODE_ENV: 'production' }])(
    "a worker needs no operator's key, but the encryption key: %j",
    (env) => {
      const worker = { ...env, POSTHORN_ROLE: 'worker' };
      expect(findFault({ ...worker, POSTHORN_ENCRYPTION_KEY })).toBeNull();
      expect(findFault(worker)).toMatch(/^POSTHORN_ENCRYPTION_KEY must be set/);
      expect(findFault(worker)).not.toContain('POSTHORN_ROOT_KEY');
    },
  );

  it('need not be set with the embedded default, whatever the role', () => {
    expect(['all', 'api', 'worker'].map((POSTHORN_ROLE) => findFault({ POSTHORN_ROLE }))).toEqual([null, null, null]);
  });
});

describe('the networks that deliveries may reach though they are not public', () => {
  it.each<[string, Record<string, string>, string[]]>([
    ['loopback with the embedded default', {}, ['127.0.0.0/8', '::1/128']],
    ['none with a database of your own', { DATABASE_URL }, []],
    ['none with NODE_ENV=production', { NODE_ENV: 'production' }, []],
    ['none with both', { DATABASE_URL, NODE_ENV: 'production' }, []],
    ['those given, with the embedded default', { POSTHORN_ALLOWED_NETWORKS: '10.0.0.0/8' }, ['10.0.0.0/8']],
    ['those given, with a database of your own', { DATABASE_URL, POSTHORN_ALLOWED_NETWORKS: '::1/128' }, ['::1/128']],
    [
      'those given, with NODE_ENV=production',
      { NODE_ENV: 'production', POSTHORN_ALLOWED_NETWORKS: '10.0.0.0/8,192.168.0.0/16' },
      ['10.0.0.0/8', '192.168.0.0/16'],
    ],
  ])('are %s', (_, env, networks) => {
    expect(readConfig({ ...KEYS, ...env }).allowedNetworks).toEqual(networks);
  });

  it.each(['10.1.2.3/8', '0.0.0.0/0', '::/0', '::ffff:10.0.0.0/104', '64:ff9b::1.2.3.4/96', 'FD00::/8', '1.2.3.4/32'])(
    'are taken by the address policy where the configuration takes them: %s',
    (network) => {
      const { allowedNetworks } = readConfig({ POSTHORN_ALLOWED_NETWORKS: network });
      expect(allowedNetworks).toEqual([network]);
      expect(() => makeAddressPolicy(allowedNetworks)).not.toThrow();
    },
  );
});

describe('the hosts and ports that deliveries may and may not reach', () => {
  it.each<[string, string[]]>([
    ['hooks.internal', ['hooks.internal']],
    [' Hooks.Internal. , *.example.internal,', ['Hooks.Internal.', '*.example.internal']],
  ])('are taken by the target policy where the configuration takes them: %s', (hosts, expected) => {
    const { allowedHosts } = readConfig({ POSTHORN_ALLOWED_HOSTS: hosts });
    expect(allowedHosts).toEqual(expected);
    const policy = makeTargetPolicy({ allowedNetworks: [], allowedHosts, deniedPorts: null });
    expect(policy.mayConnect('hooks.internal', '10.0.0.1')).toBe(true);
  });

  it('are all ports with the word none, which is more than an empty variable can say', () => {
    expect(readConfig({ POSTHORN_DENIED_PORTS: 'none' }).deniedPorts).toEqual([]);
    expect(readConfig({ POSTHORN_DENIED_PORTS: '' }).deniedPorts).toBeNull();
  });
});

describe('in production', () => {
  const production = { ...KEYS, NODE_ENV: 'production' };

  it('the schema is not told and no other origin may ask, unless that is set', () => {
    expect(readConfig(production)).toMatchObject({ introspection: false, corsOrigins: [] });
    expect(
      readConfig({ ...production, POSTHORN_INTROSPECTION: 'on', POSTHORN_CORS_ORIGINS: 'https://a.example' }),
    ).toMatchObject({ introspection: true, corsOrigins: ['https://a.example'] });
  });

  it.each(['off', '0'])('POSTHORN_REQUESTS_PER_SECOND=%s is no limit', (text) => {
    expect(readConfig({ ...production, POSTHORN_REQUESTS_PER_SECOND: text }).requestsPerSecondMax).toBeNull();
  });
});

describe('the configuration of this process', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('is read from its environment', () => {
    vi.stubEnv('DATABASE_URL', '');
    vi.stubEnv('NODE_ENV', 'test');
    vi.stubEnv('PORT', '4321');
    expect(readProcessConfig().port).toBe(4321);
  });
});

describe('variables that begin with POSTHORN_', () => {
  it.each([
    ['POSTHORN_RETENTION_DAY', '3', 'POSTHORN_RETENTION_DAY is not a setting; did you mean POSTHORN_RETENTION_DAYS?'],
    ['POSTHORN_DENIED_PORT', '25', 'POSTHORN_DENIED_PORT is not a setting; did you mean POSTHORN_DENIED_PORTS?'],
    ['POSTHORN_PORT', '4418', 'POSTHORN_PORT is not a setting; did you mean PORT?'],
    ['POSTHORN_DATABASE_URL', 'x', 'POSTHORN_DATABASE_URL is not a setting; did you mean DATABASE_URL?'],
    ['POSTHORN_', 'x', 'POSTHORN_ is not a setting; remove it'],
    ['POSTHORN_FAVORITE_COLOR', 'red', 'POSTHORN_FAVORITE_COLOR is not a setting; remove it'],
  ])('%s=%s is refused with the closest name', (name, value, message) => {
    expect(() => readConfig({ [name]: value })).toThrow(new StartupError(message));
  });

  it('are ignored if they are empty', () => {
    expect(readConfig({ POSTHORN_RETENTION_DAY: '' })).toEqual(readConfig({}));
  });

  it('are accepted if Kubernetes sets them for services named posthorn or posthorn-…, or clients use them', () => {
    const given = {
      POSTHORN_SERVICE_HOST: '10.0.0.1',
      POSTHORN_SERVICE_PORT: '4000',
      POSTHORN_SERVICE_PORT_HTTP: '4000',
      POSTHORN_PORT: 'tcp://10.0.0.1:4000',
      POSTHORN_PORT_4000_TCP: 'tcp://10.0.0.1:4000',
      POSTHORN_PORT_4000_TCP_ADDR: '10.0.0.1',
      POSTHORN_PORT_4000_TCP_PROTO: 'tcp',
      POSTHORN_PORT_4000_TCP_PORT: '4000',
      POSTHORN_API_SERVICE_HOST: '10.0.0.2',
      POSTHORN_API_PORT: 'tcp://10.0.0.2:4000',
      POSTHORN_API_PORT_4000_TCP_PORT: '4000',
      POSTHORN_URL: 'https://posthorn.example',
      POSTHORN_KEY: 'phk_x',
    };
    expect(readConfig(given)).toEqual(readConfig({}));
  });
});
