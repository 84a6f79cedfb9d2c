import { z } from 'zod';
import { newId } from '../domain/ids.ts';
import type { Tenant } from '../domain/tenant.ts';
import { NAME_SCHEMA, parseInput } from '../domain/validation.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { Prisma, type PrismaClient } from '../generated/prisma/client.ts';
import type { Caller } from './caller.ts';

/** The tenant that the operator's key acts in unless it names another. Made by the first migration. */
export const DEFAULT_TENANT: Tenant = {
  organizationId: '00000000-0000-7000-8000-000000000001',
  environmentId: '00000000-0000-7000-8000-000000000002',
  endpointId: null,
};

/** Every organization's first environment. */
export const FIRST_ENVIRONMENT_NAME = 'production';

/** Environments of an organization. */
export const ENVIRONMENTS_MAX = 100;

const inputSchema = z.object({ name: NAME_SCHEMA });

/** Makes an organization with its first environment. @returns their IDs. @throws {InvalidInputError} */
export async function createOrganization(prisma: PrismaClient, input: { name: string }) {
  const { name } = parseInput(inputSchema, input);
  const [organizationId, environmentId] = [newId(), newId()];
  await prisma.organization.create({
    select: { id: true },
    data: { id: organizationId, name, environments: { create: { id: environmentId, name: FIRST_ENVIRONMENT_NAME } } },
  });
  return { organizationId, environmentId };
}

/**
 * Makes an environment in an organization.
 *
 * @returns its ID
 * @throws {InvalidInputError} also where the organization has one of that name, or as many as there may be
 * @throws {NotFoundError} where the organization is not one that the caller may act in
 */
export async function createEnvironment(
  prisma: PrismaClient,
  caller: Caller,
  input: { organizationId: string; name: string },
) {
  const { name } = parseInput(inputSchema, input);
  const isForeign = !caller.isOperator && caller.organizationId !== input.organizationId;
  const organization = isForeign
    ? null
    : await prisma.organization.findUnique({ select: { id: true }, where: { id: input.organizationId } });
  if (!organization) throw new NotFoundError('There is no organization with this ID.');
  try {
    return await prisma.$transaction(async (transaction) => {
      await requireRoom(transaction, organization.id);
      const data = { id: newId(), organizationId: organization.id, name };
      return (await transaction.environment.create({ select: { id: true }, data })).id;
    });
  } catch (error) {
    // P2002: a unique constraint failed. The only one here is on organization and name.
    if (!(error instanceof Prisma.PrismaClientKnownRequestError) || error.code !== 'P2002') throw error;
    const message = `is taken by another environment of this organization.`;
    throw new InvalidInputError([{ path: ['name'], message }]);
  }
}

/** Holds the organization's row, so that those who come together are counted. @throws {InvalidInputError} */
async function requireRoom(transaction: Prisma.TransactionClient, organizationId: string) {
  await transaction.$executeRaw`select 1 from organizations where id = ${organizationId}::uuid for no key update`;
  if ((await transaction.environment.count({ where: { organizationId } })) < ENVIRONMENTS_MAX) return;
  const message = `has ${ENVIRONMENTS_MAX} environments already, the most there can be. Take one of them, or make another organization.`;
  throw new InvalidInputError([{ path: ['organizationId'], message }]);
}
