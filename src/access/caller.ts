import type { Tenant } from '../domain/tenant.ts';
import type { Scope } from '../generated/prisma/enums.ts';

/** Everything a key can be allowed to do. */
export const SCOPES = [
  'EVENTS_PUBLISH',
  'DELIVERIES_READ',
  'DELIVERIES_RETRY',
  'ENDPOINTS_MANAGE',
  'API_KEYS_MANAGE',
] as const satisfies readonly Scope[];

/** Who makes a request, and as whom. */
export interface Caller extends Tenant {
  /** UUID of the API key, or of the one that made the browser token; null: the operator's. */
  keyId: string | null;
  scopes: readonly Scope[];
  /** The operator's key: may make organizations, and act in any. */
  isOperator: boolean;
  /** A token for a page: sees its own environment or endpoint, and nothing beside it. */
  isBrowserToken: boolean;
  /** When the key, token or session ends; null: never. */
  expiresAt: Date | null;
}

/** Whom a caller counts as where one may have only so much: a page with a token takes nothing from the key that made it. */
export const countedAs = ({ keyId, isBrowserToken, environmentId, endpointId }: Caller): string =>
  [keyId ?? 'operator', ...(isBrowserToken ? ['token', environmentId, endpointId] : [])].join(' ');
