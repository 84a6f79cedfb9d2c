import type { ClientBase } from 'pg';

const SQL = `
with disabled as (
  update endpoints e set status = 'DISABLED', disabled_reason = i.reason, disabled_at = $3, updated_at = $3
  from (select distinct on (id) * from unnest($1::uuid[], $2::text[]) as x(id, reason)) i
  where e.id = i.id and e.status <> 'DISABLED' and e.deleted_at is null
  returning e.environment_id, e.id, i.reason
)
insert into endpoint_changes (environment_id, endpoint_id, kind, status, reason, changed_at)
select environment_id, id, 'DISABLED', 'DISABLED', reason, $3 from disabled`;

/** Disables endpoints for what their attempts brought. One that is disabled already keeps its reason. */
export async function disableEndpoints(
  client: ClientBase,
  endpoints: { endpointId: string; reason: string }[],
  now: Date,
): Promise<void> {
  if (endpoints.length === 0) return;
  const values = [endpoints.map((one) => one.endpointId), endpoints.map((one) => one.reason), now];
  await client.query({ name: 'disable-endpoints', text: SQL, values });
}
