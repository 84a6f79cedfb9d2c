import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  buildSchema,
  findBreakingChanges,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isNonNullType,
  isObjectType,
  isSpecifiedDirective,
  isSpecifiedScalarType,
  isUnionType,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { printSortedSchema } from '../src/graphql/print-schema.ts';
import { schema } from '../src/graphql/schema.ts';

const CONTRACT_PATH = join(import.meta.dirname, 'contract.graphql');
const SCHEMA_PATH = join(import.meta.dirname, '../schema.graphql');

describe('schema.graphql', () => {
  it('is the schema as the code has it', () => {
    const isInStep = readFileSync(SCHEMA_PATH, 'utf8') === printSortedSchema();
    expect(isInStep, 'schema.graphql is not in step with the code: run `npm run schema:print`').toBe(true);
  });
});

describe('the contract', () => {
  it('is kept: nothing that clients rely on is gone or changed', () => {
    const contract = buildSchema(readFileSync(CONTRACT_PATH, 'utf8'));
    expect(findBreakingChanges(contract, schema)).toEqual([]);
  });
});

interface Described {
  path: string;
  description: string | null | undefined;
}

const describeFields = (path: string, fields: GraphQLField<unknown, unknown>[]): Described[] =>
  fields.flatMap((field) => [
    { path: `${path}.${field.name}`, description: field.description },
    ...field.args.map((arg) => ({ path: `${path}.${field.name}(${arg.name}:)`, description: arg.description })),
  ]);

/** A type, and everything in it that may have a description. */
function describeType(type: GraphQLNamedType): Described[] {
  const itself = { path: type.name, description: type.description };
  if (isObjectType(type) || isInterfaceType(type)) {
    return [itself, ...describeFields(type.name, Object.values(type.getFields()))];
  }
  if (isInputObjectType(type) || isEnumType(type)) {
    const members = isEnumType(type) ? type.getValues() : Object.values(type.getFields());
    return [itself, ...members.map(({ name, description }) => ({ path: `${type.name}.${name}`, description }))];
  }
  return [itself];
}

describe('every member of the schema', () => {
  const types = Object.values(schema.getTypeMap()).filter(
    (type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type),
  );
  const directives = schema.getDirectives().filter((directive) => !isSpecifiedDirective(directive));
  const members = [
    ...types.flatMap(describeType),
    ...directives.map(({ name, description }) => ({ path: `@${name}`, description })),
  ];

  it('is looked at: types, fields, arguments, input fields and enum values', () => {
    const paths = members.map(({ path }) => path);
    const examples = ['Delivery', 'Delivery.status', 'Query.deliveries(filter:)', 'DeliveryFilter.statuses'];
    expect(paths).toEqual(expect.arrayContaining([...examples, 'DeliveryStatus.HELD', 'DateTime', 'Error.message']));
  });

  it('has a description', () => {
    expect(members.filter(({ description }) => !description?.trim()).map(({ path }) => path)).toEqual([]);
  });
});

describe('mutations', () => {
  const mutations = Object.values(schema.getMutationType()?.getFields() ?? {});
  const isError = (type: GraphQLObjectType) => type.getInterfaces().some(({ name }) => name === 'Error');

  it.each(mutations.map((mutation) => [mutation.name, mutation] as const))(
    '%s answers its payload or errors that implement Error',
    (name, { type }) => {
      const pascalName = name.charAt(0).toUpperCase() + name.slice(1);
      const result = isNonNullType(type) ? type.ofType : type;
      if (!isNonNullType(type) || !isUnionType(result)) throw new Error(`${name} answers ${type}, which is no union!`);
      expect(result.name).toBe(`${pascalName}Result`);
      const members = result.getTypes();
      expect(members.filter((member) => !isError(member)).map((member) => member.name)).toEqual([
        `${pascalName}Payload`,
      ]);
      expect(members.filter((member) => isError(member) && member.name.endsWith('Payload'))).toEqual([]);
    },
  );

  it('take one argument, which is their input', () => {
    const signatures = mutations.map(({ args }) => args.map((arg) => `${arg.name}: ${arg.type}`).join());
    const expected = mutations.map(({ name }) => `input: ${name.charAt(0).toUpperCase()}${name.slice(1)}Input!`);
    expect(signatures).toEqual(expected);
  });
});
