import { visibleEndpoints } from '../access/visible.ts';
import type { EndpointChangeBatch } from '../live/endpoint-feed.ts';
import type { EndpointChange } from '../live/endpoint-log.ts';
import { builder } from './builder.ts';
import { EndpointStatusRef } from './endpoint.ts';
import { decodeOptional } from './ids.ts';
import { atMost, CURSOR_CHARS_MAX } from './input-limits.ts';
import { AFTER_DESCRIPTION, CURSOR_DESCRIPTION, readAfter } from './live-cursor.ts';
import { requireFound } from './require-found.ts';
import { spreadOverTurns } from './turnstile.ts';

const EndpointChangeKindRef = builder.enumType('EndpointChangeKind', {
  description: 'What happened to an endpoint.',
  values: {
    CREATED: { description: 'It was made.' },
    UPDATED: { description: 'Something of it was changed: address, event types, headers, limits, name.' },
    PAUSED: { description: 'It was paused.' },
    RESUMED: { description: 'It was resumed.' },
    DISABLED: { description: 'It was disabled, by hand or by Posthorn: the reason tells.' },
    ENABLED: { description: 'It was enabled.' },
    DELETED: { description: 'It was deleted.' },
    SECRET_ROTATED: { description: 'It was given a new secret.' },
    BACKED_OFF: {
      description:
        'Its last 20 attempts or more failed: it gets one at a time from now on, with rests between, and what waits keeps its retries.',
    },
    RECOVERED: { description: 'An attempt succeeded after it was backed off: all that waits goes out.' },
  } as const,
});

const EndpointChangeRef = builder.objectRef<EndpointChange>('EndpointChange').implement({
  description: 'Something that was done to an endpoint, or happened to it.',
  fields: (t) => ({
    endpoint: t.prismaField({
      type: 'Endpoint',
      description: 'The endpoint as it is now, also a deleted one.',
      resolve: (query, { endpointId }, _, { services }) =>
        services.prisma.endpoint.findUniqueOrThrow({ ...query, where: { id: endpointId } }),
    }),
    kind: t.expose('kind', { type: EndpointChangeKindRef, description: 'What happened.' }),
    status: t.expose('status', { type: EndpointStatusRef, description: 'Its status after the change.' }),
    reason: t.exposeString('reason', {
      nullable: true,
      description: 'Why it is disabled, or was backed off; null where it is neither.',
    }),
    changedAt: t.expose('changedAt', { type: 'DateTime', description: 'When.' }),
  }),
});

const EndpointChangesRef = builder.objectRef<EndpointChangeBatch>('EndpointChanges').implement({
  description: 'Changes of endpoints, in commit order.',
  fields: (t) => ({
    changes: t.field({
      type: [EndpointChangeRef],
      description: 'The changes. None where nothing happened for ten minutes: the batch is there for its cursor.',
      resolve: ({ changes }) => spreadOverTurns(changes),
    }),
    cursor: t.exposeString('cursor', { description: CURSOR_DESCRIPTION }),
  }),
});

builder.subscriptionField('endpointChanges', (t) =>
  t.field({
    type: EndpointChangesRef,
    description:
      'What happens to endpoints: made, changed, paused, disabled by hand or for their failures, backed off, recovered. In commit order; `after` resumes as it does for `deliveryChanges`.',
    authScopes: { scope: 'DELIVERIES_READ' },
    args: {
      endpointId: t.arg.id({ description: 'Only of this endpoint, also a deleted one; left out: of all.' }),
      after: t.arg.string({ description: AFTER_DESCRIPTION, ...atMost({ chars: CURSOR_CHARS_MAX }) }),
    },
    subscribe: async (_, args, context) => {
      const { services, caller } = context;
      const endpointId = decodeOptional('Endpoint', args.endpointId, 'endpointId');
      if (endpointId) {
        const found = services.prisma.endpoint.count({ where: { ...visibleEndpoints(caller), id: endpointId } });
        await requireFound(found, 'endpointId');
      }
      const filter = { environmentId: caller.environmentId, endpointId: caller.endpointId ?? endpointId };
      return services.endpointFeed.subscribe(filter, await readAfter(args.after, context));
    },
    resolve: (batch) => batch as EndpointChangeBatch,
  }),
);
