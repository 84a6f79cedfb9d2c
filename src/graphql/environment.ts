import { createEnvironment } from '../access/organizations.ts';
import { visibleEnvironments } from '../access/visible.ts';
import { NAME_MAX_CHARS } from '../domain/validation.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { builder } from './builder.ts';
import { decodeInput } from './ids.ts';
import { atMost } from './input-limits.ts';

export const EnvironmentRef = builder.prismaNode('Environment', {
  description: 'A walled part of an organization, such as production or test. Everything else belongs to one.',
  select: { id: true },
  id: { resolve: (environment) => environment.id },
  findUnique: (id, { caller }) => ({ ...visibleEnvironments(caller), id }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name, for people; unique in its organization.' }),
    organization: t.relation('organization', { description: 'The organization that it is part of.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

const CreateEnvironmentInput = builder.inputType('CreateEnvironmentInput', {
  description: 'What `createEnvironment` takes.',
  fields: (t) => ({
    organizationId: t.id({ required: true, description: 'Organization that it is to be part of.' }),
    name: t.string({
      required: true,
      description: 'Its name: 1 to 128 characters, unique in the organization.',
      ...atMost({ chars: NAME_MAX_CHARS }),
    }),
  }),
});

const CreateEnvironmentPayload = builder.objectRef<{ environmentId: string }>('CreateEnvironmentPayload').implement({
  description: 'The environment that was made.',
  fields: (t) => ({
    environment: t.prismaField({
      type: 'Environment',
      description: 'It.',
      resolve: (query, { environmentId }, _, { services }) =>
        services.prisma.environment.findUniqueOrThrow({ ...query, where: { id: environmentId } }),
    }),
  }),
});

builder.mutationField('createEnvironment', (t) =>
  t.field({
    type: CreateEnvironmentPayload,
    description: 'Makes an environment. An organization has 100 at most.',
    authScopes: { scope: 'API_KEYS_MANAGE' },
    errors: {
      types: [InvalidInputError, NotFoundError],
      union: { name: 'CreateEnvironmentResult', description: 'What `createEnvironment` answers.' },
    },
    args: {
      input: t.arg({ type: CreateEnvironmentInput, required: true, description: 'The environment to make.' }),
    },
    resolve: async (_, { input }, { services, caller }) => {
      const organizationId = decodeInput('Organization', input.organizationId, 'organizationId');
      return { environmentId: await createEnvironment(services.prisma, caller, { organizationId, name: input.name }) };
    },
  }),
);
