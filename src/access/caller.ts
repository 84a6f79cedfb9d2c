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

/**
 * Which properties make callers equal for a subscription's results, which are computed once for all of them. A new
 * property has to be listed here. The others differ from key to key and from token to token.
 */
const IS_SHARED: Record<keyof Caller, boolean> = {
  organizationId: true,
  environmentId: true,
  endpointId: true,
  scopes: true,
  isOperator: true,
  isBrowserToken: true,
  keyId: false,
  expiresAt: false,
};

const PROPERTIES = Object.entries(IS_SHARED) as [keyof Caller, boolean][];

/** What callers have in common who get the same results. */
export interface SharedCaller {
  /** Equal for equal callers. */
  key: string;
  /** Has the properties in the key and no others: reading another one throws. */
  caller: Caller;
}

/**
 * Reduces a caller to what a shared result may depend on. Rules that decide about the result see the reduced caller, so
 * none can depend on anything that is not in the key.
 */
export function shareCaller(caller: Caller): SharedCaller {
  const shared = {};
  for (const [name, isShared] of PROPERTIES) {
    const get = isShared ? undefined : () => refuseToShare(name);
    const value = name === 'scopes' ? Object.freeze(caller.scopes.toSorted()) : caller[name];
    Object.defineProperty(shared, name, get ? { get } : { value, enumerable: true });
  }
  // Getters are not enumerable.
  return { key: JSON.stringify(shared), caller: Object.freeze(shared) as Caller };
}

function refuseToShare(name: string): never {
  throw new Error(
    `Results are shared between callers with different ${name}. List it in IS_SHARED, or do not read it.`,
  );
}

/** Whom a caller counts as where one may have only so much: a page with a token takes nothing from the key that made it. */
export const countedAs = ({ keyId, isBrowserToken, environmentId, endpointId }: Caller): string =>
  [keyId ?? 'operator', ...(isBrowserToken ? ['token', environmentId, endpointId] : [])].join(' ');
