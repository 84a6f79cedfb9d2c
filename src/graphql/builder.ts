import SchemaBuilder from '@pothos/core';
import ComplexityPlugin from '@pothos/plugin-complexity';
import ErrorsPlugin from '@pothos/plugin-errors';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import { encodeId, type IdKind } from '../domain/ids.ts';
import { RequestError, RowDeletedError } from '../errors.ts';
import type PrismaTypes from '../generated/pothos.ts';
import { getDatamodel } from '../generated/pothos.ts';
import type { Scope } from '../generated/prisma/enums.ts';
import type { Context } from './context.ts';
import { CostLimitError } from './cost-limit.ts';
import { COUNT_ANSWER_BYTES } from './count-answer-bytes.ts';
import { COUNT_FIELDS } from './count-fields.ts';
import { decodeNodeId } from './ids.ts';
import { atMost, CURSOR_CHARS_MAX } from './input-limits.ts';
import { REFUSE_LARGE_INPUTS } from './refuse-large-inputs.ts';

/** A list that is no connection counts as so many. */
export const LIST_MULTIPLIER = 5;

interface Types {
  Context: Context;
  PrismaTypes: PrismaTypes;
  DefaultFieldNullability: false;
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
  AuthScopes: { scope: Scope; anyScope: readonly Scope[]; operator: boolean; apiKey: boolean };
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    JSON: { Input: unknown; Output: unknown };
    URL: { Input: string; Output: string };
  };
}

/** Every type of the schema is defined with this. Errors come before Prisma, so that both see each field. */
export const builder = new SchemaBuilder<Types>({
  plugins: [
    COUNT_FIELDS,
    ErrorsPlugin,
    ScopeAuthPlugin,
    RelayPlugin,
    ComplexityPlugin,
    PrismaPlugin,
    REFUSE_LARGE_INPUTS,
    COUNT_ANSWER_BYTES,
  ],
  defaultFieldNullability: false,
  prisma: { client: (context) => context.services.prisma, dmmf: getDatamodel(), onUnusedQuery: null },
  errors: { directResult: true },
  scopeAuth: {
    authorizeOnSubscribe: true,
    authScopes: ({ caller }) => ({
      scope: (scope) => caller.scopes.includes(scope),
      anyScope: (scopes) => scopes.some((scope) => caller.scopes.includes(scope)),
      operator: caller.isOperator,
      // Not for browser tokens.
      apiKey: !caller.isBrowserToken,
    }),
    unauthorizedError: (_, __, info) =>
      new RequestError(
        'FORBIDDEN',
        `This API key may not use ${info.parentType.name}.${info.fieldName}. It lacks a scope, or is a browser token.`,
      ),
  },
  complexity: {
    defaultListMultiplier: LIST_MULTIPLIER,
    limit: ({ services }) => ({ complexity: services.complexityMax }),
    complexityError: (_, { complexity, maxComplexity = 0 }) =>
      new CostLimitError('complexity', Math.ceil(complexity), maxComplexity),
  },
  relay: {
    encodeGlobalID: (typename, id) => encodeId(typename as IdKind, String(id)),
    decodeGlobalID: decodeNodeId,
    cursorType: 'String',
    nodesQueryOptions: false,
    nodeTypeOptions: { description: 'Anything that has an ID of its own.' },
    idFieldOptions: { description: 'Global ID. Its prefix tells the type.' },
    nodeQueryOptions: {
      description: 'Reads anything by its ID. Null where there is no such thing, or not for this caller.',
      nullable: true,
      args: { id: { description: 'ID of any type, for example `dlv_…`.' } },
      resolve: async (_, { id }, __, ___, resolveNode) => {
        const node = await Promise.resolve(resolveNode(id)).catch(nullWhereMissing);
        const isDeleted = (node as { deletedAt?: Date | null } | null)?.deletedAt;
        return isDeleted ? null : node;
      },
    },
    pageInfoTypeOptions: { description: 'Where a page stands in its list.' },
    hasNextPageFieldOptions: { description: 'Whether there is more behind the last edge.' },
    hasPreviousPageFieldOptions: { description: 'Whether there is more before the first edge.' },
    startCursorFieldOptions: { description: 'Cursor of the first edge; null where the page is empty.' },
    endCursorFieldOptions: { description: 'Cursor of the last edge; null where the page is empty.' },
    cursorFieldOptions: { description: 'Place of this edge in the list, for `after` and `before`.', type: 'String' },
    nodeFieldOptions: { description: 'What stands at this place.', nullable: false },
    edgesFieldOptions: {
      description: 'The page, newest first.',
      nullable: { list: false, items: false },
      // The connection's own field has counted the page's length.
      complexity: { field: 1, multiplier: 1 },
    },
    pageInfoFieldOptions: { description: 'Where this page stands in the list.' },
    defaultConnectionTypeOptions: { description: 'A page of a list, newest first.' },
    defaultEdgeTypeOptions: { description: 'One place of a list.' },
    firstArgOptions: { description: 'How many, from the beginning: 1 to 100. Left out, with `last` too: 20.' },
    lastArgOptions: { description: 'How many, from the end: 1 to 100. Not together with `first`.' },
    afterArgOptions: { description: 'Only what comes behind this cursor.', ...atMost({ chars: CURSOR_CHARS_MAX }) },
    beforeArgOptions: { description: 'Only what comes before this cursor.', ...atMost({ chars: CURSOR_CHARS_MAX }) },
  },
});

function nullWhereMissing(error: unknown): null {
  if (error instanceof RowDeletedError) return null;
  throw error;
}

builder.queryType({ description: 'Reads. Everything is within the environment of the API key.' });
builder.mutationType({
  description:
    'Writes. Each answers its payload, or an error that says what to do; `Error` has a message in every case.',
});
builder.subscriptionType({ description: 'Live feeds, over WebSocket (graphql-ws) and SSE.' });
