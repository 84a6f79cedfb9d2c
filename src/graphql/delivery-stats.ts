import type { Caller } from '../access/caller.ts';
import { visibleEndpoints } from '../access/visible.ts';
import type { DeliveryStats, EndpointStats } from '../domain/delivery-stats.ts';
import { type DurationPercentiles, readPercentiles } from '../domain/duration-histogram.ts';
import { RequestError } from '../errors.ts';
import type { StatsTick } from '../live/stats-watch.ts';
import { builder } from './builder.ts';
import { decodeOptional } from './ids.ts';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from './pages.ts';
import { notFound, requireFound } from './require-found.ts';
import { selects } from './selection.ts';
import { readHistory, type StatsHistory, sumUp } from './stats-history.ts';
import { checkInterval, chooseWindow } from './stats-window.ts';

/** The largest Int of GraphQL, which answers nothing where a number is larger. */
const INT_MAX = 2_147_483_647;
/** A list of buckets counts as so many, which is how many there usually are: they cost the database next to nothing. */
export const BUCKETS_MULTIPLIER = 60;

const toInt = (count: number): number => Math.min(count, INT_MAX);
const perSecond = (count: number, { elapsedSeconds }: DeliveryStats): number =>
  elapsedSeconds === 0 ? 0 : count / elapsedSeconds;
const countAttempts = (stats: DeliveryStats): number => stats.attemptsSucceeded + stats.attemptsFailed;

const DurationPercentilesRef = builder.objectRef<DurationPercentiles>('DurationPercentiles').implement({
  description:
    'How long attempts took, in whole milliseconds. Durations are counted in classes, so each is off by less than 20 %.',
  fields: (t) => ({
    p50: t.exposeInt('p50', { description: 'Half of the attempts took no longer.' }),
    p95: t.exposeInt('p95', { description: '95 of 100 attempts took no longer.' }),
    p99: t.exposeInt('p99', { description: '99 of 100 attempts took no longer.' }),
  }),
});

export const DeliveryStatsRef = builder.objectRef<DeliveryStats>('DeliveryStats').implement({
  description: 'What happened in some time, of an environment or of one endpoint. Counts end at 2,147,483,647.',
  fields: (t) => ({
    from: t.expose('from', { type: 'DateTime', description: 'The first moment of that time.' }),
    to: t.expose('to', { type: 'DateTime', description: 'The first moment after it.' }),
    published: t.int({
      description: 'Of an environment: events published. Of an endpoint: deliveries made for it.',
      resolve: ({ published }) => toInt(published),
    }),
    delivered: t.int({
      description: 'Deliveries that an attempt delivered; once more where a delivered one was retried and arrived.',
      resolve: ({ delivered }) => toInt(delivered),
    }),
    failed: t.int({
      description: 'Deliveries that became dead letters; once more where one was retried by hand in vain.',
      resolve: ({ failed }) => toInt(failed),
    }),
    retried: t.int({
      description: 'Attempts that were retries, automatic or by hand.',
      resolve: ({ retried }) => toInt(retried),
    }),
    attempts: t.int({
      description: 'Attempts of every trigger that ended, or were recorded.',
      resolve: (stats) => toInt(countAttempts(stats)),
    }),
    publishedPerSecond: t.float({
      description: '`published` over the seconds of this time that have passed.',
      resolve: (stats) => perSecond(stats.published, stats),
    }),
    deliveredPerSecond: t.float({
      description: '`delivered` over the seconds of this time that have passed.',
      resolve: (stats) => perSecond(stats.delivered, stats),
    }),
    failedPerSecond: t.float({
      description: '`failed` over the seconds of this time that have passed.',
      resolve: (stats) => perSecond(stats.failed, stats),
    }),
    retriedPerSecond: t.float({
      description: '`retried` over the seconds of this time that have passed.',
      resolve: (stats) => perSecond(stats.retried, stats),
    }),
    successRatio: t.float({
      nullable: true,
      description: 'Succeeded attempts of all attempts, from 0 to 1; null where there was no attempt.',
      resolve: (stats) => {
        const attempts = countAttempts(stats);
        return attempts === 0 ? null : stats.attemptsSucceeded / attempts;
      },
    }),
    durationMs: t.field({
      type: DurationPercentilesRef,
      nullable: true,
      description:
        'How long attempts took; null where there was none with a duration, which those made elsewhere do not have.',
      resolve: ({ durations }) => readPercentiles(durations),
    }),
  }),
});

const EndpointDeliveryStatsRef = builder.objectRef<EndpointStats>('EndpointDeliveryStats').implement({
  description: 'What happened at one endpoint.',
  fields: (t) => ({
    endpoint: t.prismaField({
      type: 'Endpoint',
      description: 'The endpoint; also when it was deleted since.',
      resolve: (query, { endpointId }, _, { services }) =>
        services.prisma.endpoint.findUniqueOrThrow({ ...query, where: { id: endpointId } }),
    }),
    stats: t.field({ type: DeliveryStatsRef, description: 'What happened there.', resolve: ({ stats }) => stats }),
  }),
});

/** How many endpoints a list may give, for the cost of an operation. */
const endpointsComplexity = ({ first }: { first?: number | null }) => ({
  field: 1,
  multiplier: Math.min(PAGE_SIZE_MAX, Math.max(1, first ?? PAGE_SIZE_DEFAULT)),
});

/** @throws {RequestError} BAD_USER_INPUT */
function readFirst(first: number | null | undefined): number {
  const count = first ?? PAGE_SIZE_DEFAULT;
  if (count >= 1 && count <= PAGE_SIZE_MAX) return count;
  throw new RequestError('BAD_USER_INPUT', `first must be from 1 to ${PAGE_SIZE_MAX}.`);
}

export const DeliveryStatsHistoryRef = builder.objectRef<StatsHistory>('DeliveryStatsHistory').implement({
  description: 'What happened in a window of time, in equal buckets. It is a second or two behind what happens.',
  fields: (t) => ({
    buckets: t.field({
      type: [DeliveryStatsRef],
      description: 'Every bucket of the window, oldest first, also those in which nothing happened.',
      complexity: { field: 1, multiplier: BUCKETS_MULTIPLIER },
      resolve: ({ buckets }) => buckets,
    }),
    total: t.field({
      type: DeliveryStatsRef,
      description: 'All buckets taken together.',
      resolve: (history) => sumUp(history),
    }),
    waiting: t.int({
      description: 'Deliveries that wait now, whenever they were made: PENDING, RETRYING or HELD.',
      resolve: async (history) => toInt((await history.readWaiting()).waiting),
    }),
    oldestWaitingAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the oldest delivery that waits was made; null where none waits.',
      resolve: async (history) => (await history.readWaiting()).oldestWaitingAt,
    }),
    endpoints: t.field({
      type: [EndpointDeliveryStatsRef],
      description:
        'What happened at each endpoint over the whole window, the most failed attempts first. Those where nothing happened are left out.',
      complexity: endpointsComplexity,
      args: {
        first: t.arg.int({ defaultValue: PAGE_SIZE_DEFAULT, description: 'How many at the most: 1 to 100.' }),
      },
      resolve: (history, { first }) => history.readEndpoints(readFirst(first)),
    }),
  }),
});

/**
 * Whose statistics to read: of the endpoint asked for, or of all that the caller sees.
 *
 * @throws {RequestError} BAD_USER_INPUT where the caller sees one endpoint, and asks for another
 */
function chooseTarget(asked: string | null | undefined, { environmentId, endpointId: own }: Caller) {
  const endpointId = decodeOptional('Endpoint', asked, 'endpointId') ?? own;
  if (own !== null && endpointId !== own) throw notFound('endpointId');
  return { environmentId, endpointId };
}

/** The arguments of a window, for a field that has one. */
export const WINDOW_ARGS = builder.args((arg) => ({
  from: arg.field({ type: 'DateTime', description: 'Where the window begins; left out: an hour before it ends.' }),
  to: arg.field({ type: 'DateTime', description: 'Where the window ends; left out: now.' }),
  bucketSeconds: arg.int({
    description:
      'Length of a bucket: a multiple of 60, and of 3,600 where the window begins more than 48 h ago. At most 1,440 buckets. Left out: so long that there are about 60.',
  }),
}));

builder.queryField('deliveryStats', (t) =>
  t.field({
    type: DeliveryStatsHistoryRef,
    description: 'What happened to deliveries in a window of time, in equal buckets. It is widened to whole buckets.',
    authScopes: { scope: 'DELIVERIES_READ' },
    args: {
      endpointId: t.arg.id({ description: 'Of this endpoint; left out: of all that the caller may see.' }),
      ...WINDOW_ARGS,
    },
    resolve: (_, { endpointId, ...args }, { services, caller }, info) => {
      const now = new Date();
      const window = { ...chooseTarget(endpointId, caller), ...chooseWindow(args, now) };
      return readHistory(services.deliveries.pool, window, { now, withDurations: selects(info, 'durationMs') });
    },
  }),
);

const DeliveryStatsTickRef = builder.objectRef<StatsTick>('DeliveryStatsTick').implement({
  description: 'What happened since the tick before, and what waits now.',
  fields: (t) => ({
    stats: t.field({
      type: DeliveryStatsRef,
      description: 'What was settled since the tick before; in the first tick, in the last interval or so.',
      resolve: ({ stats }) => stats,
    }),
    waiting: t.int({
      description: 'Deliveries that wait now: PENDING, RETRYING or HELD. It is a second or two behind.',
      resolve: ({ waiting }) => toInt(waiting),
    }),
    oldestWaitingAt: t.expose('oldestWaitingAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the oldest delivery that waits was made; null where none waits.',
    }),
    endpoints: t.field({
      type: [EndpointDeliveryStatsRef],
      description:
        'What happened at each endpoint since the tick before, the most failed attempts first. Those where nothing happened are left out.',
      complexity: endpointsComplexity,
      args: {
        first: t.arg.int({ defaultValue: PAGE_SIZE_DEFAULT, description: 'How many at the most: 1 to 100.' }),
      },
      resolve: ({ endpoints }, { first }) => endpoints.slice(0, readFirst(first)),
    }),
  }),
});

builder.subscriptionField('deliveryStats', (t) =>
  t.field({
    type: DeliveryStatsTickRef,
    description:
      'What happens to deliveries, told at once and then at each interval. Who reads too slowly misses ticks and gets the latest one.',
    authScopes: { scope: 'DELIVERIES_READ' },
    args: {
      endpointId: t.arg.id({ description: 'Of this endpoint; left out: of all that the caller may see.' }),
      intervalSeconds: t.arg.int({ defaultValue: 1, description: 'Seconds from tick to tick: 1 to 60.' }),
    },
    subscribe: async (_, args, { services, caller }) => {
      const intervalSeconds = args.intervalSeconds ?? 1;
      checkInterval(intervalSeconds);
      const target = chooseTarget(args.endpointId, caller);
      if (target.endpointId !== null) {
        const where = { ...visibleEndpoints(caller), id: target.endpointId };
        await requireFound(services.prisma.endpoint.count({ where }), 'endpointId');
      }
      return services.stats.follow({ ...target, intervalSeconds });
    },
    resolve: (tick) => tick,
  }),
);
