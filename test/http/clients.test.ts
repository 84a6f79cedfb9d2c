import { createHash } from 'node:crypto';
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client/core';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { describe, expect, it } from 'vitest';
import { ROOT_KEY, useTestBed } from '../support/posthorn.ts';

const bed = useTestBed({ role: 'api', corsOrigins: ['https://app.example'] });

const authorization = `Bearer ${ROOT_KEY}`;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const QUERY = '{ viewer { kind } }';
const persisted = { persistedQuery: { version: 1, sha256Hash: sha256(QUERY) } };

const post = (body: object, headers: Record<string, string> = {}) =>
  fetch(`${bed.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization, ...headers },
    body: JSON.stringify(body),
  });

const get = (parameters: Record<string, string>) =>
  fetch(`${bed.url}/graphql?${new URLSearchParams(parameters)}`, {
    headers: { authorization, accept: 'application/json' },
  });

describe('a persisted query', () => {
  const NOT_SUPPORTED = {
    message: 'PersistedQueryNotSupported',
    extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED', requestId: expect.any(String) },
  };

  it.each([
    ['POST', () => post({ extensions: persisted })],
    [
      'POST, in a GraphQL response',
      () => post({ extensions: persisted }, { accept: 'application/graphql-response+json' }),
    ],
    ['POST, with an empty text', () => post({ query: '', extensions: persisted })],
    ['GET', () => get({ extensions: JSON.stringify(persisted) })],
  ])(
    'without its text is answered PersistedQueryNotSupported with 200, so that clients send the text: %s',
    async (_, ask) => {
      const response = await ask();
      expect(response.status).toBe(200);
      const { data, errors } = await response.json();
      expect([data ?? null, errors]).toEqual([null, [NOT_SUPPORTED]]);
    },
  );

  it.each([
    ['POST', () => post({ query: QUERY, extensions: persisted })],
    ['GET', () => get({ query: QUERY, extensions: JSON.stringify(persisted) })],
  ])('with its text is executed: %s', async (_, ask) => {
    expect(await (await ask()).json()).toEqual({ data: { viewer: { kind: 'OPERATOR' } } });
  });

  it.each([{}, { other: 1 }, { persistedQuery: null }, { persistedQuery: 'x' }])(
    'is none with the extensions %j: the text is asked for with 400',
    async (extensions) => {
      const response = await post({ extensions });
      expect(response.status).toBe(400);
      expect((await response.json()).errors).toMatchObject([{ message: 'Must provide query string.' }]);
    },
  );

  it('is refused with 401 without a key, like any other', async () => {
    expect((await post({ extensions: persisted }, { authorization: '' })).status).toBe(401);
  });

  it.each([false, true])(
    "of Apollo's client succeeds by a second request that has the text; hashes by GET: %s",
    async (useGETForHashedQueries) => {
      const bodies: string[] = [];
      const link = new PersistedQueryLink({ sha256, useGETForHashedQueries }).concat(
        new HttpLink({
          uri: `${bed.url}/graphql`,
          headers: { authorization },
          fetch: (url, init) => {
            bodies.push(`${url} ${init?.body ?? ''}`);
            return fetch(url, init);
          },
        }),
      );
      const client = new ApolloClient({ link, cache: new InMemoryCache() });
      const ask = async (field: string) =>
        (await client.query({ query: gql(`{ viewer { ${field} } }`), fetchPolicy: 'no-cache' })).data;
      expect(await ask('kind')).toMatchObject({ viewer: { kind: 'OPERATOR' } });
      expect(bodies).toHaveLength(2);
      expect(bodies[0]).not.toMatch(/viewer/);
      expect(bodies[1]).toMatch(/viewer/);
      // From then on, it does not try hashes any more.
      await ask('scopes');
      expect(bodies).toHaveLength(3);
      client.stop();
    },
  );
});

describe('a page of another origin', () => {
  const preflight = async (headers: string) => {
    const { headers: answered } = await fetch(`${bed.url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': headers,
      },
    });
    return (answered.get('access-control-allow-headers') ?? '').toLowerCase().split(/, */);
  };

  it.each([
    'traceparent',
    'tracestate',
    'baggage',
    'sentry-trace',
    'b3',
    'x-datadog-trace-id',
    'apollographql-client-name',
    'apollographql-client-version',
    'x-apollo-operation-name',
    'apollo-require-preflight',
    'graphql-require-preflight',
    'x-requested-with',
  ])('may send the header %s', async (name) => {
    expect(await preflight(`content-type,${name}`)).toContain(name);
  });

  it.each(['x-forwarded-host', 'x-forwarded-for', 'cookie', 'x-root-key'])(
    'may not send the header %s',
    async (name) => {
      expect(await preflight(`content-type,${name}`)).not.toContain(name);
    },
  );
});
