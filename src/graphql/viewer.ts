import type { Caller } from '../access/caller.ts';
import { ScopeRef } from './api-key.ts';
import { builder } from './builder.ts';

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
    scopes: t.field({ type: [ScopeRef], description: 'What the key may do.', resolve: ({ scopes }) => [...scopes] }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({ type: ViewerRef, description: 'Who is calling.', resolve: (_, __, { caller }) => caller }),
);
