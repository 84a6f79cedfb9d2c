import type { Caller } from '../access/caller.ts';
import { ScopeRef } from './api-key.ts';
import { builder } from './builder.ts';

const ViewerKindRef = builder.enumType('ViewerKind', {
  description: 'What a request is made with.',
  values: {
    OPERATOR: { description: "The operator's key: may do everything, in any organization." },
    API_KEY: { description: 'An API key, which belongs to one environment.' },
    BROWSER_TOKEN: { description: 'A token for a page, made by one of the others.' },
  } as const,
});

function kindOf({ isOperator, isBrowserToken }: Caller) {
  if (isOperator) return 'OPERATOR';
  return isBrowserToken ? 'BROWSER_TOKEN' : 'API_KEY';
}

const ViewerRef = builder.objectRef<Caller>('Viewer').implement({
  description: 'Who is calling, and as whom.',
  fields: (t) => ({
    organization: t.prismaField({
      type: 'Organization',
      nullable: true,
      description: 'The organization that the request acts in. Never null today.',
      resolve: (query, caller, _, { services }) =>
        services.prisma.organization.findUnique({ ...query, where: { id: caller.organizationId } }),
    }),
    environment: t.prismaField({
      type: 'Environment',
      nullable: true,
      description: 'The environment that the request acts in. Never null today.',
      resolve: (query, caller, _, { services }) =>
        services.prisma.environment.findUnique({ ...query, where: { id: caller.environmentId } }),
    }),
    endpoint: t.prismaField({
      type: 'Endpoint',
      nullable: true,
      description: 'The one endpoint that a browser token shows; null: all of the environment, or it was deleted.',
      resolve: (query, { endpointId }, _, { services }) =>
        endpointId === null
          ? null
          : services.prisma.endpoint.findUnique({ ...query, where: { id: endpointId, deletedAt: null } }),
    }),
    kind: t.field({ type: ViewerKindRef, description: 'What the request is made with.', resolve: kindOf }),
    scopes: t.field({ type: [ScopeRef], description: 'What the key may do.', resolve: ({ scopes }) => [...scopes] }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the key, the token or the session of the page ends; null: never.',
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({ type: ViewerRef, description: 'Who is calling.', resolve: (_, __, { caller }) => caller }),
);
