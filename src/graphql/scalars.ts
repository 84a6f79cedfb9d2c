import { GraphQLError, type ValueNode, visit } from 'graphql';
import { DateTimeResolver, JSONResolver } from 'graphql-scalars';
import { builder } from './builder.ts';

builder.scalarType('DateTime', {
  description: 'A point in time, RFC 3339, answered in UTC: `2026-01-31T12:00:00.000Z`.',
  // Left as a Date, JSON.stringify would look up how to write each one: that takes twice as long.
  serialize: (value) => value.toISOString(),
  parseValue: (value) => checkYear(DateTimeResolver.parseValue(value) as Date),
  parseLiteral: (node) => checkYear(DateTimeResolver.parseLiteral(node, {}) as Date),
});

builder.scalarType('JSON', {
  description: 'Any JSON value. Numbers are read as double-precision floats, as JSON parsers do.',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: (node, variables) => JSONResolver.parseLiteral(refuseNames(node), variables ?? {}),
});

builder.scalarType('URL', {
  description: 'An absolute http or https URL. What is wrong with one is told by the mutation that takes it.',
  serialize: (value) => value,
  parseValue: (value) => String(value),
});

/** Postgres has no year 0. */
function checkYear(date: Date): Date {
  if (date.getUTCFullYear() >= 1) return date;
  throw new GraphQLError('DateTime must be in the year 0001 or later.');
}

/** A bare word is no JSON: it would silently become null. */
function refuseNames(node: ValueNode): ValueNode {
  visit(node, {
    EnumValue: ({ value }) => {
      throw new GraphQLError(`${value} is no JSON value. Put it in quotes.`);
    },
  });
  return node;
}
