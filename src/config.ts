import { isIP } from 'node:net';
import { z } from 'zod';
import { findSchemaConflict, isSchemaName, parseDatabaseUrl, SCHEMA_RULE } from './database-url.ts';
import { StartupError } from './errors.ts';
import { findUnknownSettings } from './setting-names.ts';

/** Which parts of Posthorn a process runs. */
export type Role = 'all' | 'api' | 'worker';

/** Everything that can be set from outside. README.md has the table. */
export interface Config {
  /** Postgres to use; null: the embedded one, below `dataDir`. */
  databaseUrl: string | null;
  /** The same database without a pooler in between; null: `databaseUrl` leads there itself. */
  directDatabaseUrl: string | null;
  /** Longest time that a start waits for a database that can't be reached, or that lacks migrations. */
  databaseWaitMs: number;
  /** Whether a process applies missing migrations by itself, or leaves them to `npm run migrate`. */
  migrates: boolean;
  /** Connections of each of the two pools: for callers, and for workers. */
  databaseConnections: number;
  /** Where the embedded Postgres and its keys live. */
  dataDir: string;
  host: string;
  port: number;
  /** The operator's API key; null: made at the first start of the embedded default. */
  rootKey: string | null;
  /** 32 bytes that seal secrets at rest; null: made at the first start of the embedded default. */
  encryptionKey: Uint8Array | null;
  /** Keys that sealed secrets before: what is sealed with them is still read. */
  oldEncryptionKeys: Uint8Array[];
  /** CIDRs that deliveries may reach though they are not public. */
  allowedNetworks: string[];
  /** Host names, or `*.` and a name, that deliveries may reach wherever they lead. */
  allowedHosts: string[];
  /** Ports that deliveries may not reach; null: those that Posthorn knows to be no place for webhooks. */
  deniedPorts: number[] | null;
  /** Proxy that all deliveries go through, with user name and password; null: none. */
  proxyUrl: string | null;
  /** Addresses of the name servers that know the names of endpoints, with a port if it is not 53; null: the system's. */
  dnsServers: string[] | null;
  role: Role;
  production: boolean;
  logLevel: string;
  /** How long a stop waits for attempts in flight. */
  shutdownTimeoutMs: number;
  /** How long events are kept, with their deliveries and attempts. */
  retentionDays: number;
  /** How long an endpoint may have nothing but failures until it is disabled; null: for ever. */
  disableFailingAfterMs: number | null;
  /** WebSockets and SSE streams that one API key may have open on a process. */
  connectionsPerKeyMax: number;
  /** Subscriptions that one API key may have on a process. */
  subscriptionsPerKeyMax: number;
  /** Cost that an operation may have. */
  complexityMax: number;
  /** How long an operation may take. Its statements end a second later. */
  operationTimeoutMs: number;
  /** How long a request may take to arrive. */
  requestTimeoutMs: number;
  /** Requests a second that one API key may make of a process, and twice as many at once; null: any number. */
  requestsPerSecondMax: number | null;
  /** Proxies in front, each of which adds the address that it got a request from to `X-Forwarded-For`. */
  trustedProxies: number;
  /** Origins whose pages may ask, or `*` for any. */
  corsOrigins: string[];
  /** Origins whose pages may show `/embed` of the dashboard in a frame. */
  embedOrigins: string[];
  /** Whether clients may ask for the schema, are told of names like those that they got wrong, and have GraphiQL. */
  introspection: boolean;
  /** Whether browsers reach Posthorn over TLS only. */
  behindTls: boolean;
}

/** Shortest operator's key, in characters. */
export const ROOT_KEY_MIN_CHARS = 32;
/** Length of an AES-256 key. */
export const ENCRYPTION_KEY_BYTES = 32;

/** Each is tried on what was sealed before keys had IDs. */
const OLD_ENCRYPTION_KEYS_MAX = 10;

/** Connections of a pool. Postgres' default of 100 leaves room for several processes. */
export const DATABASE_CONNECTIONS_DEFAULT = 12;
/** With one, everything would wait for everything. */
const DATABASE_CONNECTIONS_MIN = 2;
const DATABASE_CONNECTIONS_MAX = 1_000;

const RETENTION_DAYS_DEFAULT = 30;
/** Idempotency keys are promised for 24 h, and go with their events. */
const RETENTION_DAYS_MIN = 1;
const RETENTION_DAYS_MAX = 36_500;

const DISABLE_FAILING_DAYS_DEFAULT = 5;
const DISABLE_FAILING_DAYS_MAX = 365;

const CONNECTIONS_PER_KEY_DEFAULT = 2_000;
const SUBSCRIPTIONS_PER_KEY_DEFAULT = 5_000;
const PER_KEY_MAX = 1_000_000;

const COMPLEXITY_DEFAULT = 50_000;
const COMPLEXITY_MAX = 1_000_000_000;
const OPERATION_TIMEOUT_MS_DEFAULT = 30_000;
const REQUEST_TIMEOUT_MS_DEFAULT = 60_000;
const TIMEOUT_MS_MIN = 100;
const TIMEOUT_MS_MAX = 600_000;
const REQUESTS_PER_SECOND_DEFAULT = 1_000;
const REQUESTS_PER_SECOND_MAX = 1_000_000;
const DATABASE_WAIT_MS_DEFAULT = 60_000;
const DATABASE_WAIT_MS_MAX = 3_600_000;
const TRUSTED_PROXIES_MAX = 10;

const LOOPBACK_NETWORKS = ['127.0.0.0/8', '::1/128'];

/** Takes the place of a list that is to be empty: a variable that is empty counts as not set. */
const NONE = 'none';
/** Letters, digits, `-` and `_` between dots, the last part not a number, which an address would end in. */
const HOST_PATTERN = /^(\*\.)?([a-z0-9_-]{1,63}\.)*(?=[^.]*[a-z])[a-z0-9_-]{1,63}\.?$/i;

const isPort = (text: string) => /^\d{1,5}$/.test(text) && Number(text) <= 65_535;

const toKeyBytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));

/** 32 bytes in base64, of which Node would leave out what comes behind the first `=`. */
const KEY_TEXT = /^[A-Za-z0-9+/_-]{43}=?$/;

const isKey = (bytes: Uint8Array) => bytes.length === ENCRYPTION_KEY_BYTES;

/** Only what names a proxy, and nothing on it. */
function isProxyUrl(text: string): boolean {
  if (!URL.canParse(text) || /%(?![0-9a-f]{2})/i.test(text)) return false;
  const { protocol, pathname, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && pathname === '/' && search === '' && hash === '';
}

/** An address alone, or with a port: `[2001:db8::53]:5353`. */
function isNameServer(text: string): boolean {
  const [, v6, v4 = '', port = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(.*)$/.exec(text) ?? [];
  return isIP(text) !== 0 || (isIP(v6 ?? v4) === (v6 ? 6 : 4) && isPort(port) && Number(port) > 0);
}

const isCidr = (text: string) => z.union([z.cidrv4(), z.cidrv6()]).safeParse(text).success;

interface Range {
  min: number;
  max: number;
  default: number;
}

/** @param what is counted, as a message names it */
function wholeNumber(what: string, { min, max, default: byDefault }: Range) {
  const message = `must be ${what} from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,10}$/, message)
    .transform(Number)
    .refine((count) => count >= min && count <= max, message)
    .default(byDefault);
}

const perKey = (limit: number) => wholeNumber('a number', { min: 1, max: PER_KEY_MAX, default: limit });

const timeout = (ms: number) =>
  wholeNumber('a number of milliseconds', { min: TIMEOUT_MS_MIN, max: TIMEOUT_MS_MAX, default: ms });

const onOrOff = z
  .enum(['on', 'off'], 'must be on or off')
  .transform((text) => text === 'on')
  .optional();

/** Parts between commas. */
const commaSeparated = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean),
);

/** As browsers send it: no path, no slash at the end, no default port. Nothing in it stands for others. */
const isOrigin = (text: string) => !text.includes('*') && URL.canParse(text) && new URL(text).origin === text;

const DISABLE_FAILING_RULE = `must be a number of days from 1 to ${DISABLE_FAILING_DAYS_MAX}, or off`;

const databaseUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\//, 'must be a URL of the form postgresql://user:password@host:5432/database')
  .refine(
    (url) => isSchemaName(parseDatabaseUrl(url).schema),
    `must name a schema, if any, as ?schema=name with ${SCHEMA_RULE}`,
  )
  .optional();

const environmentSchema = z.object({
  DATABASE_URL: databaseUrl,
  POSTHORN_DIRECT_DATABASE_URL: databaseUrl,
  POSTHORN_DATABASE_CONNECTIONS: wholeNumber('a number', {
    min: DATABASE_CONNECTIONS_MIN,
    max: DATABASE_CONNECTIONS_MAX,
    default: DATABASE_CONNECTIONS_DEFAULT,
  }),
  PORT: wholeNumber('a port number', { min: 0, max: 65_535, default: 4000 }),
  HOST: z.string().default('127.0.0.1'),
  POSTHORN_ROOT_KEY: z
    .string()
    .min(ROOT_KEY_MIN_CHARS, `must have ${ROOT_KEY_MIN_CHARS} characters or more; make one with: openssl rand -hex 32`)
    .optional(),
  POSTHORN_ENCRYPTION_KEY: z
    .string()
    .transform(toKeyBytes)
    .refine(
      isKey,
      `must be ${ENCRYPTION_KEY_BYTES} bytes in base64; make one with: openssl rand -base64 ${ENCRYPTION_KEY_BYTES}`,
    )
    .optional(),
  POSTHORN_OLD_ENCRYPTION_KEYS: commaSeparated
    .refine(
      (keys) => keys.length <= OLD_ENCRYPTION_KEYS_MAX && keys.every((key) => KEY_TEXT.test(key)),
      `must be keys of ${ENCRYPTION_KEY_BYTES} bytes in base64, separated by commas, ${OLD_ENCRYPTION_KEYS_MAX} at most`,
    )
    .transform((keys) => keys.map(toKeyBytes))
    .default([]),
  POSTHORN_ALLOWED_NETWORKS: commaSeparated
    .refine((parts) => parts.every(isCidr), 'must be CIDRs separated by commas, for example 10.0.0.0/8,fd00::/8')
    .optional(),
  POSTHORN_ALLOWED_HOSTS: commaSeparated
    .refine(
      (parts) => parts.every((part) => HOST_PATTERN.test(part)),
      'must be host names separated by commas, for example hooks.example.internal,*.example.internal; for addresses use POSTHORN_ALLOWED_NETWORKS',
    )
    .default([]),
  POSTHORN_DENIED_PORTS: commaSeparated
    .refine(
      (parts) => String(parts) === NONE || (parts.length > 0 && parts.every(isPort)),
      `must be port numbers separated by commas, for example 22,25, or ${NONE} to deny none`,
    )
    .transform((parts) => (String(parts) === NONE ? [] : parts.map(Number)))
    .optional(),
  POSTHORN_PROXY_URL: z
    .string()
    .refine(isProxyUrl, 'must be a URL of the form http://user:password@host:port, or https://…, without a path')
    .optional(),
  POSTHORN_DNS_SERVERS: commaSeparated
    .refine(
      (parts) => parts.length > 0 && parts.every(isNameServer),
      'must be IP addresses separated by commas, with a port if it is not 53, for example 10.0.0.53,[fd00::53]:5353',
    )
    .optional(),
  POSTHORN_DATABASE_WAIT_MS: wholeNumber('a number of milliseconds', {
    min: 0,
    max: DATABASE_WAIT_MS_MAX,
    default: DATABASE_WAIT_MS_DEFAULT,
  }),
  POSTHORN_MIGRATE: onOrOff,
  POSTHORN_ROLE: z.enum(['all', 'api', 'worker'], 'must be all, api or worker').default('all'),
  POSTHORN_DATA_DIR: z.string().default('.posthorn'),
  POSTHORN_LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'must be trace, debug, info, warn, error or silent',
    )
    .default('info'),
  POSTHORN_SHUTDOWN_TIMEOUT_MS: z
    .string()
    .regex(/^\d{1,6}$/, 'must be a number of milliseconds up to 999999')
    .transform(Number)
    .default(20_000),
  POSTHORN_RETENTION_DAYS: wholeNumber('a number of days', {
    min: RETENTION_DAYS_MIN,
    max: RETENTION_DAYS_MAX,
    default: RETENTION_DAYS_DEFAULT,
  }),
  POSTHORN_DISABLE_FAILING_AFTER_DAYS: z
    .string()
    .regex(/^(\d{1,3}|off)$/, DISABLE_FAILING_RULE)
    .transform((text) => (text === 'off' ? null : Number(text)))
    .refine((days) => days === null || (days >= 1 && days <= DISABLE_FAILING_DAYS_MAX), DISABLE_FAILING_RULE)
    .default(DISABLE_FAILING_DAYS_DEFAULT),
  POSTHORN_CONNECTIONS_PER_KEY: perKey(CONNECTIONS_PER_KEY_DEFAULT),
  POSTHORN_SUBSCRIPTIONS_PER_KEY: perKey(SUBSCRIPTIONS_PER_KEY_DEFAULT),
  POSTHORN_MAX_COMPLEXITY: wholeNumber('a number', { min: 1, max: COMPLEXITY_MAX, default: COMPLEXITY_DEFAULT }),
  POSTHORN_OPERATION_TIMEOUT_MS: timeout(OPERATION_TIMEOUT_MS_DEFAULT),
  POSTHORN_REQUEST_TIMEOUT_MS: timeout(REQUEST_TIMEOUT_MS_DEFAULT),
  POSTHORN_REQUESTS_PER_SECOND: z.preprocess(
    (text) => (text === 'off' ? '0' : text),
    wholeNumber('off, or a number', { min: 0, max: REQUESTS_PER_SECOND_MAX, default: REQUESTS_PER_SECOND_DEFAULT }),
  ),
  POSTHORN_TRUST_PROXY: wholeNumber('a number of proxies', { min: 0, max: TRUSTED_PROXIES_MAX, default: 0 }),
  POSTHORN_CORS_ORIGINS: commaSeparated
    .refine(
      (parts) => parts.every((part) => part === '*' || isOrigin(part)),
      'must be * or origins separated by commas, for example https://app.example.com,http://localhost:3000',
    )
    .optional(),
  POSTHORN_EMBED_ORIGINS: commaSeparated
    .refine(
      (parts) => parts.every(isOrigin),
      'must be origins separated by commas, for example https://app.example.com,http://localhost:3000',
    )
    .default([]),
  POSTHORN_INTROSPECTION: onOrOff,
  POSTHORN_BEHIND_TLS: onOrOff,
  NODE_ENV: z.string().optional(),
});

type Environment = z.output<typeof environmentSchema>;

/** Names of all variables that configure Posthorn. */
export const SETTING_NAMES: readonly string[] = Object.keys(environmentSchema.shape);

/**
 * Reads the configuration from environment variables. An empty variable counts as not set.
 *
 * @throws {StartupError} with every fault in one message
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environmentSchema.safeParse(given);
  const faults = (parsed.error?.issues ?? []).map((issue) => `${String(issue.path[0])} ${issue.message}`);
  faults.push(...findUnknownSettings(given, SETTING_NAMES));
  faults.push(...findMissingKeys(given));
  if (given.POSTHORN_DIRECT_DATABASE_URL && !given.DATABASE_URL) {
    faults.push('POSTHORN_DIRECT_DATABASE_URL is of use only beside DATABASE_URL; set that, or leave out both');
  }
  faults.push(...findSchemaConflict(given.DATABASE_URL, given.POSTHORN_DIRECT_DATABASE_URL));
  if (!parsed.success || faults.length > 0) throw new StartupError(faults.join('; '));
  return toConfig(parsed.data);
}

/** Reads the configuration of this process. @param overrides variables that count in place of those there are */
export const readProcessConfig = (overrides: Record<string, string> = {}) =>
  readConfig({ ...process.env, ...overrides });

/** Keys may be made up only where one process owns the data: with the embedded default, outside production. */
function findMissingKeys(env: Record<string, string | undefined>): string[] {
  const mayMakeKeys = env.DATABASE_URL === undefined && env.NODE_ENV !== 'production';
  if (mayMakeKeys) return [];
  const where = env.NODE_ENV === 'production' ? 'NODE_ENV=production' : 'DATABASE_URL';
  const faults: string[] = [];
  if (!env.POSTHORN_ROOT_KEY && env.POSTHORN_ROLE !== 'worker') {
    faults.push(`POSTHORN_ROOT_KEY must be set with ${where}; make one with: openssl rand -hex 32`);
  }
  if (!env.POSTHORN_ENCRYPTION_KEY) {
    faults.push(`POSTHORN_ENCRYPTION_KEY must be set with ${where}; make one with: openssl rand -base64 32`);
  }
  return faults;
}

const DAY_MS = 86_400_000;
const toMs = (days: number | null) => days && days * DAY_MS;

function toConfig(env: Environment): Config {
  const production = env.NODE_ENV === 'production';
  const isEmbeddedDefault = env.DATABASE_URL === undefined && !production;
  return {
    databaseUrl: env.DATABASE_URL ?? null,
    directDatabaseUrl: env.POSTHORN_DIRECT_DATABASE_URL ?? null,
    databaseWaitMs: env.POSTHORN_DATABASE_WAIT_MS,
    migrates: env.POSTHORN_MIGRATE ?? true,
    databaseConnections: env.POSTHORN_DATABASE_CONNECTIONS,
    dataDir: env.POSTHORN_DATA_DIR,
    host: env.HOST,
    port: env.PORT,
    rootKey: env.POSTHORN_ROOT_KEY ?? null,
    encryptionKey: env.POSTHORN_ENCRYPTION_KEY ?? null,
    oldEncryptionKeys: env.POSTHORN_OLD_ENCRYPTION_KEYS,
    allowedNetworks: env.POSTHORN_ALLOWED_NETWORKS ?? (isEmbeddedDefault ? LOOPBACK_NETWORKS : []),
    allowedHosts: env.POSTHORN_ALLOWED_HOSTS,
    deniedPorts: env.POSTHORN_DENIED_PORTS ?? null,
    proxyUrl: env.POSTHORN_PROXY_URL ?? null,
    dnsServers: env.POSTHORN_DNS_SERVERS ?? null,
    role: env.POSTHORN_ROLE,
    production,
    logLevel: env.POSTHORN_LOG_LEVEL,
    shutdownTimeoutMs: env.POSTHORN_SHUTDOWN_TIMEOUT_MS,
    retentionDays: env.POSTHORN_RETENTION_DAYS,
    disableFailingAfterMs: toMs(env.POSTHORN_DISABLE_FAILING_AFTER_DAYS),
    connectionsPerKeyMax: env.POSTHORN_CONNECTIONS_PER_KEY,
    subscriptionsPerKeyMax: env.POSTHORN_SUBSCRIPTIONS_PER_KEY,
    complexityMax: env.POSTHORN_MAX_COMPLEXITY,
    operationTimeoutMs: env.POSTHORN_OPERATION_TIMEOUT_MS,
    requestTimeoutMs: env.POSTHORN_REQUEST_TIMEOUT_MS,
    requestsPerSecondMax: env.POSTHORN_REQUESTS_PER_SECOND || null,
    trustedProxies: env.POSTHORN_TRUST_PROXY,
    corsOrigins: env.POSTHORN_CORS_ORIGINS ?? (production ? [] : ['*']),
    embedOrigins: env.POSTHORN_EMBED_ORIGINS,
    introspection: env.POSTHORN_INTROSPECTION ?? !production,
    behindTls: env.POSTHORN_BEHIND_TLS ?? false,
  };
}
