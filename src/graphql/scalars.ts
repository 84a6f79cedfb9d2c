import { DateTimeResolver, JSONResolver } from 'graphql-scalars';
import { builder } from './builder.ts';

builder.scalarType('DateTime', {
  description: 'A point in time, RFC 3339, answered in UTC: `2026-01-31T12:00:00.000Z`.',
  serialize: (value) => value,
  parseValue: (value) => DateTimeResolver.parseValue(value) as Date,
  parseLiteral: (node) => DateTimeResolver.parseLiteral(node, {}) as Date,
});

builder.scalarType('JSON', {
  description: 'Any JSON value. Numbers are read as double-precision floats, as JSON parsers do.',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: (node, variables) => JSONResolver.parseLiteral(node, variables ?? {}),
});

builder.scalarType('URL', {
  description: 'An absolute http or https URL. What is wrong with one is told by the mutation that takes it.',
  serialize: (value) => value,
  parseValue: (value) => String(value),
});
