/** The secrets of endpoints. */
export const SECRET_COLUMN = { table: 'endpoint_secrets', column: 'sealed' } as const;
/** The headers of endpoints, as JSON. */
export const HEADERS_COLUMN = { table: 'endpoints', column: 'headers_sealed' } as const;
/** The client certificates of endpoints with their private keys, as JSON. */
export const CERTIFICATE_COLUMN = { table: 'endpoints', column: 'client_certificate_sealed' } as const;

/** Everything in the database that is encrypted. Each table has an `id`. */
export const SEALED_COLUMNS = [SECRET_COLUMN, HEADERS_COLUMN, CERTIFICATE_COLUMN] as const;

export type SealedColumn = (typeof SEALED_COLUMNS)[number];
