import { GraphQLError, Kind, type ValueNode } from 'graphql';
import { DateTimeResolver } from 'graphql-scalars';
import { readNumber } from '../domain/json-number.ts';
import { builder } from './builder.ts';

const YEAR_MAX = 9_999;

builder.scalarType('DateTime', {
  description:
    'A point in time, RFC 3339, answered in UTC: `2026-01-31T12:00:00.000Z`. Years are 0001 to 9999 in UTC; digits of a second beyond milliseconds are dropped; leap seconds are refused.',
  // Left as a Date, JSON.stringify would look up how to write each one: that takes twice as long.
  serialize: (value) => value.toISOString(),
  parseValue: (value) => checkYear(DateTimeResolver.parseValue(value) as Date),
  parseLiteral: (node) => checkYear(DateTimeResolver.parseLiteral(node, {}) as Date),
});

builder.scalarType('JSON', {
  description: 'Any JSON value. A number that a double-precision float cannot hold exactly is kept as it was written.',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: (node, variables) => readLiteral(node, variables ?? {}),
});

builder.scalarType('URL', {
  description: 'An absolute http or https URL. What is wrong with one is told by the mutation that takes it.',
  serialize: (value) => value,
  parseValue: (value) => String(value),
});

/** Postgres has no year 0, and RFC 3339 no year beyond 9999: an offset can lead to either. */
function checkYear(date: Date): Date {
  const year = date.getUTCFullYear();
  if (year >= 1 && year <= YEAR_MAX) return date;
  throw new GraphQLError(`DateTime must be in the years 0001 to ${YEAR_MAX} in UTC.`);
}

/** The value of a literal. A bare word is no JSON: it would silently become null. @throws {GraphQLError} */
function readLiteral(node: ValueNode, variables: Readonly<Record<string, unknown>>): unknown {
  switch (node.kind) {
    case Kind.STRING:
    case Kind.BOOLEAN:
      return node.value;
    case Kind.INT:
    case Kind.FLOAT:
      return readNumber(node.value);
    case Kind.NULL:
      return null;
    case Kind.LIST:
      return node.values.map((value) => readLiteral(value, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, readLiteral(value, variables)]));
    case Kind.VARIABLE:
      return variables[node.name.value];
    case Kind.ENUM:
      throw new GraphQLError(`${node.value} is not a JSON value. Put it in quotes.`);
  }
}
