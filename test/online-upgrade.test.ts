import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { ROOT_KEY, until } from './support/posthorn.ts';
import { findLogLine, useProcesses, waitUntilStarted } from './support/processes.ts';
import { useReceiver } from './support/receiver.ts';

const DELIVERIES = 100_000;
/** Indexes that did not exist before the upgrade. */
const NEW_INDEXES = ['deliveries_environment_id_event_type_id_idx', 'deliveries_environment_id_source_key_id_idx'];

let database: TestDatabase;
const cleanUps: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  cleanUps.push(() => database.drop());
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const { spawnOn } = useProcesses();
const receiver = useReceiver();

/** As a version before the newest migrations left it, with a past. */
async function makeOld() {
  await database.query('alter table deliveries drop column event_type, drop column source_key');
  await database.query(
    "delete from _prisma_migrations where migration_name in ('20261128100000_source_keys', '20261130100000_event_types')",
  );
  await database.query(
    `insert into events (id, organization_id, environment_id, type, source_key, body, content_type, endpoint_count)
     select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, e.organization_id, e.id, 'old.' || n % 7,
       case when n % 2 = 0 then 'key' end, '{}', 'application/json', 1
     from generate_series(1, $1::int) n, environments e`,
    [DELIVERIES],
  );
  await database.query(
    `insert into deliveries (id, organization_id, environment_id, event_id, endpoint_id, status, max_retries)
     select id, organization_id, environment_id, id, gen_random_uuid(), 'DELIVERED', 0 from events`,
  );
}

async function graphql(url: string, query: string, variables: object = {}) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ROOT_KEY}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: Record<string, unknown>; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return Object.values(data)[0];
}

const CREATE_ENDPOINT =
  'mutation ($url: URL!) { createEndpoint(input: { url: $url, eventTypes: ["new.*"] }) { __typename } }';
const PUBLISH =
  'mutation { publishEvent(input: { type: "new.sent", payload: {} }) { ... on PublishEventPayload { event { id } } } }';

it('an upgrade of a large database publishes, delivers and answers health checks while rows are filled and indexes are built, and continues after a kill', async () => {
  await makeOld();
  const first = spawnOn(database.url);
  const firstUrl = await waitUntilStarted(first);
  await graphql(firstUrl, CREATE_ENDPOINT, { url: receiver.url('/upgrade') });
  const countLeft = async () => {
    const [row] = await database.query<{ count: number }>(
      'select count(*)::int as count from deliveries where event_type is null',
    );
    return row?.count ?? 0;
  };
  await until(async () => (await countLeft()) < DELIVERIES, 'the first rows to be filled');
  expect(await countLeft()).toBeGreaterThan(0);
  first.child.kill('SIGKILL');
  await first.exited;

  const second = spawnOn(database.url);
  const url = await waitUntilStarted(second);
  expect(await countLeft()).toBeGreaterThan(0);
  let published = 0;
  const isUpgraded = async () => {
    await graphql(url, PUBLISH);
    published += 1;
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    return findLogLine(second.stdout(), 'migrations.filled') && (await hasIndexes());
  };
  const hasIndexes = async () =>
    (
      await database.query(
        'select from unnest($1::text[]) as name join pg_index on indexrelid = to_regclass(name) where indisvalid',
        [NEW_INDEXES],
      )
    ).length === NEW_INDEXES.length;
  while (!(await isUpgraded())) expect(second.child.exitCode).toBeNull();
  expect(published).toBeGreaterThan(1);
  await receiver.waitFor(published, '/upgrade');
  expect(await countLeft()).toBe(0);
  const [{ wrong } = {}] = await database.query(
    `select count(*)::int as wrong from deliveries d join events e on e.id = d.event_id
     where (d.event_type, coalesce(d.source_key, '')) is distinct from (e.type, coalesce(e.source_key, ''))`,
  );
  expect(wrong).toBe(0);
}, 180_000);
