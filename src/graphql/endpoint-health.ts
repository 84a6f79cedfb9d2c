import { visibleEndpoints } from '../access/visible.ts';
import type { EndpointHealth } from '../domain/endpoint-health.ts';
import { builder } from './builder.ts';
import { DeliveryStatsRef } from './delivery-stats.ts';
import { EndpointRef } from './endpoint.ts';
import { decodeArgument } from './ids.ts';
import { requireFound } from './require-found.ts';
import { checkInterval } from './stats-window.ts';

/** A look at an endpoint's health costs the database as much as a page of attempts. */
const HEALTH_COMPLEXITY = 20;

const EndpointHealthStateRef = builder.enumType('EndpointHealthState', {
  description:
    'How an endpoint fares. Where several fit, it is the first in this order: DISABLED, PAUSED, FAILING, IDLE.',
  values: {
    HEALTHY: { description: 'None of the others: attempts are made or wait to be made, and they arrive.' },
    FAILING: {
      description:
        'Its newest 5 attempts or more failed, however long ago; or more than half of its attempts of the last 5 minutes did, where there were 10 or more.',
    },
    IDLE: { description: 'No attempt in the last 5 minutes, and nothing waits.' },
    PAUSED: { description: 'It is paused: deliveries are held.' },
    DISABLED: { description: 'It is disabled, or deleted: deliveries are skipped.' },
  } as const,
});

const EndpointHealthRef = builder.objectRef<EndpointHealth>('EndpointHealth').implement({
  description: 'How an endpoint fares.',
  fields: (t) => ({
    endpoint: t.prismaField({
      type: 'Endpoint',
      description: 'The endpoint.',
      resolve: (query, { endpointId }, _, { services }) =>
        services.prisma.endpoint.findUniqueOrThrow({ ...query, where: { id: endpointId } }),
    }),
    state: t.expose('state', { type: EndpointHealthStateRef, description: 'In a word.' }),
    failuresInARow: t.exposeInt('failuresInARow', {
      description: 'How many of its newest attempts failed without one that succeeded; counted up to 100.',
    }),
    hasOwnLane: t.exposeBoolean('hasOwnLane', {
      description:
        'Whether its deliveries wait in a lane of its own: it is slow, failing, paused or rate-limited, or was until just now.',
    }),
    failingSince: t.expose('failingSince', {
      type: 'DateTime',
      nullable: true,
      description:
        'When the first attempt failed since the last one that succeeded; null: the last one succeeded, or there is none.',
    }),
    nextProbeAt: t.expose('nextProbeAt', {
      type: 'DateTime',
      nullable: true,
      description: 'It is backed off after 20 failures: when its next attempt may begin. Null: it is not.',
    }),
    waiting: t.exposeInt('waiting', {
      description: 'Deliveries to it that wait: PENDING, RETRYING or HELD. It is a second or two behind.',
    }),
    oldestWaitingAt: t.expose('oldestWaitingAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the oldest delivery that waits was made; null where none waits.',
    }),
    lastSucceededAt: t.expose('lastSucceededAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the last attempt that succeeded began; null: none of the newest 100 attempts did.',
    }),
    lastFailedAt: t.expose('lastFailedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the last attempt that failed began; null: none of the newest 100 attempts did.',
    }),
    recent: t.field({
      type: DeliveryStatsRef,
      description: 'What happened in the last 5 minutes: in the minute that runs and the five before it.',
      resolve: ({ recent }) => recent,
    }),
  }),
});

builder.prismaObjectField(EndpointRef, 'health', (t) =>
  t.field({
    type: EndpointHealthRef,
    description: 'How it fares.',
    authScopes: { scope: 'DELIVERIES_READ' },
    complexity: HEALTH_COMPLEXITY,
    resolve: async ({ id }, _, { services }) => {
      const health = await services.health.read(id);
      if (!health) throw new Error('An endpoint that was read is gone.');
      return health;
    },
  }),
);

builder.subscriptionField('endpointHealth', (t) =>
  t.field({
    type: EndpointHealthRef,
    description: 'How an endpoint fares, told at once and then whenever it changed. It is looked at each interval.',
    authScopes: { scope: 'DELIVERIES_READ' },
    complexity: HEALTH_COMPLEXITY,
    args: {
      endpointId: t.arg.id({ required: true, description: 'The endpoint.' }),
      intervalSeconds: t.arg.int({ defaultValue: 1, description: 'Seconds from look to look: 1 to 60.' }),
    },
    subscribe: async (_, { endpointId, intervalSeconds }, { services, caller }) => {
      const seconds = intervalSeconds ?? 1;
      checkInterval(seconds);
      const id = decodeArgument('Endpoint', endpointId, 'endpointId');
      const where = { ...visibleEndpoints(caller), id, deletedAt: null };
      await requireFound(services.prisma.endpoint.count({ where }), 'endpointId');
      return services.health.follow(id, seconds);
    },
    resolve: (health) => health,
  }),
);
