import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleAttempts } from '../access/visible.ts';
import type { AttemptErrorCode } from '../deliver/attempt-error.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import type { DeliveryAttemptWhereInput } from '../generated/prisma/models/DeliveryAttempt.ts';
import { builder } from './builder.ts';
import { findCreatedRanges, findInRanges } from './created-ranges.ts';
import { HttpMethodRef } from './endpoint.ts';
import { decodeArgument, decodeOptional } from './ids.ts';
import { atMost, ENUM_ENTRIES_MAX } from './input-limits.ts';
import { pageComplexity, pageQuery, readPage, toConnection } from './pages.ts';

const MAY_READ: Scope[] = ['DELIVERIES_READ', 'DELIVERIES_RETRY'];

const AttemptStatusRef = builder.enumType('AttemptStatus', {
  description: 'How an attempt ended.',
  values: {
    SUCCEEDED: { description: 'The answer was 2xx.' },
    FAILED: { description: 'Anything else.' },
  } as const,
});

const AttemptTriggerRef = builder.enumType('AttemptTrigger', {
  description: 'What brought an attempt about.',
  values: {
    INITIAL: { description: 'The first one of a delivery.' },
    RETRY: { description: 'An automatic retry.' },
    MANUAL: { description: 'A retry by hand.' },
    EXTERNAL: { description: 'Made elsewhere and recorded here.' },
  } as const,
});

const AttemptErrorCodeRef = builder.enumType('AttemptErrorCode', {
  description: 'Why an attempt failed.',
  values: {
    HTTP_STATUS: { description: 'A response came, and its status is not 2xx.' },
    TIMEOUT: { description: "No response came within the endpoint's timeout." },
    DNS: { description: "The host's name could not be resolved." },
    CONNECTION: { description: 'No connection, or it broke before an answer came.' },
    TLS: { description: 'No secure connection: the certificate or the handshake failed.' },
    INVALID_RESPONSE: { description: 'The answer was not HTTP, or larger than what is read before its status counts.' },
    BLOCKED_ADDRESS: { description: 'The address or the port is one that deliveries must not reach.' },
    EXTERNAL: { description: 'An attempt made elsewhere failed for the reason in the message.' },
  } as const,
});

const AttemptErrorRef = builder.objectRef<{ code: AttemptErrorCode; message: string }>('AttemptError').implement({
  description: 'Why an attempt failed.',
  fields: (t) => ({
    code: t.field({ type: AttemptErrorCodeRef, description: 'For programs.', resolve: (error) => error.code }),
    message: t.exposeString('message', { description: 'For people.' }),
  }),
});

export const DeliveryAttemptRef = builder.prismaNode('DeliveryAttempt', {
  description: 'One HTTP request of a delivery, with request, response, duration and error.',
  select: { id: true },
  id: { resolve: (attempt) => attempt.id },
  findUnique: (id, { caller }) => ({ ...visibleAttempts(caller), id }),
  authScopes: { anyScope: MAY_READ },
  fields: (t) => ({
    organization: t.relation('organization', { description: 'The organization that it belongs to.' }),
    environment: t.relation('environment', { description: 'The environment that it belongs to.' }),
    delivery: t.relation('delivery', { description: 'The delivery that it is part of.' }),
    event: t.relation('event', { description: 'What was sent.' }),
    endpoint: t.relation('endpoint', { description: 'Where to; also when it was deleted since.' }),
    route: t.relation('route', {
      nullable: true,
      description: 'The route that matched; null: sent by hand, or its event was for this endpoint alone.',
    }),
    number: t.exposeInt('number', { description: "1 for the delivery's first attempt." }),
    trigger: t.expose('trigger', { type: AttemptTriggerRef, description: 'What brought it about.' }),
    status: t.expose('status', { type: AttemptStatusRef, description: 'How it ended.' }),
    requestUrl: t.expose('requestUrl', { type: 'URL', description: 'Where the request went.' }),
    requestMethod: t.expose('requestMethod', { type: HttpMethodRef, description: 'Its method.' }),
    requestHeaders: t.expose('requestHeaders', {
      type: 'JSON',
      description: "Its headers. Values of the endpoint's own headers are null: they may be secrets.",
    }),
    requestBodySize: t.exposeInt('requestBodySize', { description: 'Length of its body, in bytes.' }),
    responseStatus: t.exposeInt('responseStatus', { nullable: true, description: 'Null when no response came.' }),
    responseHeaders: t.expose('responseHeaders', {
      type: 'JSON',
      nullable: true,
      description: 'Headers of the response; null when none came, or the attempt was made elsewhere.',
    }),
    responseBody: t.exposeString('responseBody', {
      nullable: true,
      description: 'The first 4,096 bytes, cut between characters; null when no response came.',
    }),
    durationMs: t.exposeInt('durationMs', {
      nullable: true,
      description: 'How long it took in all; null where it was made elsewhere.',
    }),
    error: t.field({
      type: AttemptErrorRef,
      nullable: true,
      description: 'Why it failed; null where it succeeded, or was made elsewhere and no reason was given.',
      select: { errorCode: true, errorMessage: true },
      resolve: ({ errorCode, errorMessage }) =>
        errorCode === null ? null : { code: errorCode, message: errorMessage ?? '' },
    }),
    nextAttemptAt: t.expose('nextAttemptAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the retry that this failure scheduled is due; null where it scheduled none.',
    }),
    isDeadLetter: t.boolean({
      description: 'Whether the delivery became a dead letter by this attempt.',
      select: { deadLetteredAt: true },
      resolve: ({ deadLetteredAt }) => deadLetteredAt !== null,
    }),
    deadLetteredAt: t.expose('deadLetteredAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the delivery became a dead letter by this attempt; null where it did not.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it began, or was recorded.' }),
  }),
});

export const AttemptEdgeRef = builder.edgeObject({
  type: DeliveryAttemptRef,
  name: 'DeliveryAttemptEdge',
  description: 'An attempt in its place.',
});

export const AttemptConnectionRef = builder.connectionObject(
  { type: DeliveryAttemptRef, name: 'DeliveryAttemptConnection', description: 'A page of attempts, newest first.' },
  AttemptEdgeRef,
);

const DeliveryAttemptFilter = builder.inputType('DeliveryAttemptFilter', {
  description: 'Which attempts to list: all that is given must fit.',
  fields: (t) => ({
    deliveryId: t.id({ description: 'Of this delivery.' }),
    eventId: t.id({ description: 'Of this event.' }),
    endpointId: t.id({ description: 'To this endpoint, also a deleted one.' }),
    statuses: t.field({
      type: [AttemptStatusRef],
      description: 'That ended so.',
      ...atMost({ entries: ENUM_ENTRIES_MAX }),
    }),
    triggers: t.field({
      type: [AttemptTriggerRef],
      description: 'Brought about so.',
      ...atMost({ entries: ENUM_ENTRIES_MAX }),
    }),
    isDeadLetter: t.boolean({ description: 'That made their delivery a dead letter, or did not.' }),
    createdAfter: t.field({ type: 'DateTime', description: 'Begun after this time.' }),
    createdBefore: t.field({ type: 'DateTime', description: 'Begun before this time.' }),
  }),
});

function toWhere(filter: typeof DeliveryAttemptFilter.$inferInput): DeliveryAttemptWhereInput {
  const { statuses, triggers, isDeadLetter } = filter;
  return {
    deliveryId: decodeOptional('Delivery', filter.deliveryId, 'filter.deliveryId'),
    eventId: decodeOptional('Event', filter.eventId, 'filter.eventId'),
    endpointId: decodeOptional('Endpoint', filter.endpointId, 'filter.endpointId'),
    ...(statuses && { status: { in: statuses } }),
    ...(triggers && { trigger: { in: triggers } }),
    ...(typeof isDeadLetter === 'boolean' && { deadLetteredAt: isDeadLetter ? { not: null } : null }),
  };
}

builder.queryField('deliveryAttempt', (t) =>
  t.prismaField({
    type: 'DeliveryAttempt',
    nullable: true,
    description: 'An attempt by its ID. Null where there is none.',
    authScopes: { anyScope: MAY_READ },
    args: { id: t.arg.id({ required: true, description: 'Its ID.' }) },
    resolve: (query, _, { id }, { services, caller }) =>
      services.prisma.deliveryAttempt.findFirst({
        ...query,
        where: { ...visibleAttempts(caller), id: decodeArgument('DeliveryAttempt', id, 'id') },
      }),
  }),
);

builder.queryField('deliveryAttempts', (t) =>
  t.connection(
    {
      type: DeliveryAttemptRef,
      description: 'Attempts, newest first.',
      authScopes: { anyScope: MAY_READ },
      complexity: pageComplexity,
      args: { filter: t.arg({ type: DeliveryAttemptFilter, description: 'Which ones; left out: all.' }) },
      resolve: async (_, args, context, info) => {
        const page = readPage('DeliveryAttempt', args);
        const { where: keys, ...rest } = pageQuery(page);
        const conditions = [visibleAttempts(context.caller), toWhere(args.filter ?? {}), keys];
        const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
        const { deliveryAttempt } = context.services.prisma;
        const ranges = await findCreatedRanges(context, 'delivery_attempts', args.filter ?? {});
        const rows = await findInRanges(ranges, { ...page, ...rest }, (range, take) =>
          deliveryAttempt.findMany({ ...query, ...rest, take, where: { AND: [...conditions, range] } }),
        );
        return toConnection(page, rows);
      },
    },
    AttemptConnectionRef,
    AttemptEdgeRef,
  ),
);
