import { queryFromInfo } from '@pothos/plugin-prisma';
import { createApiKey, revokeApiKey } from '../access/api-keys.ts';
import { visibleApiKeys } from '../access/visible.ts';
import { NAME_MAX_CHARS } from '../domain/validation.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { builder } from './builder.ts';
import { EnvironmentRef } from './environment.ts';
import { decodeInput } from './ids.ts';
import { atMost, ENUM_ENTRIES_MAX } from './input-limits.ts';
import { loadNestedPage, pageComplexity, readPage } from './pages.ts';
import { selectInPayload } from './selection.ts';

export const ScopeRef = builder.enumType('Scope', {
  description: 'What an API key may do.',
  values: {
    EVENTS_PUBLISH: { description: 'Publish events.' },
    DELIVERIES_READ: { description: 'Read events, deliveries, attempts and endpoints, and follow live feeds.' },
    DELIVERIES_RETRY: { description: 'Retry, cancel and record deliveries, and read what these answer.' },
    ENDPOINTS_MANAGE: { description: 'Read and change endpoints.' },
    API_KEYS_MANAGE: { description: 'Make environments, and make and revoke API keys.' },
  } as const,
});

const ApiKeyRef = builder.prismaNode('ApiKey', {
  description: 'Lets a program or a person in. The key itself is shown once, and stored as a hash.',
  select: { id: true },
  id: { resolve: (apiKey) => apiKey.id },
  findUnique: (id, { caller }) => ({ ...visibleApiKeys(caller), id }),
  authScopes: { scope: 'API_KEYS_MANAGE' },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What it is for.' }),
    prefix: t.exposeString('prefix', {
      nullable: true,
      description: 'How the key begins, to tell it from others; null: it was made before this was kept.',
    }),
    scopes: t.expose('scopes', { type: [ScopeRef], description: 'What it may do.' }),
    environment: t.relation('environment', { description: 'The environment that it acts in.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute; null: never.',
    }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true, description: 'When it ends; null: never.' }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked; null: it was not.',
    }),
  }),
});

builder.prismaObjectField(EnvironmentRef, 'apiKeys', (t) =>
  t.connection(
    {
      type: ApiKeyRef,
      description:
        'Its API keys that the caller may see, newest first, also those that ended: a key sees those of its own environment.',
      authScopes: { scope: 'API_KEYS_MANAGE' },
      complexity: pageComplexity,
      resolve: ({ id }, args, context, info) => {
        const { services, caller } = context;
        const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
        return loadNestedPage(context, info, {
          page: readPage('ApiKey', args),
          parentId: id,
          table: 'api_keys',
          parentColumn: 'environment_id',
          findMany: (ids) =>
            services.prisma.apiKey.findMany({ ...query, where: { ...visibleApiKeys(caller), id: { in: ids } } }),
        });
      },
    },
    { name: 'ApiKeyConnection', description: 'A page of API keys, newest first.' },
    { name: 'ApiKeyEdge', description: 'An API key in its place.' },
  ),
);

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'What `createApiKey` takes.',
  fields: (t) => ({
    environmentId: t.id({ required: true, description: 'The environment that the key is to act in.' }),
    name: t.string({
      required: true,
      description: 'What it is for: 1 to 128 characters.',
      ...atMost({ chars: NAME_MAX_CHARS }),
    }),
    scopes: t.field({
      type: [ScopeRef],
      required: true,
      description: 'What it may do: at least one, and none that your own key lacks.',
      ...atMost({ entries: ENUM_ENTRIES_MAX }),
    }),
    expiresAt: t.field({
      type: 'DateTime',
      description:
        'When it expires, in the future. If omitted, never. If your own key expires, required, and at most when it does.',
    }),
  }),
});

const CreateApiKeyPayload = builder
  .objectRef<{ apiKey: { id: string }; secret: string }>('CreateApiKeyPayload')
  .implement({
    description: 'The API key that was made.',
    fields: (t) => ({
      apiKey: t.field({ type: ApiKeyRef, description: 'What is stored of it.', resolve: (payload) => payload.apiKey }),
      secret: t.exposeString('secret', { description: 'The key itself. Shown this once.' }),
    }),
  });

builder.mutationField('createApiKey', (t) =>
  t.field({
    type: CreateApiKeyPayload,
    description: 'Makes an API key.',
    authScopes: { scope: 'API_KEYS_MANAGE' },
    errors: {
      types: [InvalidInputError, NotFoundError],
      union: { name: 'CreateApiKeyResult', description: 'What `createApiKey` answers.' },
    },
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'The key to make.' }) },
    resolve: (_, args, context, info) => {
      const { services, caller } = context;
      const input = {
        ...args.input,
        environmentId: decodeInput('Environment', args.input.environmentId, 'environmentId'),
      };
      return createApiKey(services.prisma, caller, {
        input,
        select: selectInPayload(context, info, { field: 'apiKey', always: { id: true } }),
      });
    },
  }),
);

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'What `revokeApiKey` takes.',
  fields: (t) => ({ apiKeyId: t.id({ required: true, description: 'The key to revoke.' }) }),
});

const RevokeApiKeyPayload = builder.objectRef<{ apiKey: { id: string } }>('RevokeApiKeyPayload').implement({
  description: 'The API key that was revoked.',
  fields: (t) => ({
    apiKey: t.field({ type: ApiKeyRef, description: 'It.', resolve: (payload) => payload.apiKey }),
  }),
});

builder.mutationField('revokeApiKey', (t) =>
  t.field({
    type: RevokeApiKeyPayload,
    description: 'Ends an API key at once.',
    authScopes: { scope: 'API_KEYS_MANAGE' },
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'RevokeApiKeyResult', description: 'What `revokeApiKey` answers.' },
    },
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true, description: 'The key to revoke.' }) },
    resolve: async (_, { input }, context, info) => {
      const { services, caller } = context;
      const apiKeyId = decodeInput('ApiKey', input.apiKeyId, 'apiKeyId');
      const select = selectInPayload(context, info, { field: 'apiKey', always: { id: true } });
      return { apiKey: await revokeApiKey(services.prisma, caller, { apiKeyId, select }) };
    },
  }),
);
