import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ALIASES_MAX,
  DEPTH_MAX,
  DIRECTIVES_MAX,
  FIELDS_MAX,
  NESTING_MAX,
  TOKENS_MAX,
} from '../src/graphql/cost-limit.ts';
import type { Posthorn } from '../src/main.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';
import { askOver, TRANSPORTS } from './support/transports.ts';

/** The first process only answers, so that outcomes are recorded by one of a short operation time. */
const bed = useTestBed({ role: 'api' });
const receiver = useReceiver();

const repeat = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_, n) => make(n)).join(' ');

/** A mutation with so many tokens: 20 of its own, and numbers. */
const withTokens = (count: number) =>
  `mutation { publishEvent(input: { type: "a", payload: [${repeat(count - 20, () => '1')}] }) { __typename } }`;

/** Three brackets of its own, and lists in lists. */
const withNesting = (levels: number) =>
  `mutation { publishEvent(input: { type: "a", payload: ${'['.repeat(levels - 3)}${']'.repeat(levels - 3)} }) { __typename } }`;

const withDepth = (levels: number) => {
  let selection = levels % 4 === 2 ? 'id' : 'event { id }';
  for (let left = levels - (levels % 4 === 2 ? 2 : 3); left > 0; left -= 4)
    selection = `event { deliveries(first: 1) { edges { node { ${selection} } } } }`;
  return `{ delivery(id: "dlv_01h455vb4pex5vsknk084sn02q") { ${selection} } }`;
};

const withFields = (count: number) => `{ viewer { ${repeat(count - 1, () => 'scopes')} } }`;
const withAliases = (count: number) => `{ viewer { ${repeat(count, (n) => `a${n}: scopes`)} } }`;
const withDirectives = (count: number) => `{ viewer { ${repeat(count, () => 'scopes @include(if: true)')} } }`;

const LIMITS: [name: string, max: number, make: (count: number) => string, message: string][] = [
  ['tokens', TOKENS_MAX, withTokens, '10001 tokens or more, where 10000 are allowed. Send values as variables'],
  ['levels of brackets', NESTING_MAX, withNesting, '201 levels of brackets or more, where 200 are allowed. Send deep'],
  ['levels of fields', DEPTH_MAX, withDepth, 'depth 15, where 14 is allowed. Split the operation.'],
  ['fields', FIELDS_MAX, withFields, '501 fields, where 500 are allowed. Split the operation.'],
  ['aliases', ALIASES_MAX, withAliases, '101 aliases, where 100 are allowed. Split the operation.'],
  ['directives', DIRECTIVES_MAX, withDirectives, '51 directives, where 50 are allowed. Leave some out.'],
];

describe.each(TRANSPORTS)('over %s', (transport) => {
  it.each(LIMITS)('an operation may have so many %s: %i', async (_, max, make) => {
    expect((await askOver(bed, { transport, query: make(max) })).errors).toBeUndefined();
  });

  it.each(LIMITS)('an operation with more %s than %i is refused', async (_, max, make, message) => {
    const { errors } = await askOver(bed, { transport, query: make(max + 1) });
    expect(errors).toMatchObject([
      { message: expect.stringContaining(message), extensions: { code: 'COST_LIMIT_EXCEEDED' } },
    ]);
  });

  it.each(LIMITS)('fragments hide no %s', async (name, max, make, message) => {
    if (name === 'tokens' || name === 'levels of brackets') return;
    const inner = make(max + 1).slice(1, -1);
    const query = `{ ...Outer } fragment Outer on Query { ... on Query { ...Inner } } fragment Inner on Query { ${inner} }`;
    const { errors } = await askOver(bed, { transport, query });
    expect(errors).toMatchObject([{ message: expect.stringContaining(message) }]);
  });

  it('a document of fragments that double thirty times is refused in well under a second', async () => {
    const query = `{ ...F0 } ${repeat(30, (n) => `fragment F${n} on Query { ...F${n + 1} ...F${n + 1} }`)}
      fragment F30 on Query { viewer { scopes } }`;
    const { errors } = await askOver(bed, { transport, query });
    expect(errors).toMatchObject([
      { message: expect.stringContaining(`${2 ** 31} fields`), extensions: { code: 'COST_LIMIT_EXCEEDED' } },
    ]);
  });

  it('fragments in a circle are refused, however many lead into it', async () => {
    const query = `{ ...F0 } ${repeat(30, (n) => `fragment F${n} on Query { ...F${(n + 1) % 30} ...F${(n + 7) % 30} }`)}`;
    const { errors } = await askOver(bed, { transport, query });
    expect(errors?.[0]?.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
  });

  it('a subscription whose events would cost too much is refused when it is opened', async () => {
    if (transport === 'HTTP') return;
    const query = `subscription ($n: Int) { deliveryChanges { changes { delivery { event { deliveries(first: $n) {
      edges { node { attempts(first: $n) { edges { node { id } } } } } } } } } } }`;
    const { errors } = await askOver(bed, { transport, query, variables: { n: 100 } });
    expect(errors).toMatchObject([
      {
        message: expect.stringMatching(/complexity \d+, where 50000 is allowed\. Ask for smaller pages/),
        extensions: { code: 'COST_LIMIT_EXCEEDED' },
      },
    ]);
  });
});

describe('complexity', () => {
  const QUERY =
    'query ($n: Int) { events(first: $n) { edges { node { id deliveries(first: 5) { edges { node { id } } } } } } }';
  let strict: Posthorn;
  beforeAll(async () => {
    const { errors } = await bed.graphql(QUERY, { n: 10 }, { url: (await bed.startProcess({ complexityMax: 1 })).url });
    const complexityMax = Number(/complexity (\d+)/.exec(errors?.[0]?.message ?? '')?.[1]);
    strict = await bed.startProcess({ complexityMax });
  });

  it.each(TRANSPORTS)('is counted by the length of pages, exactly: over %s', async (transport) => {
    const ask = (n: number) => askOver(bed, { transport, url: strict.url, query: QUERY, variables: { n } });
    expect((await ask(10)).errors).toBeUndefined();
    expect((await ask(11)).errors).toMatchObject([
      {
        message: expect.stringMatching(
          /^This operation has complexity \d+, where \d+ is allowed\. Ask for smaller pages\.$/,
        ),
        extensions: { code: 'COST_LIMIT_EXCEEDED' },
      },
    ]);
  });
});

describe('a request', () => {
  it('has one operation: a batch is refused, whatever its size', async () => {
    for (const length of [0, 1, 2, 1_000]) {
      const response = await post(JSON.stringify(Array.from({ length }, () => ({ query: '{ viewer { scopes } }' }))));
      const { errors } = (await response.json()) as { errors: unknown[] };
      expect(errors).toMatchObject([
        { message: expect.stringContaining('one operation'), extensions: { code: 'BAD_USER_INPUT' } },
      ]);
    }
  });

  it('that costs too much is answered 400 to clients of the specification, and 200 to others', async () => {
    const body = JSON.stringify({ query: withFields(FIELDS_MAX + 1) });
    expect((await post(body, { accept: 'application/graphql-response+json' })).status).toBe(400);
    expect((await post(body, { accept: 'application/json' })).status).toBe(200);
  });
});

const post = (body: string, headers: Record<string, string> = {}) =>
  fetch(`${bed.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer root-key-for-tests-0123456789abcdef',
      ...headers,
    },
    body,
  });

describe('an operation that takes too long', () => {
  const TIMEOUT_MS = 400;
  let hasty: Posthorn;
  beforeAll(async () => {
    hasty = await bed.startProcess({ operationTimeoutMs: TIMEOUT_MS });
  });

  /** Runs something while nothing can use a table. */
  async function whileLocked<T>(table: 'organizations' | 'delivery_attempts', run: () => Promise<T>): Promise<T> {
    const client = new pg.Client({ connectionString: bed.database.url, application_name: 'test' });
    await client.connect();
    try {
      await client.query(`begin; lock table ${table} in access exclusive mode`);
      return await run();
    } finally {
      await client.query('rollback');
      await client.end();
    }
  }

  const countWaiting = async () => {
    const [row] = await bed.database.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return row?.count;
  };

  it.each(TRANSPORTS)('is given up with OPERATION_TIMEOUT, and so is its statement: over %s', async (transport) => {
    const { errors } = await whileLocked('organizations', async () => {
      const answer = await askOver(bed, { transport, url: hasty.url, query: '{ viewer { organization { name } } }' });
      await until(async () => (await countWaiting()) === 0, 'the statement to end');
      return answer;
    });
    expect(errors).toMatchObject([
      {
        message: `This operation took longer than ${TIMEOUT_MS} ms and was given up. Ask for less at once, or try again later.`,
        extensions: { code: 'OPERATION_TIMEOUT' },
      },
    ]);
    const query = '{ viewer { organization { name } } }';
    expect((await askOver(bed, { transport, url: hasty.url, query })).data.viewer.organization.name).toBe('default');
  });

  it.each(TRANSPORTS)(
    'says of a mutation that it may be carried out, and begins nothing more: over %s',
    async (transport) => {
      const type = `timeout.${transport.toLowerCase()}`;
      const publish = (name: string) =>
        `${name}: publishEvent(input: { type: "${type}", body: "${name}" }) { ... on PublishEventPayload { event { id } } }`;
      const query = `mutation { ${publish('before')}
      slow: createOrganization(input: { name: "slow" }) { ... on Error { message } } ${publish('after')} }`;
      const { errors } = await whileLocked('organizations', async () => {
        const answer = await askOver(bed, { transport, url: hasty.url, query });
        await until(async () => (await countWaiting()) === 0, 'the statement to end');
        return answer;
      });
      expect(errors).toMatchObject([
        {
          message: expect.stringContaining('look before you send it again'),
          extensions: { code: 'OPERATION_TIMEOUT' },
        },
      ]);
      await bed.graphql('{ viewer { scopes } }', {}, { url: hasty.url });
      const stored = await bed.database.query<{ body: string }>(
        `select convert_from(body, 'utf8') as body from events where type = $1`,
        [type],
      );
      expect(stored).toEqual([{ body: 'before' }]);
    },
  );

  it('is answered 504', async () => {
    const { status } = await whileLocked('organizations', () =>
      bed.graphql('{ viewer { organization { name } } }', {}, hasty),
    );
    expect(status).toBe(504);
  });

  it.each(['WebSocket', 'SSE'] as const)('is none that has begun to follow: over %s', async (transport) => {
    const answer = askOver(bed, {
      transport,
      url: hasty.url,
      query:
        'subscription { deliveryChanges(filter: { statuses: [SKIPPED, DELIVERED, PENDING] }) { changes { status } } }',
    });
    const isOver = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 3 * TIMEOUT_MS, 'open'))]);
    expect(isOver).toBe('open');
    await bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: [`follow.${transport.toLowerCase()}`] });
    await bed.publish({ type: `follow.${transport.toLowerCase()}` });
    expect((await answer).errors).toBeUndefined();
  });

  it('does not cut what a worker records', async () => {
    await bed.startProcess({ operationTimeoutMs: TIMEOUT_MS, role: 'worker' });
    await bed.createEndpoint({ url: receiver.url('/slow-record'), eventTypes: ['slow.record'] });
    const findWaiting = async () => {
      const rows = await bed.database.query(
        `select pid, query_start from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows.length > 0 && rows;
    };
    const deliveryId = await whileLocked('delivery_attempts', async () => {
      const { deliveryIds } = await bed.publish({ type: 'slow.record' });
      const waiting = await until(findWaiting, 'the outcome to wait');
      await new Promise((resolve) => setTimeout(resolve, 3 * TIMEOUT_MS));
      expect(await findWaiting()).toEqual(expect.arrayContaining(waiting));
      return deliveryIds[0] as string;
    });
    await bed.waitForStatus(deliveryId, 'DELIVERED');
  });
});

describe('introspection', () => {
  let closed: Posthorn;
  beforeAll(async () => {
    closed = await bed.startProcess({ introspection: false });
  });

  it.each(TRANSPORTS)('where it is off, is refused, and __typename still works: over %s', async (transport) => {
    const ask = (query: string) => askOver(bed, { transport, url: closed.url, query });
    for (const query of ['{ __schema { types { name } } }', '{ __type(name: "Event") { name } }']) {
      expect((await ask(query)).errors).toMatchObject([
        {
          message: expect.stringContaining('Introspection is off'),
          extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
        },
      ]);
    }
    expect((await ask('{ __typename viewer { __typename } }')).data).toEqual({
      __typename: 'Query',
      viewer: { __typename: 'Viewer' },
    });
  });

  it.each(TRANSPORTS)('where it is off, no name is suggested: over %s', async (transport) => {
    const queries: [string, object?][] = [
      ['{ viewe { scopes } }'],
      ['{ viewer { scope } }'],
      ['{ events(frist: 1) { edges { cursor } } }'],
      ['{ events(filter: { status: [DELIVERED] }) { edges { cursor } } }'],
      ['{ node(id: "x") { ... on Even { id } } }'],
      ['{ events(filter: { statuses: [DELIVERE] }) { edges { cursor } } }'],
      ['query ($s: [EventStatus!]) { events(filter: { statuses: $s }) { edges { cursor } } }', { s: ['DELIVERE'] }],
      ['query ($f: EventFilter) { events(filter: $f) { edges { cursor } } }', { f: { typ: 'x' } }],
    ];
    for (const [query, variables] of queries) {
      const ask = async (url: string) =>
        JSON.stringify(
          (await askOver(bed, { transport, url, query, variables: variables as Record<string, unknown> })).errors,
        );
      expect(await ask(bed.url)).toContain('Did you mean');
      expect(await ask(closed.url)).toMatch(/message/);
      expect(await ask(closed.url)).not.toContain('Did you mean');
    }
  });

  it('where it is on, the whole query of tools fits the limits', async () => {
    const { getIntrospectionQuery } = await import('graphql');
    const query = getIntrospectionQuery({
      descriptions: true,
      specifiedByUrl: true,
      directiveIsRepeatable: true,
      schemaDescription: true,
      inputValueDeprecation: true,
      oneOf: true,
    });
    expect((await bed.graphql(query)).errors).toBeUndefined();
  });

  it('can not be nested', async () => {
    const query =
      '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }';
    expect((await bed.graphql(query)).errors?.[0]?.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
  });
});
