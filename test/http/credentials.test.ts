import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, it } from 'vitest';
import { ALL_SCOPES, ROOT_KEY, type Tenant, useTestBed } from '../support/posthorn.ts';
import { openRawSocket } from '../support/raw-socket.ts';

const bed = useTestBed({ role: 'api' });
const VIEWER = '{ viewer { organization { id } environment { id } } }';
const NO_ENVIRONMENT = 'env_01h455vb4pex5vsknk084sn02q';

let tenant: Tenant;
let other: Tenant;
/** Of the first tenant, by their kind. */
let keys: Record<string, string>;

beforeAll(async () => {
  tenant = await bed.createTenant('acme');
  other = await bed.createTenant('other');
  const create = `mutation ($id: ID!) { createBrowserToken(input: { environmentId: $id }) {
    ... on CreateBrowserTokenPayload { token } } }`;
  const id = tenant.environmentId;
  const { token } = await bed.ask(create, { id }, tenant);
  const operatorToken = await bed.ask(create, { id });
  keys = { 'API key': tenant.key, 'browser token': token, "browser token of the operator's": operatorToken.token };
});

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests pick what they asked for
  body: any;
}

/** Sends headers as they are, repeated ones too. */
function send(headers: [name: string, value: string][], query = VIEWER): Promise<Answer> {
  const body = JSON.stringify({ query });
  return new Promise((resolve, reject) => {
    const all = [['content-type', 'application/json'], ['content-length', String(body.length)], ...headers];
    const sent = request(`${bed.url}/graphql`, {
      method: 'POST',
      agent: false,
      headers: [['host', 'x'], ...all].flat(),
    });
    sent.on('error', reject);
    sent.on('response', async (response) =>
      resolve({ status: response.statusCode ?? 0, body: JSON.parse(await text(response)) }),
    );
    sent.end(body);
  });
}

/** Opens a WebSocket. @returns the result of a query over it, or the code with which it was closed */
async function askOverSocket(params: object, headers: Record<string, string> = {}): Promise<unknown> {
  const socket = await openRawSocket(bed.url, { headers });
  socket.send({ type: 'connection_init', payload: params });
  socket.send({ id: '1', type: 'subscribe', payload: { query: VIEWER } }, 'connection_ack');
  const end = await socket.next(({ type }) => type === 'next' || type === 'error');
  socket.cut();
  return end === null ? socket.closed : ((end.payload as { data?: unknown }).data ?? end.payload);
}

const own = () => ({
  viewer: { organization: { id: tenant.organizationId }, environment: { id: tenant.environmentId } },
});

describe.each(['API key', 'browser token', "browser token of the operator's"])(
  'a request whose key is of the kind %s',
  (kind) => {
    const asking = (headers: Record<string, string>) => bed.graphql(VIEWER, {}, { key: keys[kind] as string, headers });

    it('is carried out if its headers name the tenant that the key acts in', async () => {
      const { data, status } = await asking({
        'x-organization-id': tenant.organizationId,
        'x-environment-id': tenant.environmentId,
      });
      expect([status, data]).toEqual([200, own()]);
    });

    it.each<[string, () => Record<string, string>]>([
      ['organization', () => ({ 'x-organization-id': other.organizationId })],
      ['environment', () => ({ 'x-environment-id': other.environmentId })],
      ['environment that does not exist', () => ({ 'x-environment-id': NO_ENVIRONMENT })],
      [
        'environment beside its own organization',
        () => ({ 'x-organization-id': tenant.organizationId, 'x-environment-id': other.environmentId }),
      ],
    ])('is refused with 403 and FORBIDDEN if a header names another %s', async (_, headers) => {
      const { data, status, errors } = await asking(headers());
      expect([status, data ?? null]).toEqual([403, null]);
      expect(errors).toMatchObject([
        { message: expect.stringContaining('names another tenant'), extensions: { code: 'FORBIDDEN' } },
      ]);
    });

    it.each<[string, () => Record<string, string>]>([
      ['no ID', () => ({ 'x-environment-id': 'nonsense' })],
      ['an ID of another kind', () => ({ 'x-organization-id': tenant.environmentId })],
      ['two IDs', () => ({ 'x-environment-id': `${tenant.environmentId}, ${tenant.environmentId}` })],
    ])('is refused with BAD_USER_INPUT if a header holds %s', async (_, headers) => {
      const { data, errors } = await asking(headers());
      expect(data ?? null).toBeNull();
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    });
  },
);

it('an API key that names another tenant publishes nothing', async () => {
  const publish = 'mutation { publishEvent(input: { type: "other.tenant", payload: {} }) { __typename } }';
  const answer = await bed.graphql(
    publish,
    {},
    { key: tenant.key, headers: { 'x-organization-id': other.organizationId } },
  );
  expect(answer.status).toBe(403);
  expect(await bed.database.query("select 1 from events where type = 'other.tenant'")).toEqual([]);
});

describe('a WebSocket', () => {
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

  it('is closed with 4403 if connectionParams name another tenant, and opened if they name its own', async () => {
    expect(await askOverSocket({ ...bearer(tenant.key), 'x-environment-id': other.environmentId })).toBe(4403);
    expect(await askOverSocket({ ...bearer(tenant.key), 'X-Organization-Id': other.organizationId })).toBe(4403);
    expect(await askOverSocket({ ...bearer(tenant.key), 'x-environment-id': ['nonsense'] })).toBe(4403);
    expect(await askOverSocket({ ...bearer(tenant.key), 'x-environment-id': tenant.environmentId })).toEqual(own());
  });

  it.each(['authorization', 'x-api-key'])('takes its key from the header %s of its handshake', async (name) => {
    const value = name === 'authorization' ? `Bearer ${tenant.key}` : tenant.key;
    expect(await askOverSocket({}, { [name]: value })).toEqual(own());
  });

  it('takes the tenant that the operator names from the headers of its handshake', async () => {
    const headers = { ...bearer(ROOT_KEY), 'x-environment-id': tenant.environmentId };
    expect(await askOverSocket({}, headers)).toEqual(own());
  });

  it('is opened if the handshake and connectionParams hold the same key', async () => {
    expect(await askOverSocket({ 'X-API-Key': tenant.key }, bearer(tenant.key))).toEqual(own());
  });

  it('is closed with 4403 if the handshake and connectionParams differ in the key or in the tenant', async () => {
    expect(await askOverSocket(bearer(tenant.key), bearer(other.key))).toBe(4403);
    expect(await askOverSocket({ 'x-api-key': other.key }, bearer(tenant.key))).toBe(4403);
    const environment = (id: string) => ({ 'x-environment-id': id });
    const params = { ...bearer(ROOT_KEY), ...environment(tenant.environmentId) };
    expect(await askOverSocket(params, environment(other.environmentId))).toBe(4403);
  });

  it('ignores Basic credentials in its handshake, which a browser sends for a proxy', async () => {
    const basic = { authorization: `Basic ${Buffer.from('proxy:password').toString('base64')}` };
    expect(await askOverSocket(bearer(tenant.key), basic)).toEqual(own());
    expect(await askOverSocket({}, basic)).toBe(4403);
  });

  it('is closed with 4403 if a parameter occurs twice in different case, with different values', async () => {
    expect(await askOverSocket({ ...bearer(tenant.key), Authorization: `Bearer ${other.key}` })).toBe(4403);
  });
});

describe('a request over HTTP', () => {
  it.each<[string, () => [string, string][]]>([
    ['authorization twice', () => [tenant.key, other.key].map((key) => ['authorization', `Bearer ${key}`])],
    ['x-api-key twice', () => [tenant.key, other.key].map((key) => ['x-api-key', key])],
    [
      'authorization and x-api-key, with different keys',
      () => [
        ['authorization', `Bearer ${tenant.key}`],
        ['x-api-key', other.key],
      ],
    ],
  ])('is refused with 401 if it has %s', async (_, headers) => {
    for (const all of [headers(), headers().toReversed()]) {
      const { status, body } = await send(all);
      expect(status).toBe(401);
      expect(body.errors).toMatchObject([
        { message: expect.stringContaining('API key'), extensions: { code: 'UNAUTHENTICATED' } },
      ]);
    }
  });

  it('is carried out if authorization and x-api-key hold the same key', async () => {
    const { status, body } = await send([
      ['authorization', `Bearer ${tenant.key}`],
      ['x-api-key', tenant.key],
    ]);
    expect([status, body.data]).toEqual([200, own()]);
  });
});

it('a session of an API key is refused if a header names another environment, and keeps its own', async () => {
  const key = await bed.createKey(tenant.environmentId, ALL_SCOPES);
  const signedIn = await fetch(`${bed.url}/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' },
    body: JSON.stringify({ key }),
  });
  const cookie = signedIn.headers.getSetCookie()[0]?.split(';', 1)[0] as string;
  const asking = (environmentId: string) =>
    bed.graphql(
      VIEWER,
      {},
      {
        key: null,
        headers: { cookie, 'sec-fetch-site': 'same-origin', 'x-environment-id': environmentId },
      },
    );
  expect((await asking(tenant.environmentId)).data).toEqual(own());
  expect(await asking(other.environmentId)).toMatchObject({
    status: 403,
    errors: [{ extensions: { code: 'FORBIDDEN' } }],
  });
});
