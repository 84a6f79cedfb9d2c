import { z } from 'zod';
import { StartupError } from './errors.ts';

/** Which parts of Posthorn a process runs. */
export type Role = 'all' | 'api' | 'worker';

/** Everything that can be set from outside. README.md has the table. */
export interface Config {
  /** Postgres to use; null: the embedded one, below `dataDir`. */
  databaseUrl: string | null;
  /** The same database without a pooler in between; null: `databaseUrl` leads there itself. */
  directDatabaseUrl: string | null;
  /** Where the embedded Postgres and its keys live. */
  dataDir: string;
  host: string;
  port: number;
  /** The operator's API key; null: made at the first start of the embedded default. */
  rootKey: string | null;
  /** 32 bytes that seal secrets at rest; null: made at the first start of the embedded default. */
  encryptionKey: Uint8Array | null;
  /** CIDRs that deliveries may reach though they are not public. */
  allowedNetworks: string[];
  role: Role;
  production: boolean;
  logLevel: string;
  /** How long a stop waits for attempts in flight. */
  shutdownTimeoutMs: number;
  /** How long events are kept, with their deliveries and attempts. */
  retentionDays: number;
  /** WebSockets and SSE streams that one API key may have open on a process. */
  connectionsPerKeyMax: number;
  /** Subscriptions that one API key may have on a process. */
  subscriptionsPerKeyMax: number;
}

/** Shortest operator's key, in characters. */
export const ROOT_KEY_MIN_CHARS = 32;
/** Length of an AES-256 key. */
export const ENCRYPTION_KEY_BYTES = 32;

const RETENTION_DAYS_DEFAULT = 30;
/** Idempotency keys are promised for 24 h, and go with their events. */
const RETENTION_DAYS_MIN = 1;
const RETENTION_DAYS_MAX = 36_500;

const CONNECTIONS_PER_KEY_DEFAULT = 2_000;
const SUBSCRIPTIONS_PER_KEY_DEFAULT = 5_000;
const PER_KEY_MAX = 1_000_000;

const LOOPBACK_NETWORKS = ['127.0.0.0/8', '::1/128'];

const isCidr = (text: string) => z.union([z.cidrv4(), z.cidrv6()]).safeParse(text).success;

const perKey = (limit: number) =>
  z
    .string()
    .regex(/^\d{1,7}$/, `must be a number from 1 to ${PER_KEY_MAX}`)
    .transform(Number)
    .refine((count) => count >= 1 && count <= PER_KEY_MAX, `must be a number from 1 to ${PER_KEY_MAX}`)
    .default(limit);

const databaseUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\//, 'must be a URL of the form postgresql://user:password@host:5432/database')
  .optional();

const environmentSchema = z.object({
  DATABASE_URL: databaseUrl,
  POSTHORN_DIRECT_DATABASE_URL: databaseUrl,
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, 'must be a port number from 0 to 65535')
    .transform(Number)
    .refine((port) => port <= 65_535, 'must be a port number from 0 to 65535')
    .default(4000),
  HOST: z.string().default('127.0.0.1'),
  POSTHORN_ROOT_KEY: z
    .string()
    .min(ROOT_KEY_MIN_CHARS, `must have ${ROOT_KEY_MIN_CHARS} characters or more; make one with: openssl rand -hex 32`)
    .optional(),
  POSTHORN_ENCRYPTION_KEY: z
    .string()
    .transform((text) => new Uint8Array(Buffer.from(text, 'base64')))
    .refine(
      (bytes) => bytes.length === ENCRYPTION_KEY_BYTES,
      `must be ${ENCRYPTION_KEY_BYTES} bytes in base64; make one with: openssl rand -base64 ${ENCRYPTION_KEY_BYTES}`,
    )
    .optional(),
  POSTHORN_ALLOWED_NETWORKS: z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean),
    )
    .refine((parts) => parts.every(isCidr), 'must be CIDRs separated by commas, for example 10.0.0.0/8,fd00::/8')
    .optional(),
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
  POSTHORN_RETENTION_DAYS: z
    .string()
    .regex(/^\d{1,5}$/, `must be a number of days from ${RETENTION_DAYS_MIN} to ${RETENTION_DAYS_MAX}`)
    .transform(Number)
    .refine(
      (days) => days >= RETENTION_DAYS_MIN && days <= RETENTION_DAYS_MAX,
      `must be a number of days from ${RETENTION_DAYS_MIN} to ${RETENTION_DAYS_MAX}`,
    )
    .default(RETENTION_DAYS_DEFAULT),
  POSTHORN_CONNECTIONS_PER_KEY: perKey(CONNECTIONS_PER_KEY_DEFAULT),
  POSTHORN_SUBSCRIPTIONS_PER_KEY: perKey(SUBSCRIPTIONS_PER_KEY_DEFAULT),
  NODE_ENV: z.string().optional(),
});

type Environment = z.output<typeof environmentSchema>;

/**
 * Reads the configuration from environment variables. An empty variable counts as not set.
 *
 * @throws {StartupError} with every fault in one message
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environmentSchema.safeParse(given);
  const faults = (parsed.error?.issues ?? []).map((issue) => `${String(issue.path[0])} ${issue.message}`);
  faults.push(...findMissingKeys(given));
  if (given.POSTHORN_DIRECT_DATABASE_URL && !given.DATABASE_URL) {
    faults.push('POSTHORN_DIRECT_DATABASE_URL is of use only beside DATABASE_URL; set that, or leave out both');
  }
  if (!parsed.success || faults.length > 0) throw new StartupError(faults.join('; '));
  return toConfig(parsed.data);
}

/** Reads the configuration of this process. */
export const readProcessConfig = () => readConfig(process.env);

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

function toConfig(env: Environment): Config {
  const production = env.NODE_ENV === 'production';
  const isEmbeddedDefault = env.DATABASE_URL === undefined && !production;
  return {
    databaseUrl: env.DATABASE_URL ?? null,
    directDatabaseUrl: env.POSTHORN_DIRECT_DATABASE_URL ?? null,
    dataDir: env.POSTHORN_DATA_DIR,
    host: env.HOST,
    port: env.PORT,
    rootKey: env.POSTHORN_ROOT_KEY ?? null,
    encryptionKey: env.POSTHORN_ENCRYPTION_KEY ?? null,
    allowedNetworks: env.POSTHORN_ALLOWED_NETWORKS ?? (isEmbeddedDefault ? LOOPBACK_NETWORKS : []),
    role: env.POSTHORN_ROLE,
    production,
    logLevel: env.POSTHORN_LOG_LEVEL,
    shutdownTimeoutMs: env.POSTHORN_SHUTDOWN_TIMEOUT_MS,
    retentionDays: env.POSTHORN_RETENTION_DAYS,
    connectionsPerKeyMax: env.POSTHORN_CONNECTIONS_PER_KEY,
    subscriptionsPerKeyMax: env.POSTHORN_SUBSCRIPTIONS_PER_KEY,
  };
}
