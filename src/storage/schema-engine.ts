import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import type { Pool } from 'pg';

/** Prisma's schema engine, loaded once a process: its glue code knows only one instance. */
let loadedGlue: Promise<typeof import('@prisma/schema-engine-wasm')> | undefined;

/** Opens Prisma's schema engine on a database. Its connections are the pool's, to be ended with it. */
export async function openSchemaEngine(pool: Pool, schema: string): Promise<SchemaEngine> {
  loadedGlue ??= loadGlue();
  const glue = await loadedGlue;
  const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool, { disposeExternalPool: false, schema }));
  return glue.SchemaEngine.new({ datamodels: undefined }, () => {}, adapter);
}

/** The build in WebAssembly needs no download, but its entry module wants a bundler: this puts it together by hand. */
async function loadGlue() {
  const folder = dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'));
  const glue = await import(pathToFileURL(join(folder, 'schema_engine_bg.js')).href);
  const bytes = await readFile(join(folder, 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  (instance.exports.__wbindgen_start as () => void)();
  return glue;
}
