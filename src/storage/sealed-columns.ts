/** Everything in the database that is sealed. Each table has an `id`. */
export const SEALED_COLUMNS = [
  { table: 'endpoint_secrets', column: 'sealed' },
  { table: 'endpoints', column: 'headers_sealed' },
  { table: 'endpoints', column: 'client_certificate_sealed' },
] as const;

export type SealedColumn = (typeof SEALED_COLUMNS)[number];
