import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { newId } from '../domain/ids.ts';
import { NAME_SCHEMA, parseInput } from '../domain/validation.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import type { PrismaClient } from '../generated/prisma/client.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import type { Caller } from './caller.ts';

/** Columns to read of a row: at least its ID. */
export interface RowSelect {
  id: true;
}

/** Begins every key, so that scanners of leaked secrets can tell one. */
const KEY_PREFIX = 'phk_';
const KEY_BYTES = 32;
/** What is kept of a key in clear, so that people can tell keys apart: 48 of its 256 random bits. */
const SHOWN_CHARS = KEY_PREFIX.length + 8;

export interface CreateApiKeyInput {
  environmentId: string;
  name: string;
  scopes: Scope[];
  expiresAt?: Date | null;
}

const inputSchema = z.object({
  name: NAME_SCHEMA,
  scopes: z.array(z.string()).min(1, 'must name at least one scope.'),
  expiresAt: z
    .date()
    .refine((at) => at > new Date(), 'must be in the future.')
    .nullish(),
});

/** What is stored of a key: its SHA-256. A key has 256 random bits, so no slow hash is needed. */
export const hashKey = (key: string): Uint8Array<ArrayBuffer> =>
  createHash('sha256').update(key).digest() as Uint8Array<ArrayBuffer>;

/**
 * Makes an API key for an environment.
 *
 * @param select columns to return of the stored row
 * @returns them, and the key itself, which nobody can read later
 * @throws {InvalidInputError}
 * @throws {NotFoundError} where the environment is not one that the caller may act in
 */
export async function createApiKey<Select extends RowSelect>(
  prisma: PrismaClient,
  caller: Caller,
  { input, select }: { input: CreateApiKeyInput; select: Select },
) {
  const { name, expiresAt } = parseInput(inputSchema, input);
  requireScopes(caller, input.scopes);
  await requireNoLongerLife(prisma, caller, expiresAt ?? null);
  const own = caller.isOperator ? {} : { AND: { id: caller.environmentId } };
  const where = { id: input.environmentId, ...own };
  const environment = await prisma.environment.findFirst({ select: { id: true }, where });
  if (!environment) throw new NotFoundError('There is no environment with this ID.');
  const secret = KEY_PREFIX + randomBytes(KEY_BYTES).toString('base64url');
  const apiKey = await prisma.apiKey.create({
    select,
    data: {
      id: newId(),
      environmentId: environment.id,
      name,
      scopes: [...new Set(input.scopes)],
      expiresAt: expiresAt ?? null,
      keyHash: hashKey(secret),
      prefix: secret.slice(0, SHOWN_CHARS),
    },
  });
  return { apiKey, secret };
}

/** Nobody gives away what they don't have. */
function requireScopes(caller: Caller, scopes: Scope[]) {
  const missing = scopes.filter((scope) => !caller.scopes.includes(scope));
  parseInput(
    z.object({
      scopes: z.array(z.string()).length(0, `may not include what your own key lacks: ${missing.join(', ')}.`),
    }),
    { scopes: missing },
  );
}

/**
 * A key creates nothing that outlives it. Its own expiry counts, not that of the session in which a person uses it. The
 * operator's key does not expire.
 *
 * @param expiresAt of the key to create; null: never
 */
async function requireNoLongerLife(prisma: PrismaClient, { keyId }: Caller, expiresAt: Date | null) {
  if (keyId === null) return;
  const own = await prisma.apiKey.findUniqueOrThrow({ select: { expiresAt: true }, where: { id: keyId } });
  if (own.expiresAt === null || (expiresAt !== null && expiresAt <= own.expiresAt)) return;
  const limit = own.expiresAt.toISOString();
  throw new InvalidInputError([
    { path: ['expiresAt'], message: `must be at most ${limit}, when your own key expires. Pass an earlier time.` },
  ]);
}

/**
 * Ends a key at once; one that is revoked already stays as it is.
 *
 * @param select columns to return of its row
 * @throws {NotFoundError}
 */
export async function revokeApiKey<Select extends RowSelect>(
  prisma: PrismaClient,
  caller: Caller,
  { apiKeyId, select }: { apiKeyId: string; select: Select },
) {
  const own = caller.isOperator ? {} : { environmentId: caller.environmentId };
  const where = { id: apiKeyId, ...own };
  const apiKey = await prisma.apiKey.findFirst({ select: { revokedAt: true }, where });
  if (!apiKey) throw new NotFoundError('There is no API key with this ID.');
  if (apiKey.revokedAt) return prisma.apiKey.findUniqueOrThrow({ select, where });
  return prisma.apiKey.update({ select, where, data: { revokedAt: new Date() } });
}
