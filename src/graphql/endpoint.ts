import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleEndpoints, visibleRoutes, visibleSecrets } from '../access/visible.ts';
import { patternsFor } from '../domain/event-type.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import type { EndpointWhereInput } from '../generated/prisma/models/Endpoint.ts';
import { builder } from './builder.ts';
import { checkFilterTexts } from './filter-text.ts';
import { decodeArgument } from './ids.ts';
import { atMost, ENUM_ENTRIES_MAX, FILTER_CHARS_MAX } from './input-limits.ts';
import { pageComplexity, pageQuery, readPage, toConnection } from './pages.ts';

const MAY_READ: Scope[] = ['ENDPOINTS_MANAGE', 'DELIVERIES_READ', 'DELIVERIES_RETRY'];

export const EndpointStatusRef = builder.enumType('EndpointStatus', {
  description: 'Whether an endpoint takes deliveries.',
  values: {
    ACTIVE: { description: 'Deliveries go out.' },
    PAUSED: { description: 'Deliveries are kept as HELD and go out when the endpoint is resumed.' },
    DISABLED: { description: 'Deliveries are kept as SKIPPED, visible and retryable once the endpoint is enabled.' },
  } as const,
});

export const HttpMethodRef = builder.enumType('HttpMethod', {
  description: 'The method of requests to an endpoint.',
  values: {
    POST: { description: 'The usual one.' },
    PUT: { description: 'Put.' },
    PATCH: { description: 'Patch.' },
  } as const,
});

builder.prismaNode('Route', {
  description: 'Binds events to an endpoint. An endpoint has at least one.',
  select: { id: true },
  id: { resolve: (route) => route.id },
  findUnique: (id, { caller }) => ({ ...visibleRoutes(caller), id }),
  authScopes: { anyScope: MAY_READ },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name: at first that of its endpoint.' }),
    eventTypes: t.exposeStringList('eventTypes', {
      description: 'Event types that it takes; `*` is every type, `invoice.*` is every type under invoice.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

export const SignatureKindRef = builder.enumType('SignatureKind', {
  description: 'How a secret signs, as Standard Webhooks has it.',
  values: {
    HMAC_SHA256: { description: 'Symmetric, `v1`: whoever verifies needs the secret itself (`whsec_…`).' },
    ED25519: { description: 'Asymmetric, `v1a`: whoever verifies needs the public key alone (`whpk_…`).' },
  } as const,
});

builder.prismaNode('EndpointSecret', {
  name: 'SigningKey',
  description:
    'What is told of a secret that signs the deliveries of an endpoint. The secret itself is never read back.',
  select: { id: true },
  id: { resolve: (secret) => secret.id },
  findUnique: (id, { caller }) => ({ ...visibleSecrets(caller), id }),
  authScopes: { anyScope: MAY_READ },
  fields: (t) => ({
    kind: t.expose('kind', { type: SignatureKindRef, description: 'How it signs.' }),
    publicKey: t.exposeString('publicKey', {
      nullable: true,
      description: 'What verifies its signatures: `whpk_` and base64 of 32 bytes; null: it is symmetric and has none.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Until when it signs beside the current one; null: it is the current one.',
    }),
  }),
});

interface ClientCertificateShape {
  subject: string;
  fingerprintSha256: string;
  expiresAt: Date;
}

const ClientCertificateRef = builder.objectRef<ClientCertificateShape>('ClientCertificate').implement({
  description: 'What is told of a client certificate. The private key is never read back.',
  fields: (t) => ({
    subject: t.exposeString('subject', { description: 'Whom it names, for example `CN=posthorn, O=Example`.' }),
    fingerprintSha256: t.exposeString('fingerprintSha256', {
      description: 'SHA-256 of the certificate, in hexadecimal with colons.',
    }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When it expires.' }),
  }),
});

const RetryPolicyRef = builder
  .objectRef<{ maxRetries: number; delaysSeconds: number[]; jitter: number }>('RetryPolicy')
  .implement({
    description: 'When and how often a delivery is tried again.',
    fields: (t) => ({
      maxRetries: t.exposeInt('maxRetries', { description: 'Automatic retries after the first attempt.' }),
      delaysSeconds: t.exposeFloatList('delaysSeconds', {
        description: 'Delay before retry n, in seconds; the last one repeats when there are more retries than delays.',
      }),
      jitter: t.exposeFloat('jitter', { description: 'Each delay is drawn from delay * [1 - jitter, 1 + jitter].' }),
    }),
  });

/** The same wherever routes are selected: Pothos merges selections of a relation only if their arguments are equal. */
const ROUTE_ORDER = { id: 'asc' } as const;

/** Columns that are read whatever is selected: `node` must not return deleted endpoints. */
export const ENDPOINT_SELECT = { id: true, deletedAt: true } as const;

export const EndpointRef = builder.prismaNode('Endpoint', {
  description: 'A URL that wants events, with its secrets, headers, retry policy and limits.',
  select: ENDPOINT_SELECT,
  id: { resolve: (endpoint) => endpoint.id },
  findUnique: (id, { caller }) => ({ ...visibleEndpoints(caller), id }),
  authScopes: { anyScope: MAY_READ },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name, for people.' }),
    description: t.exposeString('description', { nullable: true, description: 'What it is for; null: nobody said.' }),
    url: t.expose('url', { type: 'URL', description: 'Where requests go.' }),
    method: t.expose('method', { type: HttpMethodRef, description: 'The method of requests.' }),
    status: t.expose('status', { type: EndpointStatusRef, description: 'Whether it takes deliveries.' }),
    disabledReason: t.exposeString('disabledReason', {
      nullable: true,
      description: 'Why it is disabled; null while it is not.',
    }),
    disabledAt: t.expose('disabledAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Since when it is disabled; null while it is not.',
    }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When it was deleted; null while it is there. A deleted one can be read through its deliveries only.',
    }),
    eventTypes: t.stringList({
      description:
        'Event types that it receives, of all its routes; `*` is every type, `invoice.*` is every type under invoice.',
      select: { routes: { select: { eventTypes: true }, orderBy: ROUTE_ORDER } },
      resolve: ({ routes }) => [...new Set(routes.flatMap((route) => route.eventTypes))],
    }),
    routes: t.relation('routes', { description: 'What binds events to it.', query: { orderBy: ROUTE_ORDER } }),
    headers: t.field({
      type: 'JSON',
      description: 'Header names and values sent with every attempt. Values are write-only and read back as null.',
      select: { headerNames: true },
      resolve: ({ headerNames }) => Object.fromEntries(headerNames.map((name) => [name, null])),
    }),
    retryPolicy: t.field({
      type: RetryPolicyRef,
      description: 'When and how often its deliveries are tried again.',
      select: { maxRetries: true, delaysSeconds: true, jitter: true },
      resolve: ({ maxRetries, delaysSeconds, jitter }) => ({ maxRetries, delaysSeconds, jitter }),
    }),
    timeoutMs: t.exposeInt('timeoutMs', { description: 'How long an attempt may take in all, in milliseconds.' }),
    rateLimitPerSecond: t.exposeFloat('rateLimitPerSecond', {
      nullable: true,
      description: 'Attempts a second at the most; null: no limit.',
    }),
    signingKeys: t.relation('secrets', {
      description: 'What signs its deliveries now, newest first: one signature each. 10 at most.',
      query: (_, { now }) => ({
        where: { OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] },
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
      }),
    }),
    clientCertificate: t.field({
      type: ClientCertificateRef,
      nullable: true,
      description: 'What Posthorn shows of itself in TLS, where the server asks for it; null: nothing.',
      select: { clientCertificateSubject: true, clientCertificateFingerprint: true, clientCertificateExpiresAt: true },
      resolve: (endpoint) => {
        const { clientCertificateSubject: subject, clientCertificateFingerprint: fingerprintSha256 } = endpoint;
        const expiresAt = endpoint.clientCertificateExpiresAt;
        return subject === null || fingerprintSha256 === null || !expiresAt
          ? null
          : { subject, fingerprintSha256, expiresAt };
      },
    }),
    caCertificate: t.exposeString('caCertificate', {
      nullable: true,
      description: 'Authorities in PEM that its own certificate must be of; null: the public ones.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
});

const EndpointFilter = builder.inputType('EndpointFilter', {
  description: 'Which endpoints to list: all that is given must fit.',
  fields: (t) => ({
    statuses: t.field({
      type: [EndpointStatusRef],
      description: 'One of these statuses.',
      ...atMost({ entries: ENUM_ENTRIES_MAX }),
    }),
    eventType: t.string({ description: 'Receives events of this type.', ...atMost({ chars: FILTER_CHARS_MAX }) }),
  }),
});

builder.queryField('endpoint', (t) =>
  t.prismaField({
    type: 'Endpoint',
    nullable: true,
    description: 'An endpoint by its ID. Null where there is none.',
    authScopes: { anyScope: MAY_READ },
    args: { id: t.arg.id({ required: true, description: 'Its ID.' }) },
    resolve: (query, _, { id }, { services, caller }) =>
      services.prisma.endpoint.findFirst({
        ...query,
        where: { ...visibleEndpoints(caller), id: decodeArgument('Endpoint', id, 'id'), deletedAt: null },
      }),
  }),
);

builder.queryField('endpoints', (t) =>
  t.connection(
    {
      type: EndpointRef,
      description: 'Endpoints, newest first.',
      authScopes: { anyScope: MAY_READ },
      complexity: pageComplexity,
      args: { filter: t.arg({ type: EndpointFilter, description: 'Which ones; left out: all.' }) },
      resolve: async (_, args, context, info) => {
        const page = readPage('Endpoint', args);
        const { statuses, eventType } = args.filter ?? {};
        checkFilterTexts('filter.eventType', eventType);
        const where: EndpointWhereInput = {
          ...visibleEndpoints(context.caller),
          deletedAt: null,
          ...(statuses && { status: { in: statuses } }),
          ...(typeof eventType === 'string' && {
            routes: { some: { eventTypes: { hasSome: patternsFor(eventType) } } },
          }),
        };
        const { where: keys, ...rest } = pageQuery(page);
        const query = queryFromInfo({ context, info, path: ['edges', 'node'] });
        const rows = await context.services.prisma.endpoint.findMany({
          ...query,
          ...rest,
          where: { AND: [where, keys] },
        });
        return toConnection(page, rows);
      },
    },
    { name: 'EndpointConnection', description: 'A page of endpoints, newest first.' },
    { name: 'EndpointEdge', description: 'An endpoint in its place.' },
  ),
);
