/** Whom a row belongs to, as UUIDs. Everything a caller reads or writes is within one tenant's environment. */
export interface Tenant {
  organizationId: string;
  environmentId: string;
  /** The one endpoint that anything may be seen of; null: all of the environment. */
  endpointId: string | null;
}
