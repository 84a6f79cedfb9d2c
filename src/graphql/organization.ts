import { queryFromInfo } from '@pothos/plugin-prisma';
import { createOrganization, ENVIRONMENTS_MAX } from '../access/organizations.ts';
import { visibleEnvironments, visibleOrganizations } from '../access/visible.ts';
import { NAME_MAX_CHARS } from '../domain/validation.ts';
import { InvalidInputError } from '../errors.ts';
import { builder } from './builder.ts';
import { atMost } from './input-limits.ts';
import { pageComplexity, pageQuery, readPage, toConnection } from './pages.ts';

export const OrganizationRef = builder.prismaNode('Organization', {
  description: 'A tenant.',
  select: { id: true },
  id: { resolve: (organization) => organization.id },
  findUnique: (id, { caller }) => ({ ...visibleOrganizations(caller), id }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name, for people.' }),
    environments: t.relation('environments', {
      description: 'Its environments that the caller may see, oldest first: 100 at most.',
      query: (_, { caller }) => ({
        where: visibleEnvironments(caller),
        orderBy: { id: 'asc' },
        take: ENVIRONMENTS_MAX,
      }),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

builder.queryField('organizations', (t) =>
  t.connection(
    {
      type: OrganizationRef,
      description: "Organizations that the caller may see, newest first: its own one; with the operator's key, all.",
      complexity: pageComplexity,
      resolve: async (_, args, context, info) => {
        const page = readPage('Organization', args);
        const { where: keys, ...rest } = pageQuery(page);
        const where = { AND: [visibleOrganizations(context.caller), keys] };
        const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
        const { organization } = context.services.prisma;
        return toConnection(page, await organization.findMany({ ...query, ...rest, where }));
      },
    },
    { name: 'OrganizationConnection', description: 'A page of organizations, newest first.' },
    { name: 'OrganizationEdge', description: 'An organization in its place.' },
  ),
);

const CreateOrganizationInput = builder.inputType('CreateOrganizationInput', {
  description: 'What `createOrganization` takes.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'Its name, for people: 1 to 128 characters.',
      ...atMost({ chars: NAME_MAX_CHARS }),
    }),
  }),
});

const CreateOrganizationPayload = builder
  .objectRef<{ organizationId: string; environmentId: string }>('CreateOrganizationPayload')
  .implement({
    description: 'The organization that was made.',
    fields: (t) => ({
      organization: t.prismaField({
        type: 'Organization',
        description: 'It.',
        resolve: (query, { organizationId }, _, { services }) =>
          services.prisma.organization.findUniqueOrThrow({ ...query, where: { id: organizationId } }),
      }),
      environment: t.prismaField({
        type: 'Environment',
        description: 'Its first environment, named production.',
        resolve: (query, { environmentId }, _, { services }) =>
          services.prisma.environment.findUniqueOrThrow({ ...query, where: { id: environmentId } }),
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
