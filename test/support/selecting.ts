import { type GraphQLField, type GraphQLObjectType, getNamedType, isLeafType, isObjectType } from 'graphql';
import { schema } from '../../src/graphql/schema.ts';

/** Objects below a field whose values are selected too. */
const LEVELS = 3;

/** Names of the types that have an ID: each object of theirs is a row. */
export const ROW_TYPES: readonly string[] = schema
  .getPossibleTypes(schema.getType('Node') as never)
  .map(({ name }) => name)
  .toSorted();

/** The fields of a type, by its name. */
export const fieldsOf = (typeName: string): GraphQLField<unknown, unknown>[] =>
  Object.values((schema.getType(typeName) as GraphQLObjectType).getFields());

/** Selects a field with everything below it up to the next rows, of which it selects the IDs. */
export function selectAlone({ name, type }: GraphQLField<unknown, unknown>): string {
  const named = getNamedType(type);
  return isLeafType(named) ? name : `${name} { ${selectBelow(named as GraphQLObjectType, 0)} }`;
}

function selectBelow(type: GraphQLObjectType, level: number): string {
  if (ROW_TYPES.includes(type.name)) return 'id';
  const parts = Object.values(type.getFields()).map((field) => {
    const named = getNamedType(field.type);
    if (isLeafType(named)) return field.name;
    return level < LEVELS && isObjectType(named) ? `${field.name} { ${selectBelow(named, level + 1)} }` : '';
  });
  return parts.filter(Boolean).join(' ');
}
