import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from './schema.ts';

/** The schema as `schema.graphql` has it: sorted, so that a change of the code's order changes nothing. */
export const printSortedSchema = (): string => `${printSchema(lexicographicSortSchema(schema))}\n`;

/** `npm run schema:print` writes schema.graphql. */
if (import.meta.main) await writeFile(join(import.meta.dirname, '../../schema.graphql'), printSortedSchema());
