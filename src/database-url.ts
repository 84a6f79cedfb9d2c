/** The schema of Posthorn's tables unless the database URL names another one. */
export const SCHEMA_DEFAULT = 'public';
/** Leaves room for the suffixes of names that are derived from it: Postgres cuts names at 63 bytes. */
const SCHEMA_MAX_CHARS = 40;
/** A name that means the same with and without quotes. Postgres reserves names that start with `pg_`. */
const SCHEMA_PATTERN = new RegExp(`^(?!pg_|information_schema$)[a-z_][a-z0-9_]{0,${SCHEMA_MAX_CHARS - 1}}$`);

/** The rule for names of schemas, as messages state it. */
export const SCHEMA_RULE = `at most ${SCHEMA_MAX_CHARS} lower-case letters, digits and _, without a digit or pg_ at the start`;

/** A database URL without the parameters that Posthorn interprets itself. */
export interface DatabaseUrl {
  /** The URL with all other parameters, for `pg`. */
  connectionString: string;
  /** Prisma's `?schema=`. @default {@link SCHEMA_DEFAULT} */
  schema: string;
  /** Whether the URL has that parameter. */
  namesSchema: boolean;
  /** libpq's `?options=`, such as `-c work_mem=64MB`; empty if there are none. */
  options: string;
}

/** Takes a database URL apart. Works on the text, because `pg` accepts URLs that the class `URL` refuses. */
export function parseDatabaseUrl(databaseUrl: string): DatabaseUrl {
  const [base = '', query = ''] = databaseUrl.split(/\?(.*)/s);
  const parameters = query.split('&').filter(Boolean);
  const valuesOf = (name: string) =>
    parameters.map((part) => new URLSearchParams(part).get(name) ?? '').filter(Boolean);
  const kept = parameters.filter((part) => !/^(schema|options)(=|$)/.test(part));
  return {
    connectionString: kept.length > 0 ? `${base}?${kept.join('&')}` : base,
    schema: valuesOf('schema').at(-1) ?? SCHEMA_DEFAULT,
    namesSchema: valuesOf('schema').length > 0,
    options: valuesOf('options').join(' '),
  };
}

/** Whether `name` can be the schema of Posthorn's tables. */
export const isSchemaName = (name: string): boolean => SCHEMA_PATTERN.test(name);

/** @returns what is wrong if the two URLs of a configuration name different schemas, as a list of at most one sentence */
export function findSchemaConflict(databaseUrl: string | undefined, directDatabaseUrl: string | undefined): string[] {
  if (!databaseUrl || !directDatabaseUrl) return [];
  const { schema } = parseDatabaseUrl(databaseUrl);
  const { schema: directSchema } = parseDatabaseUrl(directDatabaseUrl);
  if (schema === directSchema) return [];
  return [
    `POSTHORN_DIRECT_DATABASE_URL names the schema ${directSchema} and DATABASE_URL the schema ${schema}; add the same ?schema= to both`,
  ];
}
