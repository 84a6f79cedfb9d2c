import { withClient } from './databases.ts';
import { ask } from './graphql.ts';

/** Almost the largest body that an event can have. */
const BODY_BYTES = 250_000;
const EVENTS = 100;
const CALLS = 30;

const SEED = `
with target as (select * from endpoints order by id limit 1),
made as (
  insert into events (id, organization_id, environment_id, type, body, content_type, endpoint_count, created_at)
  select uuidv7(), t.organization_id, t.environment_id, 'large.event', convert_to(repeat(md5(i::text), $1::int / 32), 'UTF8'),
    'text/plain', 1, now()
  from generate_series(1, $2::int) i cross join target t
  returning id, organization_id, environment_id)
insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, event_type, status, attempt_count,
  max_retries, plan, created_at, updated_at)
select uuidv7(), m.organization_id, m.environment_id, m.id, t.id, 'large.event', 'CANCELED', 0, 9, 1, now(), now()
from made m cross join target t`;

/** Adds 100 events with bodies of 250 KB, each with a delivery, to a database that has an endpoint. */
export const seedLargeBodies = (databaseUrl: string): Promise<void> =>
  withClient(databaseUrl, async (client) => {
    await client.query(SEED, [BODY_BYTES, EVENTS]);
    await client.query('vacuum analyze');
  });

/** Lists that select no body. */
export const LARGE_BODY_LISTS: Record<string, string> = {
  'events{id}': '{ events(first: 100, filter: { types: ["large.event"] }) { edges { node { id } } } }',
  'deliveries{event{type}}':
    '{ deliveries(first: 100, filter: { eventTypes: ["large.event"] }) { edges { node { event { type } } } } }',
};

/** Times a list. @returns ms of each call */
export async function timeLargeBodies(serverUrl: string, query: string): Promise<number[]> {
  const times: number[] = [];
  for (let call = 0; call <= CALLS; call += 1) {
    const start = performance.now();
    const { edges } = await ask(serverUrl, query, {});
    if (edges.length !== EVENTS) throw new Error(`The list has ${edges.length} rows.`);
    // The first call finds cold caches.
    if (call > 0) times.push(performance.now() - start);
  }
  return times;
}
