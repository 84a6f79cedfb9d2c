import { timingSafeEqual } from 'node:crypto';
import DataLoader from 'dataloader';
import type { Pool } from 'pg';
import { decodeId } from '../domain/ids.ts';
import type { Keyring } from '../domain/sealing.ts';
import type { Tenant } from '../domain/tenant.ts';
import { RequestError } from '../errors.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import { hashKey } from './api-keys.ts';
import { BrowserTokens, TOKEN_PREFIX } from './browser-tokens.ts';
import { type Caller, SCOPES } from './caller.ts';
import { DEFAULT_TENANT, FIRST_ENVIRONMENT_NAME } from './organizations.ts';
import { SealedKeys } from './sealed-keys.ts';

/** `lastUsedAt` is written once in this time for each key, not once a request. */
const LAST_USED_GRAIN_MS = 60_000;

/** How long a session of a page lasts at the most. */
const SESSION_MS = 12 * 3_600_000;

const IS_GOOD = 'k.revoked_at is null and (k.expires_at is null or k.expires_at > now())';

/** What a request says of who makes it. */
export interface Credentials {
  /** An API key or a browser token; null: none. */
  key: string | null;
  /** A key as a cookie holds it. Counts where there is no key. */
  session?: string | null;
  /** Public IDs of the tenant. Only the operator's key can choose one; any other credential can only name its own. */
  organizationId?: string | null;
  environmentId?: string | null;
}

interface KeyRow {
  id: string;
  environmentId: string;
  organizationId: string;
  scopes: Scope[];
  lastUsedAt: Date | null;
  expiresAt: Date | null;
}

export interface AuthenticatorOptions {
  /** The operator's key; null: there is none. */
  rootKey: string | null;
  /** What it signed and sealed with an old key is still good. */
  keyring: Keyring;
}

/** Tells who makes a request. Keys are read from the database each time, so a revoked one ends at once everywhere. */
export class Authenticator {
  readonly tokens: BrowserTokens;
  readonly #pool: Pool;
  readonly #rootKeyHash: Uint8Array | null;
  readonly #sealedKeys: SealedKeys;
  // Requests of one turn of the event loop share a query; nothing is remembered.
  readonly #keysByHash = new DataLoader((hashes: readonly string[]) => this.#loadKeys('hash', hashes), {
    cache: false,
  });
  readonly #keysById = new DataLoader((ids: readonly string[]) => this.#loadKeys('id', ids), { cache: false });

  constructor(pool: Pool, { rootKey, keyring }: AuthenticatorOptions) {
    this.#pool = pool;
    this.#rootKeyHash = rootKey === null ? null : hashKey(rootKey);
    this.#sealedKeys = new SealedKeys(keyring);
    this.tokens = new BrowserTokens({ keyring, rootKeyHash: this.#rootKeyHash });
  }

  /**
   * @throws {RequestError} UNAUTHENTICATED; BAD_USER_INPUT if the operator names no existing tenant, or a malformed ID is
   *   sent; FORBIDDEN if another credential names a tenant that is not its own
   */
  async authenticate(credentials: Credentials): Promise<Caller> {
    const { key, session } = credentials;
    if (key !== null) return this.#authenticateKey(key, credentials);
    if (!session) throw unauthenticated('An API key is needed: send "Authorization: Bearer" and the key.');
    const sealed = await this.#sealedKeys.open(session);
    if (!sealed) throw unauthenticated('This session has ended. Sign in again.');
    const caller = await this.#authenticateKey(sealed.key, credentials);
    return { ...caller, expiresAt: earlier(caller.expiresAt, sealed.expiresAt) };
  }

  /**
   * Begins the session of a page: 12 h, and no longer than the key or the token lasts.
   *
   * @returns what the page's cookie is to hold
   * @throws {RequestError} UNAUTHENTICATED
   */
  async openSession(key: string): Promise<{ session: string; expiresAt: Date }> {
    const caller = await this.#authenticateKey(key, { key });
    const expiresAt = earlier(caller.expiresAt, new Date(Date.now() + SESSION_MS));
    return { session: await this.#sealedKeys.seal({ key, expiresAt }), expiresAt };
  }

  async #authenticateKey(key: string, credentials: Credentials): Promise<Caller> {
    const hash = hashKey(key);
    if (this.#rootKeyHash && timingSafeEqual(hash, this.#rootKeyHash)) {
      const tenant = await findTenant(this.#pool, credentials);
      return { ...tenant, keyId: null, scopes: SCOPES, isOperator: true, isBrowserToken: false, expiresAt: null };
    }
    if (key.startsWith(TOKEN_PREFIX)) return requireOwnTenant(await this.#authenticateToken(key), credentials);
    const row = await this.#keysByHash.load(Buffer.from(hash).toString('hex'));
    if (!row) throw unauthenticated('This API key is unknown, revoked or expired.');
    this.#touch(row);
    const { id, organizationId, environmentId, scopes, expiresAt } = row;
    const tenant = { organizationId, environmentId, endpointId: null };
    const caller = { ...tenant, keyId: id, scopes, isOperator: false, isBrowserToken: false, expiresAt };
    return requireOwnTenant(caller, credentials);
  }

  /** A token is good for as long as the key that made it is, and allows no more than that. */
  async #authenticateToken(token: string): Promise<Caller> {
    const claims = await this.tokens.verify(token);
    if (!claims) throw unauthenticated('This browser token is not valid, or has expired. Make a new one.');
    const caller = { ...claims, isOperator: false, isBrowserToken: true };
    if (claims.keyId === null) return caller;
    const maker = await this.#keysById.load(claims.keyId);
    if (!maker) throw unauthenticated('The API key that made this browser token was revoked or has expired.');
    const scopes = claims.scopes.filter((scope) => maker.scopes.includes(scope));
    return { ...caller, scopes, expiresAt: earlier(maker.expiresAt, claims.expiresAt) };
  }

  /** Which of these keys are good still. @param keyIds UUIDs */
  async findGoodKeys(keyIds: string[]): Promise<Set<string>> {
    const { rows } = await this.#pool.query({
      name: 'find-good-keys',
      text: `select id from api_keys k where id = any($1) and ${IS_GOOD}`,
      values: [keyIds],
    });
    return new Set(rows.map((row) => row.id));
  }

  async #loadKeys(by: 'hash' | 'id', wanted: readonly string[]): Promise<(KeyRow | null)[]> {
    const column = by === 'hash' ? 'key_hash' : 'id';
    const distinct = [...new Set(wanted)];
    const { rows } = await this.#pool.query({
      name: `load-api-keys-by-${by}`,
      text: `
        select encode(k.key_hash, 'hex') as hash, k.id, k.environment_id as "environmentId",
          e.organization_id as "organizationId", array_to_json(k.scopes) as scopes, k.last_used_at as "lastUsedAt",
          k.expires_at as "expiresAt"
        from api_keys k join environments e on e.id = k.environment_id
        where k.${column} = any($1) and ${IS_GOOD}`,
      values: [by === 'hash' ? distinct.map((hex) => Buffer.from(hex, 'hex')) : distinct],
    });
    const found = new Map(rows.map((row) => [row[by], row]));
    return wanted.map((value) => found.get(value) ?? null);
  }

  #touch({ id, lastUsedAt }: KeyRow) {
    const now = new Date();
    const isFresh = lastUsedAt && now.getTime() - lastUsedAt.getTime() < LAST_USED_GRAIN_MS;
    if (isFresh) return;
    const oldest = new Date(now.getTime() - LAST_USED_GRAIN_MS);
    this.#pool
      .query('update api_keys set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $3)', [
        id,
        now,
        oldest,
      ])
      // Tells only when a key was last used: the request goes on without it.
      .catch(() => {});
  }
}

const earlier = (a: Date | null, b: Date): Date => (a !== null && a < b ? a : b);

const unauthenticated = (message: string) => new RequestError('UNAUTHENTICATED', message);

/**
 * Refuses a credential that names another tenant: what its caller believes to change would be changed elsewhere.
 *
 * @throws {RequestError} FORBIDDEN, whether or not the named tenant exists; BAD_USER_INPUT if an ID is malformed
 */
function requireOwnTenant<C extends Caller>(caller: C, { organizationId, environmentId }: Credentials): C {
  requireOwn(
    'x-organization-id',
    organizationId && readTenantId('Organization', organizationId),
    caller.organizationId,
  );
  requireOwn('x-environment-id', environmentId && readTenantId('Environment', environmentId), caller.environmentId);
  return caller;
}

function requireOwn(header: string, named: string | null | undefined, own: string) {
  if (!named || named === own) return;
  const message = `${header} names another tenant than the one this key acts in. Omit the header, or use a key of that tenant.`;
  throw new RequestError('FORBIDDEN', message);
}

function readTenantId(kind: 'Organization' | 'Environment', publicId: string): string {
  const id = decodeId(kind, publicId);
  if (id !== null) return id;
  const header = kind === 'Organization' ? 'x-organization-id' : 'x-environment-id';
  throw new RequestError(
    'BAD_USER_INPUT',
    `${header} is not the ID of an ${kind.toLowerCase()}. Pass one, or omit it.`,
  );
}

const TENANT = 'select id as "environmentId", organization_id as "organizationId" from environments';
const FIND_BY_ID = `${TENANT} where id = $1 and ($2::uuid is null or organization_id = $2)`;
const FIND_FIRST = `${TENANT} where name = '${FIRST_ENVIRONMENT_NAME}' and organization_id = $1`;

/** The tenant that the operator's key names by public IDs; an organization alone means its first environment. */
async function findTenant(pool: Pool, { organizationId, environmentId }: Credentials): Promise<Tenant> {
  if (!organizationId && !environmentId) return DEFAULT_TENANT;
  const organization = organizationId ? decodeId('Organization', organizationId) : undefined;
  const environment = environmentId ? decodeId('Environment', environmentId) : undefined;
  const query = environment
    ? { name: 'find-tenant', text: FIND_BY_ID, values: [environment, organization] }
    : { name: 'find-first-tenant', text: FIND_FIRST, values: [organization] };
  const found = organization === null || environment === null ? null : (await pool.query(query)).rows[0];
  if (!found) {
    const message = 'x-organization-id or x-environment-id name no organization and environment that belong together.';
    throw new RequestError('BAD_USER_INPUT', message);
  }
  return { ...found, endpointId: null };
}
