import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import { RequestError } from '../errors.ts';
import { neverResolved } from './answer.ts';
import type { Context } from './context.ts';

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      countFields: CountFields<Types>;
    }
  }
}

/** Name of the plugin in the list of the builder's. */
export const COUNT_FIELDS = 'countFields' as const;

/**
 * Counts the fields that an operation resolves, and those that fail. It is the first of all plugins, so that it sees every
 * error that becomes one of the answer. Errors of the database are not counted: a subscription that has them is executed again.
 */
class CountFields<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(
    resolver: GraphQLFieldResolver<unknown, Types['Context'], object>,
    _: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    return (parent, args, context, info) => {
      const { answer } = context as Context;
      if (!answer.addField()) return neverResolved();
      const fail = (error: unknown) => {
        if (error instanceof RequestError && !answer.addFailedField()) return neverResolved();
        throw error;
      };
      try {
        const value = resolver(parent, args, context, info);
        return value instanceof Promise ? value.catch(fail) : value;
      } catch (error) {
        return fail(error);
      }
    };
  }
}

SchemaBuilder.registerPlugin(COUNT_FIELDS, CountFields);
