import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredInputField,
} from 'graphql';
import { type InputSlot, limitsOf, WORD_CHARS_MAX } from '../../src/graphql/input-limits.ts';

/** Characters of a value with everything below it: lists have small entries if it would be more. */
const VALUE_CHARS_MAX = 400_000;

/** How large values are. */
export interface Size {
  /** More than each limit. 0: exactly at it. */
  beyond: number;
  /** What texts are made of. */
  char: string;
  /** Whether a JSON value has as many values as it may, and not as many characters. */
  isOfValues: boolean;
}

const SMALL: Size = { beyond: -Number.POSITIVE_INFINITY, char: 'x', isOfValues: false };

/** A value for an argument or input field with everything in it as large as its limits say. */
export function makeValue(slot: InputSlot, size: Size): unknown {
  const { type } = slot;
  const limits = limitsOf(slot);
  const length = (max: number) => Math.max(1, max + size.beyond);
  if (isNonNullType(type)) return makeValue({ ...slot, type: type.ofType }, size);
  if (isListType(type)) {
    const entry = makeValue({ ...slot, type: type.ofType }, size);
    const entries = length(limits.entries);
    const isLarge = JSON.stringify(entry).length * entries > VALUE_CHARS_MAX;
    return new Array(entries).fill(isLarge ? makeValue({ ...slot, type: type.ofType }, SMALL) : entry);
  }
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).filter((field) => size !== SMALL || isRequiredInputField(field));
    return Object.fromEntries(fields.map((field) => [field.name, makeValue(field, size)]));
  }
  if (isEnumType(type)) return type.getValues()[0]?.name;
  if (type.name === 'JSON') {
    return size.isOfValues ? new Array(length(limits.values - 1)).fill(0) : size.char.repeat(length(limits.chars));
  }
  if (type.name === 'String' || type.name === 'URL') return size.char.repeat(length(limits.chars));
  if (type.name === 'Boolean') return true;
  if (type.name === 'Int') return 100;
  if (type.name === 'Float') return 1;
  return type.name === 'DateTime' ? '2026-01-01T00:00:00Z' : size.char.repeat(length(WORD_CHARS_MAX));
}

/** An operation with its variables. */
export interface GeneratedOperation {
  query: string;
  variables: Record<string, unknown>;
}

/** A field that takes arguments. */
export interface FieldWithInputs {
  /** For example `Query.deliveries`. */
  coordinate: string;
  operation: 'query' | 'mutation' | 'subscription';
  /** Every operation for it: each value alone and all of them together, at their limits and beyond. */
  operations: (size: Size) => GeneratedOperation[];
  /** The same values in one document, with all of them together. */
  literal: (size: Size) => string;
}

/**
 * Every field that takes arguments.
 *
 * @param ways how objects below the root are reached, by their type: `SEL` is what is selected of them
 */
export function findFieldsWithInputs(schema: GraphQLSchema, ways: Record<string, string>): FieldWithInputs[] {
  const objects = Object.values(schema.getTypeMap()).filter(
    (type) => isObjectType(type) && !type.name.startsWith('__'),
  ) as GraphQLObjectType[];
  return objects.flatMap((type) =>
    Object.values(type.getFields())
      .filter(({ args }) => args.length > 0)
      .map((field) => describe(schema, { type, field, ways })),
  );
}

interface Described {
  type: GraphQLObjectType;
  field: GraphQLField<unknown, unknown>;
  ways: Record<string, string>;
}

function describe(schema: GraphQLSchema, { type, field, ways }: Described): FieldWithInputs {
  const operations = ['query', 'mutation', 'subscription'] as const;
  const operation = operations.find((name) => schema.getRootType(name as never) === type) ?? 'query';
  const isRoot = schema.getRootType(operation as never) === type;
  const way = isRoot ? 'SEL' : ways[type.name];
  if (way === undefined) throw new Error(`No way to ${type.name} is known.`);
  const selection = isLeafType(getNamedType(field.type)) ? '' : ' { __typename }';
  const select = (args: string) => way.replace('SEL', `${field.name}(${args})${selection}`);
  const build = (values: Record<string, unknown>): GeneratedOperation => {
    const used = field.args.filter(({ name }) => name in values);
    const declared = used.map(({ name, type: of }) => `$${name}: ${of}`).join(', ');
    const passed = used.map(({ name }) => `${name}: $${name}`).join(', ');
    return { query: `${operation} (${declared}) { ${select(passed)} }`, variables: values };
  };
  return {
    coordinate: `${type.name}.${field.name}`,
    operation,
    operations: (size) => [...field.args.flatMap((arg) => vary(field, arg, size)), makeAll(field, size)].map(build),
    literal: (size) => {
      const all = makeAll(field, size);
      const passed = field.args.map((arg) => `${arg.name}: ${toLiteral(arg.type, all[arg.name])}`);
      return `${operation} { ${select(passed.join(', '))} }`;
    },
  };
}

const makeAll = ({ args }: GraphQLField<unknown, unknown>, size: Size) =>
  Object.fromEntries(args.map((arg) => [arg.name, makeValue(arg, size)]));

/** Values for a field's arguments in which one argument, or one field of its input object, is large. */
function vary(field: GraphQLField<unknown, unknown>, large: GraphQLArgument, size: Size): Record<string, unknown>[] {
  const required = field.args.filter((arg) => isNonNullType(arg.type) && arg !== large);
  const others = Object.fromEntries(required.map((arg) => [arg.name, makeValue(arg, SMALL)]));
  const bare = isNonNullType(large.type) ? large.type.ofType : large.type;
  if (!isInputObjectType(bare)) return [{ ...others, [large.name]: makeValue(large, size) }];
  const small = makeValue(large, SMALL) as object;
  return Object.values(bare.getFields()).map((inner) => ({
    ...others,
    [large.name]: { ...small, [inner.name]: makeValue(inner, size) },
  }));
}

/** A value as it is written in a document. */
function toLiteral(type: GraphQLInputType, value: unknown): string {
  if (isNonNullType(type)) return toLiteral(type.ofType, value);
  if (Array.isArray(value)) {
    const inner = isListType(type) ? (type.ofType as GraphQLInputType) : type;
    return `[${value.map((entry) => toLiteral(inner, entry)).join(' ')}]`;
  }
  if (isInputObjectType(type)) {
    const fields = type.getFields();
    const parts = Object.entries(value as object).map(
      ([name, inner]) => `${name}: ${toLiteral(fields[name]?.type as GraphQLInputType, inner)}`,
    );
    return `{ ${parts.join(' ')} }`;
  }
  return isEnumType(type) ? String(value) : JSON.stringify(value);
}
