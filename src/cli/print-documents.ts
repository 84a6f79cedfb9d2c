import { writeFile } from 'node:fs/promises';
import { DOCUMENTS_PATH, printDocuments } from '../dashboard/print-documents.ts';
import { readCommandLine } from './command.ts';

// `npm run documents:print`

readCommandLine({
  usage: 'npm run documents:print --',
  help: "Writes the dashboard's typed documents from its .graphql files and schema.graphql.\n\n  npm run documents:print\n",
});
await writeFile(DOCUMENTS_PATH, await printDocuments());
