import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codegen } from '@graphql-codegen/core';
import * as typescriptOperations from '@graphql-codegen/typescript-operations';
import {
  buildSchema,
  concatAST,
  type DocumentNode,
  getOperationAST,
  parse,
  print,
  separateOperations,
  stripIgnoredCharacters,
} from 'graphql';

// The typed documents of the dashboard: of every `.graphql` file here, checked against the schema.

const SCHEMA_PATH = join(import.meta.dirname, '../../schema.graphql');
export const DOCUMENTS_PATH = join(import.meta.dirname, 'generated/documents.ts');

const SCALARS = { DateTime: 'string', JSON: 'unknown', URL: 'string', ID: 'string' };

/** All documents with the types of their variables and results. @throws where one does not fit the schema */
export async function printDocuments(): Promise<string> {
  const schema = readFileSync(SCHEMA_PATH, 'utf8');
  const documents = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.graphql'))
    .toSorted()
    .map((location) => ({ location, document: parse(readFileSync(join(import.meta.dirname, location), 'utf8')) }));
  const types = await codegen({
    schema: parse(schema),
    schemaAst: buildSchema(schema),
    documents,
    filename: DOCUMENTS_PATH,
    config: { scalars: SCALARS, strictScalars: true, enumsAsTypes: true },
    pluginMap: { typescriptOperations },
    plugins: [{ typescriptOperations: {} }],
  });
  const operations = separateOperations(concatAST(documents.map(({ document }) => document)));
  return `${HEAD}${types}\n${Object.entries(operations).map(printOperation).join('\n')}\n`;
}

const HEAD = `// Written by \`npm run documents:print\`.
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
`;

/** A text with the type of a document: clients take both, and texts are a fifth of the size. */
function printOperation([name, document]: [string, DocumentNode]): string {
  const kind = getOperationAST(document)?.operation ?? 'query';
  const type = `${name}${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
  const text = JSON.stringify(stripIgnoredCharacters(print(document)));
  return `export const ${name}Document = ${text} as unknown as TypedDocumentNode<${type}, ${type}Variables>;`;
}
