import { afterEach, describe, expect, it, vi } from 'vitest';
import { ENCRYPTION_KEY_BYTES, ROOT_KEY_MIN_CHARS, readConfig, readProcessConfig } from '../src/config.ts';
import { makeAddressPolicy } from '../src/domain/address.ts';
import { StartupError } from '../src/errors.ts';

const DATABASE_URL = 'postgresql://user:password@db:5432/posthorn';
const POSTHORN_ROOT_KEY = 'r'.repeat(ROOT_KEY_MIN_CHARS);
const POSTHORN_ENCRYPTION_KEY = Buffer.alloc(ENCRYPTION_KEY_BYTES, 7).toString('base64');
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
    dataDir: '.posthorn',
    host: '127.0.0.1',
    port: 4000,
    rootKey: null,
    encryptionKey: null,
    allowedNetworks: ['127.0.0.0/8', '::1/128'],
    role: 'all',
    production: false,
    logLevel: 'info',
    shutdownTimeoutMs: 20_000,
    retentionDays: 30,
    connectionsPerKeyMax: 2_000,
    subscriptionsPerKeyMax: 5_000,
  };

  it('the defaults are those of a first try: embedded Postgres, loopback may be reached', () => {
    expect(readConfig({})).toEqual(DEFAULTS);
  });

  it('a variable that is empty counts as not set', () => {
    const names = ['DATABASE_URL', 'PORT', 'HOST', 'NODE_ENV'];
    const own = ['ROOT_KEY', 'ENCRYPTION_KEY', 'ALLOWED_NETWORKS', 'ROLE', 'DATA_DIR', 'LOG_LEVEL'];
    const empty = [...names, ...own.map((name) => `POSTHORN_${name}`)].map((name) => [name, '']);
    expect(readConfig(Object.fromEntries(empty))).toEqual(DEFAULTS);
  });

  it('variables of others are left alone', () => {
    expect(readConfig({ PATH: '/bin', POSTHORN_SOMETHING: 'x', NODE_ENV: 'test', HOME: undefined })).toEqual(DEFAULTS);
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
      POSTHORN_ALLOWED_NETWORKS: ' 10.0.0.0/8 , fd00::/8,',
      POSTHORN_ROLE: 'api',
      POSTHORN_DATA_DIR: '/var/lib/posthorn',
      POSTHORN_LOG_LEVEL: 'debug',
      POSTHORN_SHUTDOWN_TIMEOUT_MS: '500',
      POSTHORN_RETENTION_DAYS: '7',
      POSTHORN_CONNECTIONS_PER_KEY: '10',
      POSTHORN_SUBSCRIPTIONS_PER_KEY: '20',
      NODE_ENV: 'production',
    });
    expect(config).toEqual({
      databaseUrl: DATABASE_URL,
      directDatabaseUrl: DATABASE_URL,
      port: 8080,
      host: '0.0.0.0',
      rootKey: POSTHORN_ROOT_KEY,
      encryptionKey: new Uint8Array(ENCRYPTION_KEY_BYTES).fill(7),
      allowedNetworks: ['10.0.0.0/8', 'fd00::/8'],
      role: 'api',
      dataDir: '/var/lib/posthorn',
      logLevel: 'debug',
      shutdownTimeoutMs: 500,
      retentionDays: 7,
      connectionsPerKeyMax: 10,
      subscriptionsPerKeyMax: 20,
      production: true,
    });
  });

  it.each<Record<string, string>>([
    { PORT: '0' },
    { PORT: '65535' },
    { POSTHORN_ROLE: 'all' },
    { POSTHORN_ROLE: 'worker' },
    { POSTHORN_LOG_LEVEL: 'silent' },
    { POSTHORN_SHUTDOWN_TIMEOUT_MS: '0' },
    { POSTHORN_RETENTION_DAYS: '1' },
    { POSTHORN_CONNECTIONS_PER_KEY: '1', POSTHORN_SUBSCRIPTIONS_PER_KEY: '1000000' },
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
    ['POSTHORN_ALLOWED_NETWORKS', 'localhost', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ALLOWED_NETWORKS', '10.0.0.1', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ALLOWED_NETWORKS', '10.0.0.0/33', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ALLOWED_NETWORKS', '10.0.0.0/8 fd00::/8', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ALLOWED_NETWORKS', '10.0.0.0/8,fd00::/129', '10.0.0.0/8,fd00::/8'],
    ['POSTHORN_ROLE', 'API', 'all, api or worker'],
    ['POSTHORN_LOG_LEVEL', 'loud', 'trace, debug, info, warn, error or silent'],
    ['POSTHORN_SHUTDOWN_TIMEOUT_MS', '20s', 'milliseconds'],
    ['POSTHORN_CONNECTIONS_PER_KEY', '0', 'from 1 to 1000000'],
    ['POSTHORN_SUBSCRIPTIONS_PER_KEY', 'many', 'from 1 to 1000000'],
    ['POSTHORN_RETENTION_DAYS', '0', 'from 1 to 36500'],
    ['POSTHORN_RETENTION_DAYS', '40000', 'from 1 to 36500'],
    ['POSTHORN_RETENTION_DAYS', 'a month', 'from 1 to 36500'],
  ])('is refused by the name of its variable, with what to do: %s=%s', (name, value, advice) => {
    const fault = findFault({ ...KEYS, [name]: value });
    expect(fault).toMatch(new RegExp(`^${name} must `));
    expect(fault).toContain(advice);
  });

  it('is not repeated in the message where it is a secret', () => {
    const env = { POSTHORN_ROOT_KEY: 'my-short-secret', DATABASE_URL: 'mysql://user:hunter2@db/x' };
    expect(findFault(env)).not.toMatch(/my-short-secret|hunter2/);
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
