import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import { InvalidInputError } from '../errors.ts';
import type { Context } from './context.ts';

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      refuseLargeInputs: RefuseLargeInputs<Types>;
    }
  }
}

/** Name of the plugin in the list of the builder's. */
export const REFUSE_LARGE_INPUTS = 'refuseLargeInputs' as const;

/**
 * Lets each field of a mutation answer InvalidInputError in place of being executed, if its input was found to be too
 * large before the operation began. It comes after the plugins of errors and scopes, so that those see it as a refusal by
 * the field's own resolver.
 */
class RefuseLargeInputs<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(
    resolver: GraphQLFieldResolver<unknown, Types['Context'], object>,
    { parentType }: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    if (parentType !== 'Mutation') return resolver;
    return (parent, args, context, info) => {
      const issues = (context as Context).largeInputs?.get(String(info.path.key));
      if (issues) throw new InvalidInputError(issues);
      return resolver(parent, args, context, info);
    };
  }
}

SchemaBuilder.registerPlugin(REFUSE_LARGE_INPUTS, RefuseLargeInputs);
