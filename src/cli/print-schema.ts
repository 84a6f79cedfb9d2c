import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printSortedSchema } from '../graphql/print-schema.ts';
import { readCommandLine } from './command.ts';

// `npm run schema:print`

readCommandLine({
  usage: 'npm run schema:print --',
  help: 'Writes the GraphQL schema of this code to schema.graphql.\n\n  npm run schema:print\n',
});
await writeFile(join(import.meta.dirname, '../../schema.graphql'), printSortedSchema());
