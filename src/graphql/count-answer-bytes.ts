import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import { measureJsonValue } from '../domain/json-values.ts';
import type { Context } from './context.ts';

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      countAnswerBytes: CountAnswerBytes<Types>;
    }
  }
}

/** Name of the plugin in the list of the builder's. */
export const COUNT_ANSWER_BYTES = 'countAnswerBytes' as const;

/** Values of other types have some tens of bytes: the complexity of an operation limits how many there are. */
const COUNTED_TYPES = new Set(['String', 'JSON', 'URL']);
/** A longer text is counted as it is written, with all that has to be escaped. */
const SHORT_CHARS = 256;
/** Bytes that an entry of a list counts at least: to resolve it costs as much as some text. */
const ENTRY_BYTES_MIN = 128;
const NO_LIMIT = { values: Number.POSITIVE_INFINITY, chars: Number.POSITIVE_INFINITY };

/** Counts the bytes of every text and JSON value when it is resolved, whichever field it is of. */
class CountAnswerBytes<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapResolve(
    resolver: GraphQLFieldResolver<unknown, Types['Context'], object>,
    { type }: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> {
    const inner = type.kind === 'List' ? type.type : type;
    if (inner.kind !== 'Scalar' || !COUNTED_TYPES.has(nameOf(inner.ref))) return resolver;
    return (parent, args, context, info) => {
      const { answer } = context as Context;
      if (answer.exceeded) return null;
      const count = (value: unknown) => {
        // What is beyond the limit belongs to no answer any more.
        return answer.add(bytesOf(value)) ? value : null;
      };
      const value = resolver(parent, args, context, info);
      return value instanceof Promise ? value.then(count) : count(value);
    };
  }
}

const nameOf = (ref: unknown): string => (typeof ref === 'string' ? ref : ((ref as { name?: string }).name ?? ''));

function bytesOf(value: unknown): number {
  if (typeof value === 'string') {
    return value.length <= SHORT_CHARS ? value.length : Buffer.byteLength(JSON.stringify(value));
  }
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.reduce((sum, one) => sum + Math.max(ENTRY_BYTES_MIN, bytesOf(one)), 0);
  const { values, chars } = measureJsonValue(value, NO_LIMIT);
  return values * 4 + chars;
}

SchemaBuilder.registerPlugin(COUNT_ANSWER_BYTES, CountAnswerBytes);
