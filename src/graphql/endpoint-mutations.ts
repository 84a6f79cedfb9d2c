import { PEM_MAX_CHARS } from '../domain/client-certificate.ts';
import { EVENT_TYPE_MAX_CHARS } from '../domain/event-type.ts';
import { NAME_MAX_CHARS } from '../domain/validation.ts';
import { DELAYS_MAX, DESCRIPTION_MAX_CHARS, EVENT_TYPES_MAX, URL_MAX_CHARS } from '../endpoints/endpoint-input.ts';
import { DISABLED_REASON_MAX_CHARS, type EndpointRow } from '../endpoints/endpoints.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { builder } from './builder.ts';
import { ENDPOINT_SELECT, EndpointRef, HttpMethodRef, SignatureKindRef } from './endpoint.ts';
import { decodeInput } from './ids.ts';
import { atMost, HEADERS_INPUT_MAX, WORD_CHARS_MAX } from './input-limits.ts';
import { selectInPayload } from './selection.ts';

const RetryPolicyInput = builder.inputType('RetryPolicyInput', {
  description: 'When and how often a delivery is tried again. What is left out stays, or is the default.',
  fields: (t) => ({
    maxRetries: t.int({ description: 'Automatic retries, 0 to 50. Default: 9.' }),
    delaysSeconds: t.floatList({
      description:
        'Delay before retry n, in seconds, each from 1 to 604,800 (7 days); the last one repeats. Default: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.',
      ...atMost({ entries: DELAYS_MAX }),
    }),
    jitter: t.float({
      description: 'Each delay is drawn from delay * [1 - jitter, 1 + jitter], 0 to 1. Default: 0.2.',
    }),
  }),
});

const ClientCertificateInput = builder.inputType('ClientCertificateInput', {
  description: 'What Posthorn shows of itself in TLS to the server of an https endpoint that asks for it (mutual TLS).',
  fields: (t) => ({
    certificate: t.string({
      required: true,
      description: 'In PEM, with the certificates that lead to its authority behind it, where the server needs them.',
      ...atMost({ chars: PEM_MAX_CHARS }),
    }),
    privateKey: t.string({
      required: true,
      description: 'In PEM, without a passphrase. Stored encrypted, never read back.',
      ...atMost({ chars: PEM_MAX_CHARS }),
    }),
  }),
});

const SECRET_DESCRIPTION =
  '`whsec_` and base64 of 24 to 64 bytes, or `whsk_` and base64 of an Ed25519 private key: its 32 bytes, or 64 with the public key behind';

const CreateEndpointInput = builder.inputType('CreateEndpointInput', {
  description: 'What `createEndpoint` takes.',
  fields: (t) => ({
    url: t.field({
      type: 'URL',
      required: true,
      description: 'Where requests go: http or https, without credentials.',
      ...atMost({ chars: URL_MAX_CHARS }),
    }),
    name: t.string({
      description: 'Its name, for people; left out: the host of the URL.',
      ...atMost({ chars: NAME_MAX_CHARS }),
    }),
    description: t.string({ description: 'What it is for.', ...atMost({ chars: DESCRIPTION_MAX_CHARS }) }),
    method: t.field({ type: HttpMethodRef, description: 'The method of requests; left out: POST.' }),
    eventTypes: t.stringList({
      description:
        'Event types, `*`, or `prefix.*`. Left out: every type. Operational events have to be asked for: `posthorn.*`.',
      ...atMost({ entries: EVENT_TYPES_MAX, chars: EVENT_TYPE_MAX_CHARS + 2 }),
    }),
    headers: t.field({
      type: 'JSON',
      description: 'Header names and values sent with every attempt: an object, 32 at most. Stored encrypted.',
      ...atMost(HEADERS_INPUT_MAX),
    }),
    secret: t.string({
      description: `${SECRET_DESCRIPTION}; left out: one is made.`,
      ...atMost({ chars: WORD_CHARS_MAX }),
    }),
    signatureKind: t.field({
      type: SignatureKindRef,
      description: 'How the secret signs; left out: as the secret given does, else HMAC_SHA256.',
    }),
    retryPolicy: t.field({ type: RetryPolicyInput, description: 'Retries; left out: the default schedule.' }),
    timeoutMs: t.int({ description: 'How long an attempt may take, 100 to 60,000 ms; left out: 15,000.' }),
    rateLimitPerSecond: t.float({ description: 'Attempts a second at the most, 0.001 to 10,000; left out: no limit.' }),
    clientCertificate: t.field({
      type: ClientCertificateInput,
      description: 'What Posthorn shows of itself in TLS; left out: nothing.',
    }),
    caCertificate: t.string({
      description:
        'Authorities in PEM that the certificate of an https endpoint must be of; left out: the public ones.',
      ...atMost({ chars: PEM_MAX_CHARS }),
    }),
  }),
});

const UpdateEndpointInput = builder.inputType('UpdateEndpointInput', {
  description: 'What `updateEndpoint` takes. What is left out stays as it is.',
  fields: (t) => ({
    endpointId: t.id({ required: true, description: 'The endpoint to change.' }),
    url: t.field({
      type: 'URL',
      description: 'Where requests go: http or https, without credentials.',
      ...atMost({ chars: URL_MAX_CHARS }),
    }),
    name: t.string({ description: 'Its name, for people.', ...atMost({ chars: NAME_MAX_CHARS }) }),
    description: t.string({
      description: 'What it is for; null takes it away.',
      ...atMost({ chars: DESCRIPTION_MAX_CHARS }),
    }),
    method: t.field({ type: HttpMethodRef, description: 'The method of requests.' }),
    eventTypes: t.stringList({
      description: 'Event types, `*`, or `prefix.*`. Takes the place of those there are.',
      ...atMost({ entries: EVENT_TYPES_MAX, chars: EVENT_TYPE_MAX_CHARS + 2 }),
    }),
    headers: t.field({
      type: 'JSON',
      description: 'Takes the place of all headers there are, values included; null takes them away.',
      ...atMost(HEADERS_INPUT_MAX),
    }),
    retryPolicy: t.field({ type: RetryPolicyInput, description: 'What is given of it is changed.' }),
    timeoutMs: t.int({ description: 'How long an attempt may take, 100 to 60,000 ms.' }),
    rateLimitPerSecond: t.float({ description: 'Attempts a second at the most, 0.001 to 10,000; null: no limit.' }),
    clientCertificate: t.field({
      type: ClientCertificateInput,
      description: 'What Posthorn shows of itself in TLS; null takes it away.',
    }),
    caCertificate: t.string({
      description: 'Authorities in PEM that the certificate of an https endpoint must be of; null: the public ones.',
      ...atMost({ chars: PEM_MAX_CHARS }),
    }),
  }),
});

type EndpointWithSecret = { endpoint: EndpointRow; secret: string };

const CreateEndpointPayload = builder.objectRef<EndpointWithSecret>('CreateEndpointPayload').implement({
  description: 'The endpoint that was made.',
  fields: (t) => ({
    endpoint: t.field({ type: EndpointRef, description: 'It.', resolve: (payload) => payload.endpoint }),
    secret: t.exposeString('secret', { description: 'Signs its deliveries: `whsec_…` or `whsk_…`. Shown this once.' }),
  }),
});

const RotateEndpointSecretPayload = builder.objectRef<EndpointWithSecret>('RotateEndpointSecretPayload').implement({
  description: 'The endpoint with its new secret.',
  fields: (t) => ({
    endpoint: t.field({ type: EndpointRef, description: 'It.', resolve: (payload) => payload.endpoint }),
    secret: t.exposeString('secret', { description: 'The new secret. Shown this once.' }),
  }),
});

builder.mutationField('createEndpoint', (t) =>
  t.field({
    type: CreateEndpointPayload,
    description: 'Makes an endpoint. It takes events that are published from now on.',
    authScopes: { scope: 'ENDPOINTS_MANAGE' },
    errors: {
      types: [InvalidInputError],
      union: { name: 'CreateEndpointResult', description: 'What `createEndpoint` answers.' },
    },
    args: { input: t.arg({ type: CreateEndpointInput, required: true, description: 'The endpoint to make.' }) },
    resolve: (_, args, context, info) => {
      const { services, caller } = context;
      const input = { ...args.input, headers: args.input.headers as Record<string, string> };
      return services.endpoints.create(
        caller,
        input,
        selectInPayload(context, info, { field: 'endpoint', always: ENDPOINT_SELECT }),
      );
    },
  }),
);

const UpdateEndpointPayload = makeEndpointPayload('UpdateEndpointPayload', 'The endpoint as it is now.');

builder.mutationField('updateEndpoint', (t) =>
  t.field({
    type: UpdateEndpointPayload,
    description: 'Changes an endpoint. Attempts that begin from now on follow it.',
    authScopes: { scope: 'ENDPOINTS_MANAGE' },
    errors: {
      types: [InvalidInputError, NotFoundError],
      union: { name: 'UpdateEndpointResult', description: 'What `updateEndpoint` answers.' },
    },
    args: { input: t.arg({ type: UpdateEndpointInput, required: true, description: 'What to change.' }) },
    resolve: async (_, args, context, info) => {
      const { services, caller } = context;
      const endpointId = decodeInput('Endpoint', args.input.endpointId, 'endpointId');
      const headers = args.input.headers as Record<string, string> | null | undefined;
      const select = selectInPayload(context, info, { field: 'endpoint', always: ENDPOINT_SELECT });
      return { endpoint: await services.endpoints.update(caller, { ...args.input, endpointId, headers }, select) };
    },
  }),
);

const RotateEndpointSecretInput = builder.inputType('RotateEndpointSecretInput', {
  description: 'What `rotateEndpointSecret` takes.',
  fields: (t) => ({
    endpointId: t.id({ required: true, description: 'The endpoint.' }),
    secret: t.string({
      description: `The new secret: ${SECRET_DESCRIPTION}; left out: one is made.`,
      ...atMost({ chars: WORD_CHARS_MAX }),
    }),
    signatureKind: t.field({
      type: SignatureKindRef,
      description: 'How the new secret signs; left out: as the secret given does, else as the current one.',
    }),
    overlapSeconds: t.int({
      description: 'How long the old secret goes on signing beside the new one, 0 to 604,800; left out: 86,400 (24 h).',
    }),
  }),
});

builder.mutationField('rotateEndpointSecret', (t) =>
  t.field({
    type: RotateEndpointSecretPayload,
    description: 'Gives an endpoint a new secret.',
    authScopes: { scope: 'ENDPOINTS_MANAGE' },
    errors: {
      types: [InvalidInputError, NotFoundError],
      union: { name: 'RotateEndpointSecretResult', description: 'What `rotateEndpointSecret` answers.' },
    },
    args: { input: t.arg({ type: RotateEndpointSecretInput, required: true, description: 'Which, and how.' }) },
    resolve: (_, { input }, context, info) => {
      const { services, caller } = context;
      const endpointId = decodeInput('Endpoint', input.endpointId, 'endpointId');
      const select = selectInPayload(context, info, { field: 'endpoint', always: ENDPOINT_SELECT });
      return services.endpoints.rotateSecret(caller, { ...input, endpointId }, select);
    },
  }),
);

const DisableEndpointInput = builder.inputType('DisableEndpointInput', {
  description: 'What `disableEndpoint` takes.',
  fields: (t) => ({
    endpointId: t.id({ required: true, description: 'The endpoint.' }),
    reason: t.string({
      description: 'Why, for people: 512 characters at most.',
      ...atMost({ chars: DISABLED_REASON_MAX_CHARS }),
    }),
  }),
});

const DisableEndpointPayload = makeEndpointPayload('DisableEndpointPayload', 'The endpoint as it is now.');

builder.mutationField('disableEndpoint', (t) =>
  t.field({
    type: DisableEndpointPayload,
    description: 'Deliveries to the endpoint are SKIPPED from now on, those that wait as they come up.',
    authScopes: { scope: 'ENDPOINTS_MANAGE' },
    errors: {
      types: [InvalidInputError, NotFoundError],
      union: { name: 'DisableEndpointResult', description: 'What `disableEndpoint` answers.' },
    },
    args: { input: t.arg({ type: DisableEndpointInput, required: true, description: 'Which, and why.' }) },
    resolve: async (_, { input: { reason, ...input } }, context, info) => {
      const { services, caller } = context;
      const endpointId = decodeInput('Endpoint', input.endpointId, 'endpointId');
      const select = selectInPayload(context, info, { field: 'endpoint', always: ENDPOINT_SELECT });
      return { endpoint: await services.endpoints.disable(caller, endpointId, { reason, select }) };
    },
  }),
);

defineStatusMutation('delete', 'Takes an endpoint away. Its deliveries and attempts stay readable.');
defineStatusMutation('pause', 'Deliveries to the endpoint are HELD from now on, those that wait as they come up.');
defineStatusMutation('resume', 'Ends a pause: deliveries that were held go out, oldest first.');
defineStatusMutation('enable', 'Makes a disabled endpoint active again. What was skipped can be retried by hand.');

/** A mutation that takes an endpoint's ID and nothing else, and answers the endpoint as it is then. */
function defineStatusMutation(verb: 'delete' | 'pause' | 'resume' | 'enable', description: string) {
  const name = `${verb}Endpoint` as const;
  const prefix = `${verb[0]?.toUpperCase()}${verb.slice(1)}Endpoint`;
  const input = builder.inputType(`${prefix}Input`, {
    description: `What \`${name}\` takes.`,
    fields: (t) => ({ endpointId: t.id({ required: true, description: 'The endpoint.' }) }),
  });
  const payload = makeEndpointPayload(`${prefix}Payload`, 'The endpoint as it is now.');
  builder.mutationField(name, (t) =>
    t.field({
      type: payload,
      description,
      authScopes: { scope: 'ENDPOINTS_MANAGE' },
      errors: {
        types: [NotFoundError, InvalidInputError],
        union: { name: `${prefix}Result`, description: `What \`${name}\` answers.` },
      },
      args: { input: t.arg({ type: input, required: true, description: 'Which endpoint.' }) },
      resolve: async (_, args, context, info) => {
        const { services, caller } = context;
        const endpointId = decodeInput('Endpoint', args.input.endpointId, 'endpointId');
        const select = selectInPayload(context, info, { field: 'endpoint', always: ENDPOINT_SELECT });
        return { endpoint: await services.endpoints[verb](caller, endpointId, select) };
      },
    }),
  );
}

function makeEndpointPayload(name: string, description: string) {
  return builder.objectRef<{ endpoint: EndpointRow }>(name).implement({
    description,
    fields: (t) => ({
      endpoint: t.field({ type: EndpointRef, description: 'It.', resolve: (payload) => payload.endpoint }),
    }),
  });
}
