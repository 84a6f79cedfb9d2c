import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import type { Pool } from 'pg';

const SCHEMA_PATH = join(import.meta.dirname, '../../prisma/schema.prisma');

/** Opens Prisma's schema engine, in WebAssembly, on a database. */
async function openSchemaEngine(pool: Pool): Promise<SchemaEngine> {
  // The entry module of the package needs a bundler, so this loads its parts.
  const folder = dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'));
  const glue = await import(pathToFileURL(join(folder, 'schema_engine_bg.js')).href);
  const bytes = await readFile(join(folder, 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  (instance.exports.__wbindgen_start as () => void)();
  const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool, { disposeExternalPool: false }));
  return glue.SchemaEngine.new({ datamodels: undefined }, () => {}, adapter);
}

/** @returns the SQL that Prisma would execute to turn the database into what `schema.prisma` describes */
export async function diffWithPrismaSchema(pool: Pool): Promise<string> {
  const engine = await openSchemaEngine(pool);
  const files = [{ path: SCHEMA_PATH, content: await readFile(SCHEMA_PATH, 'utf8') }];
  const { stdout } = await engine.diff({
    from: { tag: 'schemaDatasource', files, configDir: dirname(SCHEMA_PATH) },
    to: { tag: 'schemaDatamodel', files },
    script: true,
    shadowDatabaseUrl: null,
    exitCode: null,
    filters: { externalTables: [], externalEnums: [] },
  } as Parameters<SchemaEngine['diff']>[0]);
  return stdout ?? '';
}
