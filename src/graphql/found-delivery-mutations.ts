import { visibleDeliveries } from '../access/visible.ts';
import {
  cancelFound,
  FOUND_DELIVERIES_MAX,
  type FoundDeliveries,
  type RetriedDeliveries,
  retryFound,
} from '../deliver/change-found.ts';
import { InvalidInputError, type NotRetryableReason } from '../errors.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { findCreatedRanges, findInRanges } from './created-ranges.ts';
import { DeliveryFilter, type DeliveryFilterInput, refuseInput, toDeliveryWhere } from './delivery-filter.ts';
import { NotRetryableReasonRef } from './errors.ts';
import { atMost, CURSOR_CHARS_MAX } from './input-limits.ts';
import { decodeCursor, encodeCursor, pageQuery } from './pages.ts';

const FIRST_DEFAULT = 100;

const FIRST = 'How many deliveries to look at in this call: 1 to 500; left out: 100.';
const AFTER = 'Only deliveries behind this cursor of the list: `endCursor` of the call before.';

/** What a call took on: a page of the deliveries that fit its filter, newest first. */
interface FoundPage {
  endCursor: string | null;
  hasNextPage: boolean;
}

interface FoundPageInput {
  filter: DeliveryFilterInput;
  first?: number | null;
  after?: string | null;
}

/** A call costs what the deliveries cost that it may change. */
const foundComplexity = ({ input }: { input: FoundPageInput }) => ({
  field: Math.min(FOUND_DELIVERIES_MAX, Math.max(1, input.first ?? FIRST_DEFAULT)),
  multiplier: 1,
});

/** Finds a page as the list `deliveries` has it. @throws {InvalidInputError} */
async function findPage(
  context: Context,
  { filter, first, after }: FoundPageInput,
): Promise<FoundPage & { found: FoundDeliveries }> {
  const size = first ?? FIRST_DEFAULT;
  if (size < 1 || size > FOUND_DELIVERIES_MAX) throw refuse('first', `must be from 1 to ${FOUND_DELIVERIES_MAX}.`);
  const page = { kind: 'Delivery', size, isBackward: false, after: readAfter(after), before: undefined } as const;
  const { where: keys, ...rest } = pageQuery(page);
  const conditions = [visibleDeliveries(context.caller), toDeliveryWhere(filter, refuseInput), keys];
  const ranges = await findCreatedRanges(context, 'deliveries', filter);
  const rows = await findInRanges(ranges, { ...page, ...rest }, (range, take) =>
    context.services.prisma.delivery.findMany({
      select: { id: true },
      ...rest,
      take,
      where: { AND: [...conditions, range] },
    }),
  );
  const ids = rows.slice(0, size).map(({ id }) => id);
  const last = ids.at(-1);
  return {
    found: { ids, statuses: filter.statuses ?? null, responseStatus: filter.responseStatus ?? null },
    endCursor: last === undefined ? null : encodeCursor('Delivery', last),
    hasNextPage: rows.length > size,
  };
}

function readAfter(cursor: string | null | undefined): string | undefined {
  if (cursor === null || cursor === undefined) return undefined;
  const after = decodeCursor('Delivery', cursor);
  if (after === null) throw refuse('after', 'is no cursor of this list. Take endCursor of the call before.');
  return after;
}

const refuse = (field: string, message: string) => new InvalidInputError([{ path: [field], message }]);

const RetryDeliveriesInput = builder.inputType('RetryDeliveriesInput', {
  description: 'What `retryDeliveries` takes.',
  fields: (t) => ({
    filter: t.field({
      type: DeliveryFilter,
      required: true,
      description: 'Which deliveries; an empty one: all that the caller may see.',
    }),
    first: t.int({ description: FIRST }),
    after: t.string({ description: AFTER, ...atMost({ chars: CURSOR_CHARS_MAX }) }),
    restartSchedule: t.boolean({
      description: 'Gives each delivery its whole retry schedule again; left out: one attempt.',
    }),
  }),
});

const PassedOverDeliveriesRef = builder
  .objectRef<{ reason: NotRetryableReason; count: number }>('PassedOverDeliveries')
  .implement({
    description: 'Deliveries that could not be retried for one reason.',
    fields: (t) => ({
      reason: t.expose('reason', { type: NotRetryableReasonRef, description: 'Why.' }),
      count: t.exposeInt('count', { description: 'How many.' }),
    }),
  });

const END_CURSOR = 'For `after` of the next call: cursor of the last delivery of this page; null: it is empty.';
const HAS_NEXT_PAGE = 'Whether there are more that fit the filter: call again, with `after`.';

const RetryDeliveriesPayload = builder.objectRef<FoundPage & RetriedDeliveries>('RetryDeliveriesPayload').implement({
  description: 'What became of one page of deliveries.',
  fields: (t) => ({
    retriedCount: t.exposeInt('retriedCount', { description: 'Deliveries of this page that have an attempt queued.' }),
    passedOver: t.field({
      type: [PassedOverDeliveriesRef],
      description: 'Those of this page that can not be retried now, by reason; they stay as they are.',
      resolve: ({ passedOver }) => [...passedOver].map(([reason, count]) => ({ reason, count })),
    }),
    endCursor: t.exposeString('endCursor', { nullable: true, description: END_CURSOR }),
    hasNextPage: t.exposeBoolean('hasNextPage', { description: HAS_NEXT_PAGE }),
  }),
});

builder.mutationField('retryDeliveries', (t) =>
  t.field({
    type: RetryDeliveriesPayload,
    description:
      'Queues one attempt by hand of each delivery that fits a filter, a page at a time, newest first. A page is retried as a whole or not at all.',
    authScopes: { scope: 'DELIVERIES_RETRY' },
    complexity: foundComplexity,
    errors: {
      types: [InvalidInputError],
      union: { name: 'RetryDeliveriesResult', description: 'What `retryDeliveries` answers.' },
    },
    args: {
      input: t.arg({ type: RetryDeliveriesInput, required: true, description: 'Which deliveries, and how.' }),
    },
    resolve: async (_, { input }, context) => {
      const { found, ...page } = await findPage(context, input);
      const { services, caller } = context;
      const restartSchedule = input.restartSchedule ?? false;
      return { ...page, ...(await retryFound(services.deliveries, caller, { found, restartSchedule })) };
    },
  }),
);

const CancelDeliveriesInput = builder.inputType('CancelDeliveriesInput', {
  description: 'What `cancelDeliveries` takes.',
  fields: (t) => ({
    filter: t.field({
      type: DeliveryFilter,
      required: true,
      description: 'Which deliveries; an empty one: all that the caller may see.',
    }),
    first: t.int({ description: FIRST }),
    after: t.string({ description: AFTER, ...atMost({ chars: CURSOR_CHARS_MAX }) }),
  }),
});

const CancelDeliveriesPayload = builder
  .objectRef<FoundPage & { canceledCount: number; passedOverCount: number }>('CancelDeliveriesPayload')
  .implement({
    description: 'What became of one page of deliveries.',
    fields: (t) => ({
      canceledCount: t.exposeInt('canceledCount', { description: 'Deliveries of this page that were ended.' }),
      passedOverCount: t.exposeInt('passedOverCount', {
        description: 'Those of this page that were at their end already; they stay as they are.',
      }),
      endCursor: t.exposeString('endCursor', { nullable: true, description: END_CURSOR }),
      hasNextPage: t.exposeBoolean('hasNextPage', { description: HAS_NEXT_PAGE }),
    }),
  });

builder.mutationField('cancelDeliveries', (t) =>
  t.field({
    type: CancelDeliveriesPayload,
    description:
      'Ends by hand each delivery that fits a filter, a page at a time, newest first, as `cancelDelivery` ends one. A page is ended as a whole or not at all.',
    authScopes: { scope: 'DELIVERIES_RETRY' },
    complexity: foundComplexity,
    errors: {
      types: [InvalidInputError],
      union: { name: 'CancelDeliveriesResult', description: 'What `cancelDeliveries` answers.' },
    },
    args: {
      input: t.arg({ type: CancelDeliveriesInput, required: true, description: 'Which deliveries.' }),
    },
    resolve: async (_, { input }, context) => {
      const { found, ...page } = await findPage(context, input);
      return { ...page, ...(await cancelFound(context.services.deliveries, context.caller, found)) };
    },
  }),
);
