import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from './schema.ts';

/** The schema as `schema.graphql` has it: sorted, so that a change of the code's order changes nothing. */
export const printSortedSchema = (): string => `${printSchema(lexicographicSortSchema(schema))}\n`;
