import { request as httpRequest } from 'node:http';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type GraphqlAnswer, useTestBed } from './support/posthorn.ts';

const bed = useTestBed();

const URL_OK = 'https://example.com/hook';
const SECRET_OK = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
/** TypeIDs that name nothing. */
const unknown = (prefix: string) => `${prefix}_01h455vb4pex5vsknk084sn02q`;
const MALFORMED = [
  '',
  ' ',
  'nonsense',
  '01h455vb4pex5vsknk084sn02q',
  '018962e7-3a6d-7290-b2b2-5c4e442b3057',
  '*',
  '\u0000',
];
/** Texts that are no ID of a kind: none at all, cut, too long, too large, in capitals, of another kind. */
const malformed = (prefix: string) => [
  ...MALFORMED,
  `${prefix}_`,
  unknown(prefix).slice(0, -1),
  `${unknown(prefix)}0`,
  ` ${unknown(prefix)}`,
  `${prefix}_zzzzzzzzzzzzzzzzzzzzzzzzzz`,
  `${prefix}_01H455VB4PEX5VSKNK084SN02Q`,
  `${prefix}_01h455vb4pex5vsknk084sn02u`,
  unknown(prefix === 'ep' ? 'rt' : 'ep'),
];

/** One row of everything, to name in inputs. Nothing of it moves by itself: the endpoint is paused. */
const known: Record<'ep' | 'evt' | 'dlv' | 'att' | 'org' | 'env', string> = {
  ep: '',
  evt: '',
  dlv: '',
  att: '',
  org: '',
  env: '',
};

beforeAll(async () => {
  known.ep = (await bed.createEndpoint({ url: URL_OK, eventTypes: ['known'] })).id;
  await bed.ask('mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }', { id: known.ep });
  const { id, deliveryIds } = await bed.publish({ type: 'known' });
  known.evt = id;
  known.dlv = deliveryIds[0] as string;
  const recorded = await bed.ask(
    `mutation ($id: ID!, $at: DateTime) {
      recordDeliveryAttempt(input: { deliveryId: $id, status: RETRY_SCHEDULED, nextAttemptAt: $at }) {
        ... on RecordDeliveryAttemptPayload { attempt { id } } } }`,
    { id: known.dlv, at: inSeconds(3_600) },
  );
  known.att = recorded.attempt.id;
  const viewer = await bed.ask('{ viewer { organization { id } environment { id } } }');
  known.org = viewer.organization.id;
  known.env = viewer.environment.id;
});

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

/** Leases, and what is counted a little later from the rest. */
const ASIDE = ['lanes', 'workers', 'delivery_stats', 'delivery_gauges', 'stats_position', 'announcements_position'];

/** What is stored: count and content of every table of Posthorn's own, some aside, and the number of jobs. */
async function readStore(): Promise<Record<string, string>> {
  const tables = await bed.database.query<{ name: string }>(
    `select table_name as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> all($1)`,
    [ASIDE],
  );
  expect(tables.length).toBeGreaterThan(8);
  const store: Record<string, string> = {};
  for (const { name } of tables) {
    const [row] = await bed.database.query<{ sum: string }>(
      `select count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') as sum from ${name} t`,
    );
    store[name] = row?.sum as string;
  }
  return store;
}

let before: Record<string, string>;
beforeEach(async () => {
  before = await readStore();
});
afterEach(async () => {
  // Nothing that this file refuses may leave a trace.
  expect(await readStore()).toEqual(before);
});

/** Runs a mutation that takes `input`. @returns its result with type, message and issues */
async function mutate(field: string, input: object) {
  const type = `${field[0]?.toUpperCase()}${field.slice(1)}Input`;
  const { data, errors } = await bed.graphql(
    `mutation ($input: ${type}!) { ${field}(input: $input) {
      __typename ... on Error { message } ... on InvalidInputError { issues { path message } } } }`,
    { input },
  );
  expect(errors).toBeUndefined();
  return data[field];
}

/** Expects one fault of an input, at a path, with a message. */
async function expectRefused(field: string, input: object, path: string, message: RegExp | string) {
  const result = await mutate(field, input);
  expect(result).toEqual({
    __typename: 'InvalidInputError',
    message: expect.stringMatching(/./),
    issues: [{ path: path.split('.'), message: expect.stringMatching(message) }],
  });
  expect(result.message).toBe(`${path}: ${result.issues[0].message}`);
}

/** Expects a top-level error with a code, told with the ID of the request. */
function expectError(answer: GraphqlAnswer, code: string, message: RegExp | string = /./) {
  const requestId = answer.headers.get('x-request-id');
  expect(requestId).toMatch(/^[\w-]{36}$/);
  expect(answer.errors?.length).toBeGreaterThan(0);
  for (const error of answer.errors ?? []) {
    expect(error.extensions).toMatchObject({ code, requestId });
    expect(error.message).toMatch(message);
  }
  for (const value of Object.values(answer.data ?? {})) expect(value).toBeNull();
}

describe('IDs in mutations', () => {
  const TAKES: [field: string, name: string, prefix: string, rest: object][] = [
    ['createEnvironment', 'organizationId', 'org', { name: 'x' }],
    ['createApiKey', 'environmentId', 'env', { name: 'x', scopes: ['EVENTS_PUBLISH'] }],
    ['createBrowserToken', 'endpointId', 'ep', {}],
    ['createBrowserToken', 'environmentId', 'env', {}],
    ['revokeApiKey', 'apiKeyId', 'key', {}],
    ['updateEndpoint', 'endpointId', 'ep', { name: 'x' }],
    ['deleteEndpoint', 'endpointId', 'ep', {}],
    ['pauseEndpoint', 'endpointId', 'ep', {}],
    ['resumeEndpoint', 'endpointId', 'ep', {}],
    ['disableEndpoint', 'endpointId', 'ep', {}],
    ['enableEndpoint', 'endpointId', 'ep', {}],
    ['rotateEndpointSecret', 'endpointId', 'ep', {}],
    ['retryDelivery', 'deliveryId', 'dlv', {}],
    ['retryDelivery', 'deliveryId', 'dlv', { restartSchedule: true }],
    ['retryDeliveryAttempt', 'attemptId', 'att', {}],
    ['retryEvent', 'eventId', 'evt', {}],
    ['recordDeliveryAttempt', 'deliveryId', 'dlv', { status: 'DELIVERED' }],
    ['cancelDelivery', 'deliveryId', 'dlv', {}],
  ];

  it.each(TAKES)('%s refuses a malformed %s', async (field, name, prefix, rest) => {
    for (const id of malformed(prefix)) {
      await expectRefused(field, { ...rest, [name]: id }, name, `must be an ID of the form ${prefix}_`);
    }
  });

  it.each(TAKES)('%s answers NotFoundError where %s names nothing', async (field, name, prefix, rest) => {
    const result = await mutate(field, { ...rest, [name]: unknown(prefix) });
    expect(result).toEqual({
      __typename: 'NotFoundError',
      message: expect.stringMatching(/^There is no .* with this ID\.$/),
    });
  });

  it('retryEvent refuses a malformed endpointId', async () => {
    for (const endpointId of malformed('ep')) {
      await expectRefused(
        'retryEvent',
        { eventId: known.evt, endpointId },
        'endpointId',
        'must be an ID of the form ep_',
      );
    }
  });

  it('retryEvent answers NotFoundError where endpointId names nothing', async () => {
    expect(await mutate('retryEvent', { eventId: known.evt, endpointId: unknown('ep') })).toMatchObject({
      __typename: 'NotFoundError',
    });
  });

  it('retryEvent refuses an endpoint that takes no events of this type', async () => {
    const { id } = await bed.createEndpoint({ url: URL_OK, eventTypes: ['other'] });
    before = await readStore();
    await expectRefused(
      'retryEvent',
      { eventId: known.evt, endpointId: id },
      'endpointId',
      'takes no events of type known',
    );
  });
});

describe('endpoints', () => {
  const at = (n: number) => 'x'.repeat(n);
  const RETRIES = /^must be a whole number from 0 to 50\.$/;
  const DELAY = /^must be a number from 1 to 604800\.$/;
  const JITTER = /^must be a number from 0 to 1\.$/;
  const TIMEOUT = /^must be a whole number from 100 to 60000\.$/;
  const RATE = /^must be a number from 0\.001 to 10000\.$/;
  const TYPE = /^must be an event type \(/;
  const TEXT = /^must be a text of visible ASCII characters/;
  const TOKEN = /^is no header name/;
  const OWN = /^is set by Posthorn itself/;

  const FAULTS: [what: string, input: Record<string, unknown>, path: string, message: RegExp][] = [
    ...[
      '',
      'nonsense',
      '/relative',
      'example.com/hook',
      '//example.com',
      'http://',
      'https://exa mple.com',
      'http://[::1',
    ].map((url): [string, Record<string, unknown>, string, RegExp] => [
      `a URL that is none (${url})`,
      { url },
      'url',
      /^must be an absolute http or https URL/,
    ]),
    ...[
      'ftp://example.com/',
      'file:///etc/passwd',
      'javascript:alert(1)',
      'ws://example.com',
      'data:,x',
      'unix:/run/x',
    ].map((url): [string, Record<string, unknown>, string, RegExp] => [
      `the URL ${url}, which is not http(s)`,
      { url },
      'url',
      /http or https/,
    ]),
    ...['https://user:password@example.com', 'https://user@example.com', 'https://:password@example.com'].map(
      (url): [string, Record<string, unknown>, string, RegExp] => [
        `credentials in ${url}`,
        { url },
        'url',
        /^must not have a user name or password/,
      ],
    ),
    ['a fragment in the URL', { url: 'https://example.com/#x' }, 'url', /fragment/],
    ['a URL that is too long', { url: `https://example.com/${at(2_030)}` }, 'url', /2048 characters at most/],
    [
      'a URL that is too long once percent-encoded',
      { url: `https://example.com/${'ä'.repeat(2_020)}` },
      'url',
      /2048 characters at most; percent-encoded, as it is sent, it has 12140\.$/,
    ],
    [
      'a URL whose host is too long in ASCII',
      { url: `https://${'ä'.repeat(59)}.example/` },
      'url',
      /at most 253 characters, 63 between dots/,
    ],
    ['a URL whose host is too long', { url: `https://${'abc.'.repeat(64)}example/` }, 'url', /at most 253 characters/],
    ...['', 'a b', 'a:b', 'ä', 'a\r\nb', 'a\u0000', '(a)'].map(
      (name): [string, Record<string, unknown>, string, RegExp] => [
        `the header name ${JSON.stringify(name)}`,
        { headers: { [name]: 'x' } },
        `headers.${name}`,
        TOKEN,
      ],
    ),
    ...[
      'host',
      'Host',
      'content-length',
      'Content-Type',
      'content-encoding',
      'transfer-encoding',
      'connection',
      'keep-alive',
      'upgrade',
      'te',
      'trailer',
      'expect',
      'user-agent',
      'webhook-id',
      'Webhook-Timestamp',
      'webhook-signature',
    ].map((name): [string, Record<string, unknown>, string, RegExp] => [
      `the header ${name}, which Posthorn sets itself`,
      { headers: { [name]: 'x' } },
      `headers.${name}`,
      OWN,
    ]),
    ...['a\r\nb: c', 'a\nb', 'a\rb', '\u0000', 'ä', ' a', 'a ', '\u007f', at(4_097), 1, true, null, [], {}].map(
      (value): [string, Record<string, unknown>, string, RegExp] => [
        `the header value ${JSON.stringify(value).slice(0, 20)}`,
        { headers: { 'x-key': value } },
        'headers.x-key',
        TEXT,
      ],
    ),
    ['a header given twice', { headers: { 'X-Key': 'a', 'x-key': 'b' } }, 'headers.x-key', /^is there twice/],
    ...[[], 'x', 1, true].map((headers): [string, Record<string, unknown>, string, RegExp] => [
      `headers that are ${JSON.stringify(headers)}`,
      { headers },
      'headers',
      /^must be an object/,
    ]),
    [
      'too many headers',
      { headers: Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`x-${index}`, 'x'])) },
      'headers',
      /^may have 32 at most/,
    ],
    ...[
      '',
      '.',
      'a.',
      '.a',
      'a..b',
      'a b',
      'a/b',
      '**',
      '*.a',
      'a.*.b',
      'a*',
      'a.**',
      '.*',
      'ä',
      at(257),
      'a\u0000',
    ].map((type): [string, Record<string, unknown>, string, RegExp] => [
      `the event type pattern ${JSON.stringify(type).slice(0, 20)}`,
      { eventTypes: ['fine', type] },
      'eventTypes.1',
      TYPE,
    ]),
    ['no event type at all', { eventTypes: [] }, 'eventTypes', /^must name at least one/],
    [
      'too many event types',
      { eventTypes: Array.from({ length: 101 }, (_, index) => `t${index}`) },
      'eventTypes',
      /100 entries at most/,
    ],
    ...[-1, 51, 2_147_483_647].map((maxRetries): [string, Record<string, unknown>, string, RegExp] => [
      `${maxRetries} retries`,
      { retryPolicy: { maxRetries } },
      'retryPolicy.maxRetries',
      RETRIES,
    ]),
    ...[0, 0.999, -1, 604_800.1, 1e300].map((delay): [string, Record<string, unknown>, string, RegExp] => [
      `a delay of ${delay} s`,
      { retryPolicy: { delaysSeconds: [5, delay] } },
      'retryPolicy.delaysSeconds.1',
      DELAY,
    ]),
    ['no delay at all', { retryPolicy: { delaysSeconds: [] } }, 'retryPolicy.delaysSeconds', /1 to 50 delays/],
    [
      'too many delays',
      { retryPolicy: { delaysSeconds: Array(51).fill(5) } },
      'retryPolicy.delaysSeconds',
      /50 entries at most/,
    ],
    ...[-0.001, 1.001, 2].map((jitter): [string, Record<string, unknown>, string, RegExp] => [
      `a jitter of ${jitter}`,
      { retryPolicy: { jitter } },
      'retryPolicy.jitter',
      JITTER,
    ]),
    ...[99, 60_001, 0, -1].map((timeoutMs): [string, Record<string, unknown>, string, RegExp] => [
      `a timeout of ${timeoutMs} ms`,
      { timeoutMs },
      'timeoutMs',
      TIMEOUT,
    ]),
    ...[0, -1, 0.0009, 10_000.1].map((rate): [string, Record<string, unknown>, string, RegExp] => [
      `a rate limit of ${rate}`,
      { rateLimitPerSecond: rate },
      'rateLimitPerSecond',
      RATE,
    ]),
    ['an empty name', { name: '' }, 'name', /^must have at least one character/],
    ['a blank name', { name: ' ' }, 'name', /^must have at least one character/],
    ['a name that is too long', { name: at(129) }, 'name', /^may have 128 characters/],
    ['a NUL character in the name', { name: 'a\u0000' }, 'name', /NUL/],
    ['a description that is too long', { description: at(2_049) }, 'description', /^may have 2048 characters/],
    ['a NUL character in the description', { description: '\u0000' }, 'description', /NUL/],
  ];

  it.each(FAULTS)('createEndpoint refuses %s', async (_, input, path, message) => {
    await expectRefused('createEndpoint', { url: URL_OK, ...input }, path, message);
  });

  it.each(FAULTS)('updateEndpoint refuses %s', async (_, input, path, message) => {
    await expectRefused('updateEndpoint', { endpointId: known.ep, ...input }, path, message);
  });

  it('every fault of an input is told at once', async () => {
    const result = await mutate('createEndpoint', {
      url: 'ftp://example.com',
      eventTypes: ['', '*'],
      timeoutMs: 1,
      retryPolicy: { maxRetries: 51, jitter: 2 },
    });
    const paths = result.issues.map((issue: { path: string[] }) => issue.path.join('.'));
    expect(paths.toSorted()).toEqual([
      'eventTypes.0',
      'retryPolicy.jitter',
      'retryPolicy.maxRetries',
      'timeoutMs',
      'url',
    ]);
  });

  const base64 = (bytes: number) => Buffer.alloc(bytes, 1).toString('base64');
  const SECRETS = [
    '',
    'whsec_',
    'secret',
    base64(32),
    `whsec_${base64(23)}`,
    `whsec_${base64(65)}`,
    `WHSEC_${base64(32)}`,
    `whsec_${base64(32)} `,
    `whsec_${base64(32).replace('=', '')}`,
    `whsec_${Buffer.alloc(33, 255).toString('base64url')}`,
    `whsk_${base64(31)}`,
    `whsk_${base64(64)}`,
    `whpk_${base64(32)}`,
  ];

  it.each(SECRETS)('the secret %j is refused, new or in rotation', async (secret) => {
    const message = /^must be "whsec_" and base64 of 24 to 64 bytes, or "whsk_" and base64 of an Ed25519 private key/;
    await expectRefused('createEndpoint', { url: URL_OK, secret }, 'secret', message);
    await expectRefused('rotateEndpointSecret', { endpointId: known.ep, secret }, 'secret', message);
  });

  it('a secret that signs in another way than the one asked for is refused, new or in rotation', async () => {
    const given = { secret: SECRET_OK, signatureKind: 'ED25519' };
    await expectRefused('createEndpoint', { url: URL_OK, ...given }, 'signatureKind', /HMAC_SHA256/);
    await expectRefused('rotateEndpointSecret', { endpointId: known.ep, ...given }, 'signatureKind', /HMAC_SHA256/);
  });

  it.each([-1, 604_801])('an overlap of %d s is refused', async (overlapSeconds) => {
    const message = /^must be a whole number from 0 to 604800\.$/;
    await expectRefused('rotateEndpointSecret', { endpointId: known.ep, overlapSeconds }, 'overlapSeconds', message);
  });

  it.each(['x'.repeat(513), 'a\u0000'])(
    'disableEndpoint refuses a reason that is too long or has a NUL',
    async (reason) => {
      await expectRefused('disableEndpoint', { endpointId: known.ep, reason }, 'reason', /512 characters/);
    },
  );

  it('what is at its limit is taken', async () => {
    for (const input of [
      { timeoutMs: 100, rateLimitPerSecond: 0.001, retryPolicy: { maxRetries: 0, delaysSeconds: [1], jitter: 0 } },
      {
        timeoutMs: 60_000,
        rateLimitPerSecond: 10_000,
        retryPolicy: { maxRetries: 50, delaysSeconds: [604_800], jitter: 1 },
      },
      {
        secret: SECRET_OK,
        name: 'x'.repeat(128),
        description: 'x'.repeat(2_048),
        eventTypes: ['x'.repeat(256), 'a.*'],
      },
      { secret: `whsec_${base64(64)}`, headers: { 'x-a': '', 'x-b': 'x'.repeat(4_096), 'x-c': 'a\tb c' } },
    ]) {
      await bed.createEndpoint({ url: URL_OK, eventTypes: ['limit.*'], ...input });
    }
    await bed.createEndpoint({ url: `https://example.com/${'ä'.repeat(338)}`, eventTypes: ['limit.*'] });
    await bed.createEndpoint({ url: `https://${'abc.'.repeat(63)}e/`, eventTypes: ['limit.*'] });
    before = await readStore();
  });

  it('a host name longer than a name may be is cut where it names the endpoint', async () => {
    const { id } = await bed.createEndpoint({ url: `https://${'abc.'.repeat(62)}e:8443/`, eventTypes: ['limit.*'] });
    expect(await bed.ask('query ($id: ID!) { endpoint(id: $id) { name } }', { id })).toEqual({
      name: 'abc.'.repeat(32),
    });
    before = await readStore();
  });
});

describe('events', () => {
  const TYPE = /^must be words of letters, digits, "_" and "-" joined by dots|^may have 256 characters/;
  const ONE = /^give exactly one of payload and body/;
  const MEDIA = /^must be a media type/;
  const AT_LEAST_ONE = /^must have at least one character/;
  const long = 'x'.repeat(257);

  const FAULTS: [what: string, input: Record<string, unknown>, path: string, message: RegExp][] = [
    ...['', ' ', '.', 'a.', '.a', 'a..b', 'a b', 'a/b', '*', 'a.*', 'ä', 'a\n', long, 'a\u0000'].map(
      (type): [string, Record<string, unknown>, string, RegExp] => [
        `the type ${JSON.stringify(type).slice(0, 20)}`,
        { type, body: '' },
        'type',
        TYPE,
      ],
    ),
    ['both payload and body', { payload: {}, body: '{}' }, 'payload', ONE],
    ['neither payload nor body', {}, 'payload', ONE],
    ['a payload of null', { payload: null }, 'payload', ONE],
    ['payload and body of null', { payload: null, body: null }, 'payload', ONE],
    ['a body one byte over 256 KiB', { body: 'x'.repeat(262_145) }, 'body', /^may have 262144 characters at most/],
    ['a body of fewer characters and more bytes', { body: 'é'.repeat(131_073) }, 'body', /^has 262146 bytes/],
    ['a payload one byte over 256 KiB', { payload: 'x'.repeat(262_143) }, 'payload', /^has 262145 bytes/],
    ['half a surrogate pair in the body', { body: 'a\ud83e' }, 'body', /surrogate/],
    ...['', 'json', 'a/b\r\nx: y', 'a/b\n', 'text/plain; x=ä', '/', 'a/', `a/${long}`].map(
      (contentType): [string, Record<string, unknown>, string, RegExp] => [
        `the content type ${JSON.stringify(contentType).slice(0, 20)}`,
        { body: '', contentType },
        'contentType',
        contentType.length > 256 ? /^may have 256 characters/ : MEDIA,
      ],
    ),
    ...['idempotencyKey', 'sourceKey', 'source.workflowId', 'source.runId', 'source.nodeId'].flatMap((path) => {
      const give = (text: string) =>
        path.startsWith('source.') ? { body: '', source: { [path.slice(7)]: text } } : { body: '', [path]: text };
      return [
        [`an empty ${path}`, give(''), path, AT_LEAST_ONE],
        [`a ${path} that is too long`, give(long), path, /^may have 256 characters/],
        [`a NUL character in ${path}`, give('a\u0000'), path, /NUL/],
        [`half a surrogate pair in ${path}`, give('a\udd86'), path, /Unicode/],
      ] as [string, Record<string, unknown>, string, RegExp][];
    }),
  ];

  it.each(FAULTS)('publishEvent refuses %s', async (_, input, path, message) => {
    await expectRefused('publishEvent', { type: 'known', ...input }, path, message);
  });

  it.each(FAULTS)('publishEvents refuses %s, and stores none of the others', async (_, input, path, message) => {
    const fine = { type: 'known', body: '' };
    await expectRefused(
      'publishEvents',
      { events: [fine, { type: 'known', ...input }, fine] },
      `events.1.${path}`,
      message,
    );
  });

  it.each([0, 1_001])('publishEvents refuses %d events', async (length) => {
    const events = Array.from({ length }, () => ({ type: 'known', body: '' }));
    await expectRefused(
      'publishEvents',
      { events },
      'events',
      /^(must have 1 to 1000 events|may have 1000 entries at most)\.$/,
    );
  });

  it.each([
    ['a body of ASCII', { body: 'x'.repeat(262_144) }],
    ['a body of other characters', { body: 'é'.repeat(131_072) }],
    ['a payload', { payload: 'x'.repeat(262_142) }],
  ])('%s of exactly 256 KiB is taken', async (_, input) => {
    const result = await mutate('publishEvent', { type: 'large', ...input });
    expect(result).toEqual({ __typename: 'PublishEventPayload' });
    const [row] = await bed.database.query('select octet_length(body) as bytes from events order by id desc limit 1');
    expect(row).toEqual({ bytes: 262_144 });
    before = await readStore();
  });

  it('a payload deeper than a stack is refused or kept, never a fault of the server', async () => {
    const payload = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const query = `mutation ($input: PublishEventInput!) { publishEvent(input: $input) { __typename } }`;
    const response = await fetch(`${bed.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer root-key-for-tests-0123456789abcdef' },
      body: `{"query":${JSON.stringify(query)},"variables":{"input":{"type":"deep","payload":${payload}}}}`,
    });
    const { data, errors } = (await response.json()) as GraphqlAnswer;
    expect(errors?.map((error) => error.extensions.code) ?? []).not.toContain('INTERNAL_SERVER_ERROR');
    expect(data?.publishEvent.__typename ?? errors?.[0]?.extensions.code).toMatch(
      /^(InvalidInputError|PublishEventPayload|BAD_USER_INPUT)$/,
    );
    before = await readStore();
  });
});

describe('attempts made elsewhere', () => {
  const record = (input: object) => ({ deliveryId: known.dlv, status: 'FAILED', ...input });
  const STATUS = /^must be a whole number from 100 to 599\.$/;
  const REQUIRED = /^is required with status RETRY_SCHEDULED\.$/;
  const ONLY = /^is allowed with status RETRY_SCHEDULED only\.$/;

  const FAULTS: [what: string, input: () => object, path: string, message: RegExp][] = [
    ...[99, 600, 0, -200, 2_147_483_647].map((responseStatus): [string, () => object, string, RegExp] => [
      `the response status ${responseStatus}`,
      () => ({ responseStatus }),
      'responseStatus',
      STATUS,
    ]),
    [
      'a next attempt in the past',
      () => ({ status: 'RETRY_SCHEDULED', nextAttemptAt: inSeconds(-1) }),
      'nextAttemptAt',
      /^must be in the future\.$/,
    ],
    [
      'a next attempt long ago',
      () => ({ status: 'RETRY_SCHEDULED', nextAttemptAt: '1970-01-01T00:00:00Z' }),
      'nextAttemptAt',
      /^must be in the future\.$/,
    ],
    ['a next attempt that is missing', () => ({ status: 'RETRY_SCHEDULED' }), 'nextAttemptAt', REQUIRED],
    [
      'a next attempt that is null',
      () => ({ status: 'RETRY_SCHEDULED', nextAttemptAt: null }),
      'nextAttemptAt',
      REQUIRED,
    ],
    ...['PENDING', 'DELIVERED', 'FAILED'].map((status): [string, () => object, string, RegExp] => [
      `a next attempt with ${status}`,
      () => ({ status, nextAttemptAt: inSeconds(60) }),
      'nextAttemptAt',
      ONLY,
    ]),
    ['an empty error', () => ({ error: '' }), 'error', /^must have at least one character/],
    ['an error that is too long', () => ({ error: 'x'.repeat(4_097) }), 'error', /^may have 4096 characters/],
  ];

  it.each(FAULTS)('recordDeliveryAttempt refuses %s', async (_, input, path, message) => {
    await expectRefused('recordDeliveryAttempt', record(input()), path, message);
  });
});

describe('organizations, environments and keys', () => {
  const NAMES: [what: string, name: string, message: RegExp][] = [
    ['an empty name', '', /^must have at least one character/],
    ['a blank name', ' \n', /^must have at least one character/],
    ['a name that is too long', 'x'.repeat(129), /^may have 128 characters/],
    ['a NUL character in the name', 'a\u0000', /NUL/],
    ['half a surrogate pair in the name', 'a\ud83e', /Unicode/],
  ];

  it.each(NAMES)('%s is refused for an organization, an environment and a key', async (_, name, message) => {
    await expectRefused('createOrganization', { name }, 'name', message);
    await expectRefused('createEnvironment', { organizationId: known.org, name }, 'name', message);
    await expectRefused(
      'createApiKey',
      { environmentId: known.env, name, scopes: ['EVENTS_PUBLISH'] },
      'name',
      message,
    );
  });

  it('an environment with a name that its organization has already is refused', async () => {
    await expectRefused('createEnvironment', { organizationId: known.org, name: 'production' }, 'name', /^is taken/);
  });

  it('a key without scopes is refused', async () => {
    await expectRefused(
      'createApiKey',
      { environmentId: known.env, name: 'x', scopes: [] },
      'scopes',
      /^must name at least one/,
    );
  });

  it('a key that ends in the past is refused', async () => {
    const input = { environmentId: known.env, name: 'x', scopes: ['EVENTS_PUBLISH'], expiresAt: inSeconds(-1) };
    await expectRefused('createApiKey', input, 'expiresAt', /^must be in the future/);
  });
});

/** Every connection: its document with `ARGS` in the place of its arguments. */
const CONNECTIONS: [name: string, document: string][] = [
  ['endpoints', '{ endpoints(ARGS) { edges { cursor } } }'],
  ['events', '{ events(ARGS) { edges { cursor } } }'],
  ['deliveries', '{ deliveries(ARGS) { edges { cursor } } }'],
  ['deliveryAttempts', '{ deliveryAttempts(ARGS) { edges { cursor } } }'],
  ['Event.deliveries', '{ event(id: "EVT") { deliveries(ARGS) { edges { cursor } } } }'],
  ['Event.deliveries below events', '{ events(last: 2) { edges { node { deliveries(ARGS) { edges { cursor } } } } } }'],
  ['Delivery.attempts', '{ delivery(id: "DLV") { attempts(ARGS) { edges { cursor } } } }'],
  [
    'Delivery.attempts below deliveries',
    '{ deliveries(last: 1) { edges { node { attempts(ARGS) { edges { cursor } } } } } }',
  ],
  ['Delivery.attempts by node', '{ node(id: "DLV") { ... on Delivery { attempts(ARGS) { edges { cursor } } } } }'],
];

const page = (document: string, args: string) =>
  bed.graphql(document.replace('ARGS', args).replace('EVT', known.evt).replace('DLV', known.dlv));

describe.each(CONNECTIONS)('the connection %s', (name, document) => {
  const SIZES = ['first: 0', 'first: -1', 'first: 101', 'first: 2147483647', 'last: 0', 'last: -1', 'last: 101'];

  it.each(SIZES)('refuses %s', async (args) => {
    expectError(await page(document, args), 'BAD_USER_INPUT', /^first and last must be from 1 to 100\.$/);
  });

  it.each(['first: 1, last: 1', 'first: 0, last: 0'])('refuses %s: first and last together', async (args) => {
    expectError(await page(document, args), 'BAD_USER_INPUT', /^Give first or last, not both\.$/);
  });

  const CURSORS = ['', 'x', 'bm9uZQ', 'not base64!', '\u00e4', `${Buffer.from('dlv_').toString('base64url')}`];

  it.each(CURSORS)('refuses the cursor %j, which is none', async (cursor) => {
    for (const side of ['after', 'before']) {
      const answer = await page(document, `${side}: ${JSON.stringify(cursor)}`);
      expectError(answer, 'BAD_USER_INPUT', new RegExp(`^${side} is no cursor of this list\\.`));
    }
  });

  it('refuses a cursor of another list', async () => {
    const own = name.replace(/ .*$/, '').replace('Event.', '').replace('Delivery.attempts', 'deliveryAttempts');
    const others = ['endpoints', 'events', 'deliveries', 'deliveryAttempts'].filter((other) => other !== own);
    for (const other of others) {
      const { edges } = await bed.ask(`{ ${other} { edges { cursor } } }`);
      const answer = await page(document, `after: ${JSON.stringify(edges[0].cursor)}`);
      expectError(answer, 'BAD_USER_INPUT', /^after is no cursor of this list\./);
    }
  });

  it.each(['first: 1', 'first: 100', 'last: 1', 'last: 100', 'first: null'])('takes %s', async (args) => {
    expect((await page(document, args).then(({ errors }) => errors)) ?? []).toEqual([]);
  });
});

describe('IDs in queries', () => {
  const ARGUMENTS: [where: string, prefix: string, document: string][] = [
    ['endpoint.id', 'ep', 'query ($id: ID!) { endpoint(id: $id) { id } }'],
    ['event.id', 'evt', 'query ($id: ID!) { event(id: $id) { id } }'],
    ['delivery.id', 'dlv', 'query ($id: ID!) { delivery(id: $id) { id } }'],
    ['deliveryAttempt.id', 'att', 'query ($id: ID!) { deliveryAttempt(id: $id) { id } }'],
    [
      'deliveries.filter.eventId',
      'evt',
      'query ($id: ID!) { deliveries(filter: { eventId: $id }) { edges { cursor } } }',
    ],
    [
      'deliveries.filter.endpointId',
      'ep',
      'query ($id: ID!) { deliveries(filter: { endpointId: $id }) { edges { cursor } } }',
    ],
    ...['deliveryId dlv', 'eventId evt', 'endpointId ep'].map((pair): [string, string, string] => {
      const [field, prefix] = pair.split(' ') as [string, string];
      const document = `query ($id: ID!) { deliveryAttempts(filter: { ${field}: $id }) { edges { cursor } } }`;
      return [`deliveryAttempts.filter.${field}`, prefix, document];
    }),
    ...['deliveryId dlv', 'eventId evt', 'endpointId ep'].map((pair): [string, string, string] => {
      const [field, prefix] = pair.split(' ') as [string, string];
      return [
        `deliveryChanges.filter.${field}`,
        prefix,
        `subscription ($id: ID!) { deliveryChanges(filter: { ${field}: $id }) { cursor } }`,
      ];
    }),
  ];

  it.each(ARGUMENTS)('%s refuses what is malformed', async (where, prefix, document) => {
    const name = where.split('.').slice(1).join('.');
    for (const id of malformed(prefix)) {
      const answer = await bed.graphql(document, { id });
      expectError(answer, 'BAD_USER_INPUT', new RegExp(`^${name} must be an ID of the form ${prefix}_`));
    }
  });

  const unknownOnes = ARGUMENTS.filter(([where]) => !where.startsWith('deliveryChanges'));
  it.each(unknownOnes)('%s finds nothing where the ID names nothing', async (where, prefix, document) => {
    const found = await bed.ask(document, { id: unknown(prefix) });
    expect(found).toEqual(where.includes('filter') ? { edges: [] } : null);
  });

  it.each(['org', 'env', 'key', 'ep', 'rt', 'evt', 'dlv', 'att'])('node refuses a malformed %s_ ID', async (prefix) => {
    const ids = malformed(prefix).filter((id) => id.startsWith(`${prefix}_`));
    expect(ids.length).toBeGreaterThan(4);
    for (const id of ids) {
      const answer = await bed.graphql('query ($id: ID!) { node(id: $id) { id } }', { id });
      expectError(answer, 'BAD_USER_INPUT', new RegExp(`^id must be an ID of the form ${prefix}_`));
    }
    expect(await bed.ask('query ($id: ID!) { node(id: $id) { id } }', { id: unknown(prefix) })).toBeNull();
  });

  it.each([...MALFORMED, 'usr_01h455vb4pex5vsknk084sn02q', 'constructor_01h455vb4pex5vsknk084sn02q'])(
    'node refuses %j, which is of no type',
    async (id) => {
      const answer = await bed.graphql('query ($id: ID!) { node(id: $id) { id } }', { id });
      expectError(answer, 'BAD_USER_INPUT', /^id must be an ID that begins with one of /);
    },
  );
});

describe('filters', () => {
  it.each([99, 600, 0, -1])('deliveries refuse the response status %d', async (responseStatus) => {
    const document = 'query ($s: Int) { deliveries(filter: { responseStatus: $s }) { edges { cursor } } }';
    const answer = await bed.graphql(document, { s: responseStatus });
    expectError(answer, 'BAD_USER_INPUT', /^filter\.responseStatus must be from 100 to 599\.$/);
  });

  it.each([
    ['no ID', []],
    ['501 IDs', Array(501).fill('dlv_01h455vb4pex5vsknk084sn02q')],
    ['an ID of another kind among others', ['dlv_01h455vb4pex5vsknk084sn02q', 'evt_01h455vb4pex5vsknk084sn02q']],
  ])('deliveries refuse %s, and so does their count', async (_, ids) => {
    for (const field of ['deliveries', 'deliveryCount']) {
      const selection = field === 'deliveries' ? '{ edges { cursor } }' : '';
      const document = `query ($ids: [ID!]) { ${field}(filter: { ids: $ids }) ${selection} }`;
      expectError(await bed.graphql(document, { ids }), 'BAD_USER_INPUT', /^filter\.ids (must |may have 500 entries)/);
    }
  });

  const TEXTS: [field: string, document: string][] = [
    ['events.types', 'query ($text: String!) { events(filter: { types: [$text] }) { edges { cursor } } }'],
    ['events.sourceKey', 'query ($text: String!) { events(filter: { sourceKey: $text }) { edges { cursor } } }'],
    [
      'deliveries.sourceKey',
      'query ($text: String!) { deliveries(filter: { sourceKey: $text }) { edges { cursor } } }',
    ],
    [
      'deliveries.eventTypes',
      'query ($text: String!) { deliveries(filter: { eventTypes: [$text] }) { edges { cursor } } }',
    ],
    ['endpoints.eventType', 'query ($text: String!) { endpoints(filter: { eventType: $text }) { edges { cursor } } }'],
  ];

  it.each(TEXTS)('%s with what can be no such text matches nothing, or says so', async (field, document) => {
    for (const text of ['', '\u0000', 'a\u0000', 'a\ud83e']) {
      const { data, errors } = await bed.graphql(document, { text });
      const code = errors?.[0]?.extensions.code;
      const found = data && (Object.values(data)[0] as { edges: unknown[] }).edges;
      // An endpoint with "*" takes events of any type, whatever the text: only a refusal would be wrong as a list.
      if (field === 'endpoints.eventType') expect(code ?? 'BAD_USER_INPUT').toBe('BAD_USER_INPUT');
      else expect(code ?? found).toEqual(code ? 'BAD_USER_INPUT' : []);
    }
  });

  const TIMES = [
    '',
    'yesterday',
    '2026-01-01',
    '2026-13-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-01-01T25:00:00Z',
    'now()',
  ];

  it.each(TIMES)('%j is no time', async (at) => {
    for (const field of ['events', 'deliveries', 'deliveryAttempts']) {
      const document = `query ($at: DateTime) { ${field}(filter: { createdAfter: $at }) { edges { cursor } } }`;
      expectError(await bed.graphql(document, { at }), 'BAD_USER_INPUT', /^Variable "\$at"/);
    }
  });

  it('a time before all calendars finds nothing before it, or is refused', async () => {
    for (const field of ['events', 'deliveries', 'deliveryAttempts']) {
      const document = `query ($at: DateTime) { ${field}(filter: { createdBefore: $at }) { edges { cursor } } }`;
      const { data, errors } = await bed.graphql(document, { at: '0000-01-01T00:00:00Z' });
      const code = errors?.[0]?.extensions.code;
      expect(code ?? data[field].edges).toEqual(code ? 'BAD_USER_INPUT' : []);
    }
  });

  it.each(['9999-12-31T23:59:59-01:00', '0001-01-01T00:00:00+00:01', '0000-12-31T23:59:59Z'])(
    '%s is beyond the years that a time may have in UTC: it is refused',
    async (at) => {
      const expires = `mutation ($at: DateTime) { createApiKey(input: { environmentId: "${known.env}", name: "n",
        scopes: [DELIVERIES_READ], expiresAt: $at }) { __typename } }`;
      const filter = 'query ($at: DateTime) { events(filter: { createdBefore: $at }) { edges { cursor } } }';
      for (const document of [expires, filter])
        expectError(await bed.graphql(document, { at }), 'BAD_USER_INPUT', /0001 to 9999/);
    },
  );

  it('a leap second is refused, and a time with an offset that does not exist', async () => {
    for (const at of [
      '2016-12-31T23:59:60Z',
      '2026-01-01T00:00:00+24:00',
      '2026-01-01T00:00:00|01:00',
      '2026-02-30T00:00:00Z',
    ]) {
      const filter = 'query ($at: DateTime) { events(filter: { createdBefore: $at }) { edges { cursor } } }';
      expectError(await bed.graphql(filter, { at }), 'BAD_USER_INPUT', /date-time/);
    }
  });

  it.each(['0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '2026-01-01T00:00:00+14:00'])('%s is a time', async (at) => {
    for (const field of ['events', 'deliveries', 'deliveryAttempts']) {
      const document = `query ($at: DateTime) { ${field}(filter: { createdAfter: $at, createdBefore: $at }) { edges { cursor } } }`;
      expect(await bed.ask(document, { at })).toEqual({ edges: [] });
    }
  });
});

describe('the feed', () => {
  it.each(['', 'x', 'bm9uZQ', Buffer.from('a,b,c,d').toString('base64url')])('refuses the cursor %j', async (after) => {
    const abort = new AbortController();
    const response = await fetch(`${bed.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream, application/json',
        authorization: 'Bearer root-key-for-tests-0123456789abcdef',
      },
      body: JSON.stringify({
        query: 'subscription ($after: String) { deliveryChanges(after: $after) { cursor } }',
        variables: { after },
      }),
      signal: AbortSignal.any([abort.signal, AbortSignal.timeout(5_000)]),
    });
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (text.includes('"errors"')) break;
    }
    abort.abort();
    expect(text).toContain('after is no cursor of this feed');
    expect(text).toContain('"BAD_USER_INPUT"');
  });
});

describe('documents', () => {
  const INVALID: [what: string, query: string][] = [
    ['a syntax error', '{ viewer { scopes }'],
    ['nothing but a comment', '# nothing'],
    ['an unknown field', '{ viewer { nonsense } }'],
    ['an unknown root field', '{ nonsense }'],
    ['an unknown argument', '{ events(nonsense: 1) { edges { cursor } } }'],
    ['an unknown type', '{ node(id: "x") { ... on Nonsense { id } } }'],
    ['an unknown field of an input', 'mutation { publishEvent(input: { type: "a", nonsense: 1 }) { __typename } }'],
    ['a missing argument', '{ event { id } }'],
    ['a missing field of an input', 'mutation { publishEvent(input: { payload: 1 }) { __typename } }'],
    ['a literal of another type', '{ events(first: "1") { edges { cursor } } }'],
    ['an unknown enum value', '{ events(filter: { statuses: [NONSENSE] }) { edges { cursor } } }'],
    ['a variable that is not defined', '{ event(id: $id) { id } }'],
    ['a variable that is not used', 'query ($id: ID) { viewer { scopes } }'],
    [
      'a variable in the place of another type',
      'query ($id: Int) { events(first: 1, after: $id) { edges { cursor } } }',
    ],
    ['a variable of an unknown type', 'query ($id: Nonsense) { events(after: $id) { edges { cursor } } }'],
    ['no selection', '{ viewer }'],
    ['fragments in a circle', 'query { viewer { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { ...A }'],
  ];

  it.each(INVALID)('%s is GRAPHQL_VALIDATION_FAILED', async (_, query) => {
    expectError(await bed.graphql(query), 'GRAPHQL_VALIDATION_FAILED');
  });

  const VARIABLES: [what: string, query: string, variables: object][] = [
    ['a number where a text is wanted', 'query ($v: String) { events(after: $v) { edges { cursor } } }', { v: 1 }],
    ['a text where a number is wanted', 'query ($v: Int) { events(first: $v) { edges { cursor } } }', { v: '1' }],
    ['a number beyond 32 bits', 'query ($v: Int) { events(first: $v) { edges { cursor } } }', { v: 2_147_483_648 }],
    [
      'a fraction where a whole number is wanted',
      'query ($v: Int) { events(first: $v) { edges { cursor } } }',
      { v: 1.5 },
    ],
    ['a list where an ID is wanted', 'query ($v: ID!) { event(id: $v) { id } }', { v: ['x'] }],
    ['null where a value is required', 'query ($v: ID!) { event(id: $v) { id } }', { v: null }],
    ['nothing where a value is required', 'query ($v: ID!) { event(id: $v) { id } }', {}],
    [
      'an unknown enum value',
      'query ($v: [EventStatus!]) { events(filter: { statuses: $v }) { edges { cursor } } }',
      { v: ['NONSENSE'] },
    ],
    [
      'null in a list',
      'query ($v: [EventStatus!]) { events(filter: { statuses: $v }) { edges { cursor } } }',
      { v: [null] },
    ],
    [
      'an unknown field of an input',
      'mutation ($v: PublishEventInput!) { publishEvent(input: $v) { __typename } }',
      { v: { type: 'a', body: '', x: 1 } },
    ],
    [
      'a missing field of an input',
      'mutation ($v: PublishEventInput!) { publishEvent(input: $v) { __typename } }',
      { v: { body: '' } },
    ],
    [
      'an unknown scope',
      'mutation ($v: CreateApiKeyInput!) { createApiKey(input: $v) { __typename } }',
      { v: { environmentId: 'x', name: 'x', scopes: ['ROOT'] } },
    ],
  ];

  it.each(VARIABLES)('%s in a variable is BAD_USER_INPUT', async (_, query, variables) => {
    expectError(await bed.graphql(query, variables), 'BAD_USER_INPUT', /^Variable "\$v"/);
  });

  it.each([
    ['an operation that is not there', { query: 'query A { viewer { scopes } }', operationName: 'B' }],
    ['no name among several operations', { query: 'query A { viewer { scopes } } query B { viewer { scopes } }' }],
    ['variables that are no object', { query: '{ viewer { scopes } }', variables: 'x' }],
    ['no query', { variables: {} }],
    ['a query that is no text', { query: 1 }],
    ['a request that is a list', [{ query: '{ viewer { scopes } }' }]],
  ])('%s is BAD_USER_INPUT', async (_, body) => {
    expectError(await post(JSON.stringify(body)), 'BAD_USER_INPUT');
  });

  it('a body that is no JSON is BAD_USER_INPUT', async () => {
    const answer = await post('{"query":');
    expectError(answer, 'BAD_USER_INPUT');
  });

  const nest = (levels: number) => {
    let document = 'id';
    for (let level = 0; level < levels; level += 1)
      document = `event { deliveries(first: 1) { edges { node { ${document} } } } }`;
    return `{ delivery(id: "${known.dlv}") { ${document} } }`;
  };

  it('an operation that is too deep is COST_LIMIT_EXCEEDED', async () => {
    expectError(await bed.graphql(nest(6)), 'COST_LIMIT_EXCEEDED', /depth \d+, where \d+ is allowed/);
    expect((await bed.graphql(nest(2))).errors).toBeUndefined();
  });

  it('an operation with too many fields is COST_LIMIT_EXCEEDED', async () => {
    const many = (count: number) =>
      `{ ${Array.from({ length: count }, (_, index) => `v${index}: viewer { scopes }`).join(' ')} }`;
    expectError(await bed.graphql(many(600)), 'COST_LIMIT_EXCEEDED', /fields, where \d+ are allowed/);
    expect((await bed.graphql(many(100))).errors).toBeUndefined();
  });

  it('an operation with pages below large pages is COST_LIMIT_EXCEEDED', async () => {
    const pages = (first: number) =>
      `{ events(first: ${first}) { edges { node { deliveries(first: ${first}) { edges { node { attempts(first: ${first}) {
        edges { node { id number status } } } } } } } } } }`;
    expectError(await bed.graphql(pages(100)), 'COST_LIMIT_EXCEEDED', /complexity \d+, where \d+ is allowed/);
    expect((await bed.graphql(pages(10))).errors).toBeUndefined();
  });

  it('pages that are asked for by variable cost as much', async () => {
    const query = `query ($n: Int) { events(first: $n) { edges { node { deliveries(first: $n) { edges { node {
      attempts(first: $n) { edges { node { id number status } } } } } } } } } }`;
    expectError(await bed.graphql(query, { n: 100 }), 'COST_LIMIT_EXCEEDED', /complexity/);
  });

  it('pages in fragments cost as much', async () => {
    const query = `{ events(first: 100) { edges { node { ...D } } } }
      fragment D on Event { deliveries(first: 100) { edges { node { ...A } } } }
      fragment A on Delivery { attempts(first: 100) { edges { node { id number status } } } }`;
    expectError(await bed.graphql(query), 'COST_LIMIT_EXCEEDED', /complexity/);
  });

  it('a mutation that costs too much changes nothing', async () => {
    const many = Array.from(
      { length: 600 },
      (_, n) => `m${n}: publishEvent(input: { type: "a", body: "" }) { __typename }`,
    );
    expectError(await bed.graphql(`mutation { ${many.join(' ')} }`), 'COST_LIMIT_EXCEEDED');
  });
});

/** Posts to GraphQL as it stands. */
async function post(body: string, headers: Record<string, string> = {}): Promise<GraphqlAnswer> {
  const response = await fetch(`${bed.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: 'Bearer root-key-for-tests-0123456789abcdef',
      ...headers,
    },
    body,
  });
  return { ...((await response.json()) as GraphqlAnswer), status: response.status, headers: response.headers };
}

describe('requests', () => {
  it('a request over 16 MiB is refused with 413 before it is read', async () => {
    const { status, headers, body } = await announce({ 'content-length': '16777217' });
    expect(status).toBe(413);
    expect(headers['x-request-id']).toMatch(/^[\w-]{36}$/);
    expect(JSON.parse(body).errors).toEqual([
      {
        message: expect.stringContaining('larger than 16777216 bytes'),
        extensions: { code: 'BAD_USER_INPUT', requestId: headers['x-request-id'] },
      },
    ]);
  });

  it('a request over 16 MiB that is sent in full gets its answer', async () => {
    const query = `{ viewer { scopes } } #${'x'.repeat(17_000_000)}`;
    const answer = await post(JSON.stringify({ query }));
    expect(answer.status).toBe(413);
    expectError(answer, 'BAD_USER_INPUT', /larger than/);
  });

  it('a request that does not tell its length is refused with 411', async () => {
    const { status, headers, body } = await announce({ 'transfer-encoding': 'chunked' });
    expect(status).toBe(411);
    expect(JSON.parse(body).errors).toMatchObject([
      { extensions: { code: 'BAD_USER_INPUT', requestId: headers['x-request-id'] } },
    ]);
  });

  it('a large request below the limit is taken', async () => {
    const answer = await post(JSON.stringify({ query: `{ viewer { scopes } } #${'x'.repeat(1_000_000)}` }));
    expect(answer.errors).toBeUndefined();
  });

  it.each(['my-request', 'a.b:c_d-1', 'x'.repeat(128)])('the request ID %s of a caller is taken over', async (id) => {
    const answer = await bed.graphql('{ nonsense }', {}, { headers: { 'x-request-id': id } });
    expect(answer.headers.get('x-request-id')).toBe(id);
    expect(answer.errors?.[0]?.extensions.requestId).toBe(id);
  });

  it.each(['a b', 'x'.repeat(129), '<script>', 'a"b', 'ä'])('the request ID %s of a caller is replaced', async (id) => {
    const answer = await bed.graphql('{ nonsense }', {}, { headers: { 'x-request-id': id } });
    expectError(answer, 'GRAPHQL_VALIDATION_FAILED');
    expect(answer.headers.get('x-request-id')).not.toBe(id);
  });

  it('each request has an ID of its own, also where nothing is wrong', async () => {
    const ids = await Promise.all(
      [1, 2].map(async () => (await bed.graphql('{ viewer { scopes } }')).headers.get('x-request-id')),
    );
    expect(new Set(ids).size).toBe(2);
  });
});

interface RawAnswer {
  status: number | undefined;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** Sends the head of a request, and nothing of its body. */
function announce(headers: Record<string, string>): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${bed.url}/graphql`,
      { method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
      async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk as Buffer);
        request.destroy();
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() });
      },
    );
    request.on('error', reject);
    request.flushHeaders();
  });
}
