import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from './faults/cluster.ts';
import { findFeedError, useFollowing } from './support/following.ts';
import { keepLog } from './support/log-lines.ts';
import { type GraphqlAnswer, TestBed, until } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const receiver = useReceiver();
const PUBLISH = `mutation { publishEvent(input: { type: "outage.test", payload: 1 }) {
  ... on PublishEventPayload { event { id } } ... on Error { message } } }`;
const READ = '{ events(first: 1) { edges { node { id } } } }';

function expectUnavailable({ errors, status, headers }: GraphqlAnswer) {
  expect(errors?.map(({ extensions }) => extensions)).toMatchObject([
    { code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1_000 },
  ]);
  expect(status).toBe(503);
  expect(headers.get('retry-after')).toBe('1');
}

describe('While Postgres is stopped,', () => {
  const bed = new TestBed({});
  const { follow } = useFollowing(bed);
  const kept = keepLog();
  let cluster: Cluster;
  let key: string;

  beforeAll(async () => {
    cluster = await Cluster.start();
    bed.posthorn = await bed.startProcess({ databaseUrl: cluster.url }, kept.log);
    const tenant = await bed.createTenant('outage');
    key = tenant.key;
    await bed.createEndpoint({ url: receiver.url('/outage'), eventTypes: ['outage.test'] }, { key });
    await bed.publish({ type: 'outage.test' }, { key });
    await until(() => receiver.requests.length === 1, 'the first delivery');
    await cluster.stop();
  });
  afterAll(async () => {
    await bed.posthorn.stop();
    await cluster.remove();
  });

  it('queries and publishes answer SERVICE_UNAVAILABLE with 503 and Retry-After, for an API key and for the operator', async () => {
    for (const options of [{ key }, {}]) {
      expectUnavailable(await bed.graphql(READ, {}, options));
      expectUnavailable(await bed.graphql(PUBLISH, {}, options));
    }
  });

  it('an operation over WebSocket ends with SERVICE_UNAVAILABLE', async () => {
    const error = await findFeedError(follow('WebSocket', { query: READ }));
    expect(error?.errors).toMatchObject([{ extensions: { code: 'SERVICE_UNAVAILABLE', retryAfterMs: 1_000 } }]);
  });

  it('a subscription over SSE ends with SERVICE_UNAVAILABLE and 503', async () => {
    const error = await findFeedError(follow('SSE', { query: 'subscription { deliveryChanges { cursor } }', key }));
    expect(error).toMatchObject({ code: 'SERVICE_UNAVAILABLE', status: 503 });
  });

  it('the log has one line when the outage begins, and one with its duration when it is over', async () => {
    await cluster.start();
    const [available] = await until(() => {
      const found = kept.named('database.available');
      return found.length > 0 ? found : null;
    }, 'the end of the outage');
    expect(available?.durationMs).toBeGreaterThan(0);
    expect(kept.named('database.unavailable')).toHaveLength(1);
    await until(async () => (await bed.graphql(READ, {}, { key })).errors === undefined, 'an answer');
    const { data } = await bed.graphql(PUBLISH, {}, { key });
    expect(data.publishEvent.event.id).toBeTruthy();
    await until(() => receiver.requests.length > 0, 'the second delivery');
    const complaints = kept.lines.filter(({ level, event }) => level >= 40 && event !== 'database.unavailable');
    expect(complaints).toEqual([]);
  });
});

describe('A mutation whose connection breaks', () => {
  const bed = new TestBed({ role: 'api' });
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start();
    bed.posthorn = await bed.startProcess({ databaseUrl: cluster.url });
  });
  afterAll(async () => {
    await bed.posthorn.stop();
    await cluster.remove();
  });

  it('while it runs says that it may have been stored, and does not invite a retry', async () => {
    const { environmentId } = await bed.createTenant('broken');
    const admin = new pg.Client({ connectionString: cluster.url, application_name: 'test' });
    admin.on('error', () => {});
    await admin.connect();
    await admin.query('begin; lock table api_keys in access exclusive mode');
    const answer = bed.graphql(
      `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { ... on CreateApiKeyPayload { secret } } }`,
      { input: { environmentId, name: 'lost', scopes: ['DELIVERIES_READ'] } },
    );
    await until(async () => {
      const rows = await cluster.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and query ~* 'insert'`,
      );
      return rows.length > 0;
    }, 'the insert to wait');
    await admin.query('rollback');
    await admin.end();
    const { errors } = await answer;
    expect(errors?.[0]?.message).toContain('may be stored or not');
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'INTERNAL_SERVER_ERROR' });
    expect(errors?.[0]?.extensions).not.toHaveProperty('retryAfterMs');
  });
});

describe('A clean stop', () => {
  it('of Posthorn and its Postgres logs no warning', async () => {
    const bed = new TestBed({});
    const kept = keepLog();
    const cluster = await Cluster.start();
    bed.posthorn = await bed.startProcess({ databaseUrl: cluster.url }, kept.log);
    await Promise.all(Array.from({ length: 30 }, () => bed.graphql(READ)));
    await bed.posthorn.stop();
    await cluster.stop();
    await cluster.remove();
    expect(kept.lines.filter(({ level }) => level >= 40)).toEqual([]);
  });
});
