import type { ApiKeyWhereInput } from '../generated/prisma/models/ApiKey.ts';
import type { DeliveryWhereInput } from '../generated/prisma/models/Delivery.ts';
import type { DeliveryAttemptWhereInput } from '../generated/prisma/models/DeliveryAttempt.ts';
import type { EndpointWhereInput } from '../generated/prisma/models/Endpoint.ts';
import type { EndpointSecretWhereInput } from '../generated/prisma/models/EndpointSecret.ts';
import type { EnvironmentWhereInput } from '../generated/prisma/models/Environment.ts';
import type { EventWhereInput } from '../generated/prisma/models/Event.ts';
import type { OrganizationWhereInput } from '../generated/prisma/models/Organization.ts';
import type { RouteWhereInput } from '../generated/prisma/models/Route.ts';
import type { Caller } from './caller.ts';

// What a caller may see of each table, as a condition on its rows: the one place that says so. What is reached from a
// row by its relations is visible where the row is. Each may stand beside an `id`.

/** A condition on an ID that may stand beside another one. */
const only = (id: string) => ({ AND: { id } });

export const visibleOrganizations = (caller: Caller): OrganizationWhereInput =>
  caller.isOperator ? {} : only(caller.organizationId);

/** Keys know of the other environments of their organization, browser tokens don't. */
export function visibleEnvironments(caller: Caller): EnvironmentWhereInput {
  if (caller.isOperator) return {};
  return caller.isBrowserToken ? only(caller.environmentId) : { organizationId: caller.organizationId };
}

export function visibleApiKeys(caller: Caller): Pick<ApiKeyWhereInput, 'environmentId' | 'OR'> {
  if (caller.isOperator) return {};
  // Fits nothing.
  return caller.isBrowserToken ? { OR: [] } : { environmentId: caller.environmentId };
}

/** Also those that were deleted. */
export const visibleEndpoints = ({ environmentId, endpointId }: Caller): EndpointWhereInput => ({
  environmentId,
  ...(endpointId !== null && only(endpointId)),
});

/** What is told of the secrets of endpoints that were not deleted. */
export const visibleSecrets = (caller: Caller): EndpointSecretWhereInput => ({
  endpoint: { ...visibleEndpoints(caller), deletedAt: null },
});

/** Rows that name their endpoint. */
const ofTenant = ({ environmentId, endpointId }: Caller) => ({
  environmentId,
  ...(endpointId !== null && { endpointId }),
});

export const visibleRoutes: (caller: Caller) => RouteWhereInput = ofTenant;
export const visibleDeliveries: (caller: Caller) => DeliveryWhereInput = ofTenant;
export const visibleAttempts: (caller: Caller) => DeliveryAttemptWhereInput = ofTenant;

/** Of one endpoint: those that have a delivery to it. */
export const visibleEvents = ({ environmentId, endpointId }: Caller): EventWhereInput => ({
  environmentId,
  ...(endpointId !== null && { deliveries: { some: { endpointId } } }),
});
