import { createBrowserToken } from '../access/browser-tokens.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { builder } from './builder.ts';
import { decodeOptionalInput } from './ids.ts';

const CreateBrowserTokenInput = builder.inputType('CreateBrowserTokenInput', {
  description: 'What `createBrowserToken` takes.',
  fields: (t) => ({
    endpointId: t.id({ description: 'The one endpoint to show anything of. Give exactly one of these three.' }),
    environmentId: t.id({ description: 'The environment to show all of.' }),
    organizationId: t.id({ description: 'The organization of whose first environment to show all.' }),
    expiresInSeconds: t.int({
      description: 'How long it is good for: 60 to 86,400 (24 h), and no longer than your own key; left out: 900.',
    }),
    allowRetry: t.boolean({
      description: 'Whether it may also retry and cancel deliveries, as DELIVERIES_RETRY allows; left out: it may not.',
    }),
  }),
});

const CreateBrowserTokenPayload = builder
  .objectRef<{ token: string; expiresAt: Date }>('CreateBrowserTokenPayload')
  .implement({
    description: 'The token that was made.',
    fields: (t) => ({
      token: t.exposeString('token', { description: 'The token itself, for a page to use as its API key.' }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When it ends.' }),
    }),
  });

builder.mutationField('createBrowserToken', (t) =>
  t.field({
    type: CreateBrowserTokenPayload,
    description:
      'Makes a token that a page may hold: it reads one endpoint or one environment for a short time, and ends with the key that makes it. A token can make none.',
    authScopes: { $all: { scope: 'DELIVERIES_READ', apiKey: true } },
    errors: {
      types: [InvalidInputError, NotFoundError],
      union: { name: 'CreateBrowserTokenResult', description: 'What `createBrowserToken` answers.' },
    },
    args: { input: t.arg({ type: CreateBrowserTokenInput, required: true, description: 'What it is to show.' }) },
    resolve: (_, { input }, { services, caller }) => {
      const environmentId = decodeOptionalInput('Environment', input.environmentId, 'environmentId');
      const organizationId = decodeOptionalInput('Organization', input.organizationId, 'organizationId');
      const endpointId = decodeOptionalInput('Endpoint', input.endpointId, 'endpointId');
      const parts = { prisma: services.prisma, tokens: services.authenticator.tokens };
      return createBrowserToken(parts, caller, { ...input, environmentId, endpointId, organizationId });
    },
  }),
);
