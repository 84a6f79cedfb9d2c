import { timingSafeEqual } from 'node:crypto';
import DataLoader from 'dataloader';
import { decodeId } from '../domain/ids.ts';
import { RequestError } from '../errors.ts';
import type { PrismaClient } from '../generated/prisma/client.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import type { Database } from '../storage/database.ts';
import { hashKey } from './api-keys.ts';
import { type Caller, SCOPES } from './caller.ts';
import { DEFAULT_TENANT, FIRST_ENVIRONMENT_NAME } from './organizations.ts';

/** `lastUsedAt` is written once in this time for each key, not once a request. */
const LAST_USED_GRAIN_MS = 60_000;

const IS_GOOD = 'k.revoked_at is null and (k.expires_at is null or k.expires_at > now())';

/** What a request says of who makes it. */
export interface Credentials {
  key: string | null;
  /** Public IDs that the operator's key may name. */
  organizationId?: string | null;
  environmentId?: string | null;
}

interface KeyRow {
  id: string;
  environmentId: string;
  organizationId: string;
  scopes: Scope[];
  lastUsedAt: Date | null;
}

/** Tells who makes a request. Keys are read from the database each time, so a revoked one ends at once everywhere. */
export class Authenticator {
  readonly #database: Database;
  readonly #rootKeyHash: Uint8Array | null;
  readonly #keys: DataLoader<string, KeyRow | null>;

  /** @param rootKey the operator's key; null: there is none */
  constructor(database: Database, rootKey: string | null) {
    this.#database = database;
    this.#rootKeyHash = rootKey === null ? null : hashKey(rootKey);
    // Requests of one turn of the event loop share a query; nothing is remembered.
    this.#keys = new DataLoader((hashes) => this.#loadKeys(hashes), { cache: false });
  }

  /** @throws {RequestError} UNAUTHENTICATED; BAD_USER_INPUT where the operator names a tenant that is none */
  async authenticate(credentials: Credentials): Promise<Caller> {
    if (!credentials.key) throw unauthenticated('An API key is needed: send "Authorization: Bearer" and the key.');
    const hash = hashKey(credentials.key);
    if (this.#rootKeyHash && timingSafeEqual(hash, this.#rootKeyHash)) {
      return {
        ...(await findTenant(this.#database.prisma, credentials)),
        keyId: null,
        scopes: SCOPES,
        isOperator: true,
      };
    }
    const row = await this.#keys.load(Buffer.from(hash).toString('hex'));
    if (!row) throw unauthenticated('This API key is unknown, revoked or expired.');
    this.#touch(row);
    const { id, organizationId, environmentId, scopes } = row;
    return { keyId: id, organizationId, environmentId, scopes, isOperator: false };
  }

  /** Which of these keys are good still. @param keyIds UUIDs */
  async findGoodKeys(keyIds: string[]): Promise<Set<string>> {
    const { rows } = await this.#database.pool.query({
      name: 'find-good-keys',
      text: `select id from api_keys k where id = any($1) and ${IS_GOOD}`,
      values: [keyIds],
    });
    return new Set(rows.map((row) => row.id));
  }

  async #loadKeys(hashes: readonly string[]): Promise<(KeyRow | null)[]> {
    const { rows } = await this.#database.pool.query({
      name: 'load-api-keys',
      text: `
        select encode(k.key_hash, 'hex') as hash, k.id, k.environment_id as "environmentId",
          e.organization_id as "organizationId", array_to_json(k.scopes) as scopes, k.last_used_at as "lastUsedAt"
        from api_keys k join environments e on e.id = k.environment_id
        where k.key_hash = any($1) and ${IS_GOOD}`,
      values: [[...new Set(hashes)].map((hash) => Buffer.from(hash, 'hex'))],
    });
    const byHash = new Map(rows.map((row) => [row.hash, row]));
    return hashes.map((hash) => byHash.get(hash) ?? null);
  }

  #touch({ id, lastUsedAt }: KeyRow) {
    const now = new Date();
    const isFresh = lastUsedAt && now.getTime() - lastUsedAt.getTime() < LAST_USED_GRAIN_MS;
    if (isFresh) return;
    const oldest = new Date(now.getTime() - LAST_USED_GRAIN_MS);
    this.#database.pool
      .query('update api_keys set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $3)', [
        id,
        now,
        oldest,
      ])
      // Tells only when a key was last used: the request goes on without it.
      .catch(() => {});
  }
}

const unauthenticated = (message: string) => new RequestError('UNAUTHENTICATED', message);

/** The tenant that the operator's key names by public IDs; an organization alone means its first environment. */
async function findTenant(prisma: PrismaClient, { organizationId, environmentId }: Credentials) {
  if (!organizationId && !environmentId) return DEFAULT_TENANT;
  const organization = organizationId ? decodeId('Organization', organizationId) : undefined;
  const environment = environmentId ? decodeId('Environment', environmentId) : undefined;
  const found =
    organization === null || environment === null
      ? null
      : await prisma.environment.findFirst({
          where: {
            organizationId: organization,
            ...(environment ? { id: environment } : { name: FIRST_ENVIRONMENT_NAME }),
          },
        });
  if (!found) {
    const message = 'x-organization-id or x-environment-id name no organization and environment that belong together.';
    throw new RequestError('BAD_USER_INPUT', message);
  }
  return { organizationId: found.organizationId, environmentId: found.id };
}
