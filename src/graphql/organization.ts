import { createOrganization } from '../access/organizations.ts';
import { visibleOrganizations } from '../access/visible.ts';
import { InvalidInputError } from '../errors.ts';
import type { Organization } from '../generated/prisma/client.ts';
import { builder } from './builder.ts';

export const OrganizationRef = builder.prismaNode('Organization', {
  description: 'A tenant.',
  id: { resolve: (organization) => organization.id },
  findUnique: (id, { caller }) => ({ ...visibleOrganizations(caller), id }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name, for people.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

const CreateOrganizationInput = builder.inputType('CreateOrganizationInput', {
  description: 'What `createOrganization` takes.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Its name, for people: 1 to 128 characters.' }),
  }),
});

const CreateOrganizationPayload = builder
  .objectRef<{ organization: Organization; environment: { id: string } }>('CreateOrganizationPayload')
  .implement({
    description: 'The organization that was made.',
    fields: (t) => ({
      organization: t.field({ type: OrganizationRef, description: 'It.', resolve: (payload) => payload.organization }),
      environment: t.prismaField({
        type: 'Environment',
        description: 'Its first environment, named production.',
        resolve: (query, payload, _, { services }) =>
          services.prisma.environment.findUniqueOrThrow({ ...query, where: { id: payload.environment.id } }),
      }),
    }),
  });

builder.mutationField('createOrganization', (t) =>
  t.field({
    type: CreateOrganizationPayload,
    description: "Makes an organization with its first environment. Needs the operator's key.",
    authScopes: { operator: true },
    errors: {
      types: [InvalidInputError],
      union: { name: 'CreateOrganizationResult', description: 'What `createOrganization` answers.' },
    },
    args: {
      input: t.arg({ type: CreateOrganizationInput, required: true, description: 'The organization to make.' }),
    },
    resolve: (_, { input }, { services }) => createOrganization(services.prisma, input),
  }),
);
