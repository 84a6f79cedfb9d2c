import type { ClientBase } from 'pg';

const SQL = `
with disabled as (
  update endpoints e set status = 'DISABLED', disabled_reason = i.reason, disabled_at = $3, updated_at = $3
  from (select distinct on (id, url) * from unnest($1::uuid[], $2::text[], $4::text[]) as x(id, reason, url)) i
  where e.id = i.id and e.url = i.url and e.status <> 'DISABLED' and e.deleted_at is null
  returning e.environment_id, e.id, i.reason
)
insert into endpoint_changes (environment_id, endpoint_id, kind, status, reason, changed_at)
select environment_id, id, 'DISABLED', 'DISABLED', reason, $3 from disabled`;

/** An endpoint that is to be disabled, and why. */
export interface Disabling {
  endpointId: string;
  /** Where the attempts were sent. */
  url: string;
  reason: string;
}

/**
 * Disables endpoints for what their attempts brought. One that is disabled already keeps its reason, and one that has
 * another address by now stays as it is.
 */
export async function disableEndpoints(client: ClientBase, endpoints: Disabling[], now: Date): Promise<void> {
  if (endpoints.length === 0) return;
  const values = [
    endpoints.map((one) => one.endpointId),
    endpoints.map((one) => one.reason),
    now,
    endpoints.map((one) => one.url),
  ];
  await client.query({ name: 'disable-endpoints', text: SQL, values });
}
