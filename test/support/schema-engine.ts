import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  type SqlDriverAdapter,
} from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import pg from 'pg';

const SCHEMA_PATH = join(import.meta.dirname, '../../prisma/schema.prisma');

/** @returns the SQL that Prisma would execute to turn the database into what `schema.prisma` describes */
export async function diffWithPrismaSchema(databaseUrl: string): Promise<string> {
  const pool = new CharPool({ connectionString: databaseUrl, max: 2 });
  try {
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
  } finally {
    await pool.end();
  }
}

/** Loaded once: its code knows only one instance. */
let loadedGlue: Promise<typeof import('@prisma/schema-engine-wasm')> | undefined;

async function openSchemaEngine(pool: CharPool): Promise<SchemaEngine> {
  loadedGlue ??= loadGlue();
  const glue = await loadedGlue;
  const factory = new PrismaPg(pool, { disposeExternalPool: false });
  const connect = factory.connect.bind(factory);
  const adapterFactory = Object.assign(factory, { connect: async () => pool.restoreChars(await connect()) });
  return glue.SchemaEngine.new(
    { datamodels: undefined },
    () => {},
    bindMigrationAwareSqlAdapterFactory(adapterFactory),
  );
}

/** The entry module of the package needs a bundler, so this loads its parts. */
async function loadGlue() {
  const folder = dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'));
  const glue = await import(pathToFileURL(join(folder, 'schema_engine_bg.js')).href);
  const bytes = await readFile(join(folder, 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  (instance.exports.__wbindgen_start as () => void)();
  return glue;
}

/** Postgres' type "char" of its catalogs, which Prisma's driver adapter does not know, and `text`. */
const [CHAR_OID, TEXT_OID] = [18, 25];

/** Lets the adapter read "char" as text, and tells the engine which columns were "char". */
class CharPool extends pg.Pool {
  /** Indexes of "char" columns by the rows of their result. */
  readonly #charColumns = new WeakMap<object, number[]>();

  // biome-ignore lint/suspicious/noExplicitAny: the method has many overloads
  override async query(...words: any): Promise<any> {
    const result = await (super.query as (...words: unknown[]) => Promise<pg.QueryResult>)(...words);
    const isChar = ({ dataTypeID }: pg.FieldDef) => dataTypeID === CHAR_OID;
    this.#charColumns.set(
      result.rows,
      result.fields.flatMap((field, index) => (isChar(field) ? [index] : [])),
    );
    for (const field of result.fields) if (isChar(field)) field.dataTypeID = TEXT_OID;
    return result;
  }

  restoreChars(adapter: SqlDriverAdapter): SqlDriverAdapter {
    const queryRaw = adapter.queryRaw.bind(adapter);
    return Object.assign(adapter, {
      queryRaw: async (query: Parameters<typeof queryRaw>[0]) => {
        const result = await queryRaw(query);
        for (const index of this.#charColumns.get(result.rows) ?? []) {
          result.columnTypes[index] = ColumnTypeEnum.Character;
        }
        return result;
      },
    });
  }
}
