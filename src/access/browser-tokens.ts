import { createHmac } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { Keyring } from '../domain/sealing.ts';
import { parseInput } from '../domain/validation.ts';
import { NotFoundError } from '../errors.ts';
import type { PrismaClient } from '../generated/prisma/client.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import type { Caller } from './caller.ts';
import { FIRST_ENVIRONMENT_NAME } from './organizations.ts';
import { tryEach } from './try-each.ts';

/** Begins every token, so that scanners of leaked secrets can tell one. */
export const TOKEN_PREFIX = 'pht_';

const EXPIRES_IN_SECONDS_DEFAULT = 900;
const EXPIRES_IN_SECONDS_MIN = 60;
const EXPIRES_IN_SECONDS_MAX = 86_400;
const EXPIRES_IN_RULE = `must be from ${EXPIRES_IN_SECONDS_MIN} to ${EXPIRES_IN_SECONDS_MAX}.`;

const ALGORITHM = 'HS256';

/** What a token says. IDs are UUIDs. */
export interface BrowserTokenClaims {
  organizationId: string;
  environmentId: string;
  /** Null: all of the environment. */
  endpointId: string | null;
  scopes: Scope[];
  /** Of the API key that made it; null: the operator's. */
  keyId: string | null;
  /** To the second. */
  expiresAt: Date;
}

const claimsSchema = z.object({
  org: z.uuid(),
  env: z.uuid(),
  ep: z.uuid().nullable(),
  scopes: z.array(z.enum(['DELIVERIES_READ', 'DELIVERIES_RETRY'])),
  key: z.uuid().nullable(),
  /** Of the operator's key; null where an API key made the token. */
  operator: z.string().nullable(),
  exp: z.number(),
});

export interface BrowserTokensOptions {
  /** What is signed with an old key still verifies. */
  keyring: Keyring;
  /** SHA-256 of the operator's key; null: there is none, and its tokens are good for nothing. */
  rootKeyHash: Uint8Array | null;
}

/** Signs browser tokens and verifies them: JWTs (RFC 7519) under a key that all processes of a deployment share. */
export class BrowserTokens {
  readonly #keys: Uint8Array[];
  readonly #rootKeyHash: Uint8Array | null;

  constructor({ keyring, rootKeyHash }: BrowserTokensOptions) {
    this.#keys = keyring.derive('browser tokens');
    this.#rootKeyHash = rootKeyHash;
  }

  async sign({ organizationId, environmentId, endpointId, scopes, keyId, expiresAt }: BrowserTokenClaims) {
    const key = this.#keys[0] as Uint8Array;
    const operator = keyId === null ? this.#markOperator(key) : null;
    const claims = { org: organizationId, env: environmentId, ep: endpointId, scopes, key: keyId, operator };
    const jwt = new SignJWT(claims).setProtectedHeader({ alg: ALGORITHM }).setExpirationTime(expiresAt);
    return TOKEN_PREFIX + (await jwt.sign(key));
  }

  /** @returns null where it was not signed here, was changed, has ended, or was made by an operator's key of the past */
  verify(token: string): Promise<BrowserTokenClaims | null> {
    const jwt = token.slice(TOKEN_PREFIX.length);
    return tryEach(this.#keys, async (key) => {
      try {
        const { payload } = await jwtVerify(jwt, key, { algorithms: [ALGORITHM] });
        const claims = claimsSchema.safeParse(payload);
        return claims.success ? this.#readClaims(claims.data, key) : null;
      } catch (error) {
        if (error instanceof errors.JOSEError) return null;
        throw error;
      }
    });
  }

  #readClaims(claims: z.output<typeof claimsSchema>, signingKey: Uint8Array): BrowserTokenClaims | null {
    const mark = this.#markOperator(signingKey);
    if (claims.key === null && (mark === null || claims.operator !== mark)) return null;
    return {
      organizationId: claims.org,
      environmentId: claims.env,
      endpointId: claims.ep,
      scopes: claims.scopes,
      keyId: claims.key,
      expiresAt: new Date(claims.exp * 1_000),
    };
  }

  /** Tells one operator's key from another, to nobody but Posthorn: their tokens end when the key is changed. */
  #markOperator(signingKey: Uint8Array): string | null {
    if (this.#rootKeyHash === null) return null;
    return createHmac('sha256', signingKey).update(this.#rootKeyHash).digest('base64url');
  }
}

export interface CreateBrowserTokenInput {
  /** UUID of an endpoint in the environment that the caller acts in; or else of an environment, for all of it. */
  endpointId?: string;
  environmentId?: string;
  /** Or else of an organization, for its first environment. */
  organizationId?: string;
  /** @default 900 */
  expiresInSeconds?: number | null;
  /** @default false */
  allowRetry?: boolean | null;
}

/** @param mayRetry whether the caller may itself: nobody gives away what they don't have */
const inputSchema = (mayRetry: boolean) =>
  z
    .object({
      endpointId: z.string().optional(),
      environmentId: z.string().optional(),
      organizationId: z.string().optional(),
      expiresInSeconds: z
        .int(EXPIRES_IN_RULE)
        .min(EXPIRES_IN_SECONDS_MIN, EXPIRES_IN_RULE)
        .max(EXPIRES_IN_SECONDS_MAX, EXPIRES_IN_RULE)
        .nullish(),
      allowRetry: z
        .boolean()
        .refine((asked) => mayRetry || !asked, 'needs the scope DELIVERIES_RETRY, which your own key lacks.')
        .nullish(),
    })
    // An ID that a program leaves out by mistake must not show more.
    .refine((given) => [given.endpointId, given.environmentId, given.organizationId].filter(Boolean).length === 1, {
      path: ['endpointId'],
      error: 'give exactly one of endpointId, environmentId and organizationId.',
    });

/**
 * Makes a token that shows an environment, or one endpoint of it, for a short time. It ends with the caller's key.
 *
 * @throws {InvalidInputError}
 * @throws {NotFoundError} where the environment or the endpoint is not one that the caller may act in
 */
export async function createBrowserToken(
  { prisma, tokens }: { prisma: PrismaClient; tokens: BrowserTokens },
  caller: Caller,
  input: CreateBrowserTokenInput,
) {
  const checked = parseInput(inputSchema(caller.scopes.includes('DELIVERIES_RETRY')), input);
  const { expiresInSeconds, allowRetry } = checked;
  const scopes: Scope[] = allowRetry ? ['DELIVERIES_READ', 'DELIVERIES_RETRY'] : ['DELIVERIES_READ'];
  const tenant = await findTenant(prisma, caller, checked);
  const endsAt = Date.now() + (expiresInSeconds ?? EXPIRES_IN_SECONDS_DEFAULT) * 1_000;
  // Tokens count in seconds.
  const endsAtSecond = Math.floor(Math.min(endsAt, caller.expiresAt?.getTime() ?? endsAt) / 1_000);
  const expiresAt = new Date(endsAtSecond * 1_000);
  return { token: await tokens.sign({ ...tenant, scopes, keyId: caller.keyId, expiresAt }), expiresAt };
}

/** @throws {NotFoundError} */
async function findTenant(
  prisma: PrismaClient,
  caller: Caller,
  { environmentId, endpointId, organizationId }: CreateBrowserTokenInput,
) {
  const own = caller.isOperator ? {} : { AND: { id: caller.environmentId } };
  const asked = organizationId
    ? { organizationId, name: FIRST_ENVIRONMENT_NAME }
    : { id: environmentId ?? caller.environmentId };
  const environment = await prisma.environment.findFirst({
    select: { id: true, organizationId: true },
    where: { ...asked, ...own },
  });
  if (!environment) {
    throw new NotFoundError(`There is no ${organizationId ? 'organization' : 'environment'} with this ID.`);
  }
  if (endpointId !== undefined) {
    const where = { id: endpointId, environmentId: environment.id, deletedAt: null };
    const endpoint = await prisma.endpoint.findFirst({ select: { id: true }, where });
    if (!endpoint) throw new NotFoundError('There is no endpoint with this ID.');
  }
  return { organizationId: environment.organizationId, environmentId: environment.id, endpointId: endpointId ?? null };
}
