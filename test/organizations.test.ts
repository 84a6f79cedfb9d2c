import { beforeAll, describe, expect, it } from 'vitest';
import { ENVIRONMENTS_MAX } from '../src/access/organizations.ts';
import { encodeId, newId } from '../src/domain/ids.ts';
import { ROOT_KEY, type Tenant, useTestBed } from './support/posthorn.ts';

const bed = useTestBed();

interface EnvironmentNode {
  id: string;
  name: string;
  apiKeys: { edges: { node: Record<string, string | null> }[] };
}

interface OrganizationNode {
  id: string;
  name: string;
  environments: EnvironmentNode[];
}

const KEYS = 'apiKeys { edges { node { id name prefix revokedAt expiresAt } } }';

const read = async (key: string, ofEnvironments = 'id name'): Promise<OrganizationNode[]> => {
  const { edges } = await bed.ask(
    `{ organizations(first: 20) { edges { node { id name environments { ${ofEnvironments} } } } } }`,
    {},
    { key },
  );
  return edges.map(({ node }: { node: OrganizationNode }) => node);
};

const createEnvironment = (organizationId: string, name: string, key = ROOT_KEY) =>
  bed.ask(
    `mutation ($input: CreateEnvironmentInput!) { createEnvironment(input: $input) { __typename
      ... on CreateEnvironmentPayload { environment { id } }
      ... on InvalidInputError { issues { path message } } } }`,
    { input: { organizationId, name } },
    { key },
  );

const createToken = async (input: object, key: string): Promise<string> =>
  (
    await bed.ask(
      `mutation ($input: CreateBrowserTokenInput!) { createBrowserToken(input: $input) {
        ... on CreateBrowserTokenPayload { token } } }`,
      { input },
      { key },
    )
  ).token;

let first: Tenant;
let second: Tenant;
let staging: string;

beforeAll(async () => {
  first = await bed.createTenant('first');
  second = await bed.createTenant('second');
  staging = (await createEnvironment(first.organizationId, 'a staging')).environment.id;
});

describe('organizations', () => {
  it("are all, with the operator's key, newest first, each with its environments, oldest first", async () => {
    expect(await read(ROOT_KEY)).toEqual([
      { id: second.organizationId, name: 'second', environments: [{ id: second.environmentId, name: 'production' }] },
      {
        id: first.organizationId,
        name: 'first',
        environments: [
          { id: first.environmentId, name: 'production' },
          { id: staging, name: 'a staging' },
        ],
      },
      { id: expect.any(String), name: 'default', environments: [{ id: expect.any(String), name: 'production' }] },
    ]);
  });

  it('is the own one for a key, with all its environments', async () => {
    const [own, ...others] = await read(first.key);
    expect(others).toEqual([]);
    expect(own).toMatchObject({ name: 'first', environments: [{ id: first.environmentId }, { id: staging }] });
  });

  it('is the own one for a browser token, with its own environment alone', async () => {
    const { id } = await bed.createEndpoint({ url: 'https://example.com/' }, { key: first.key });
    for (const input of [{ endpointId: id }, { environmentId: first.environmentId }]) {
      const organizations = await read(await createToken(input, first.key));
      expect(organizations).toMatchObject([{ name: 'first', environments: [{ id: first.environmentId }] }]);
      expect(organizations[0]?.environments).toHaveLength(1);
    }
  });
});

describe('the environments of an organization', () => {
  it(`are ${ENVIRONMENTS_MAX} at most, also where more are asked for at once`, async () => {
    const { organizationId } = await bed.createTenant('large');
    const names = Array.from({ length: ENVIRONMENTS_MAX + 4 }, (_, index) => `environment ${index}`);
    const answers = await Promise.all(names.map((name) => createEnvironment(organizationId, name)));
    const refused = answers.filter((answer) => answer.issues);
    expect(refused).toHaveLength(5);
    expect(refused[0].issues).toEqual([
      { path: ['organizationId'], message: expect.stringContaining(`${ENVIRONMENTS_MAX} environments already`) },
    ]);
    const large = (await read(ROOT_KEY)).find(({ id }) => id === organizationId);
    expect(large?.environments).toHaveLength(ENVIRONMENTS_MAX);
  });
});

describe('the API keys of an environment', () => {
  const ofEnvironment = (organizations: OrganizationNode[], id: string) =>
    organizations
      .flatMap(({ environments }) => environments)
      .find((environment) => environment.id === id)
      ?.apiKeys.edges.map(({ node }) => node);

  it('come newest first, also those that were revoked and have expired', async () => {
    const expired = { id: newId(), at: new Date(Date.now() - 60_000) };
    await bed.database.query(
      `insert into api_keys (id, environment_id, name, key_hash, scopes, expires_at)
       select $1, id, 'expired', decode('00', 'hex'), '{}', $2 from environments where name = 'a staging'`,
      [expired.id, expired.at],
    );
    const make = async (name: string) =>
      (
        await bed.ask(
          `mutation ($id: ID!, $name: String!) { createApiKey(input: { environmentId: $id, name: $name, scopes: [EVENTS_PUBLISH] }) {
            ... on CreateApiKeyPayload { apiKey { id } } } }`,
          { id: staging, name },
        )
      ).apiKey.id;
    const [revoked, good] = [await make('revoked'), await make('good')];
    await bed.ask('mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }', { id: revoked });
    const keys = ofEnvironment(await read(ROOT_KEY, `id ${KEYS}`), staging);
    expect(keys).toMatchObject([
      { id: good, name: 'good', prefix: expect.stringMatching(/^phk_/), revokedAt: null, expiresAt: null },
      { id: revoked, name: 'revoked', revokedAt: expect.any(String) },
      { id: encodeId('ApiKey', expired.id), name: 'expired', expiresAt: expired.at.toISOString() },
    ]);
  });

  it('are those of its own environment for a key: of others it sees none', async () => {
    const organizations = await read(first.key, `id ${KEYS}`);
    expect(ofEnvironment(organizations, first.environmentId)).toMatchObject([{ name: 'test' }]);
    expect(ofEnvironment(organizations, staging)).toEqual([]);
  });

  it('are refused to a key that may not manage keys, and to browser tokens', async () => {
    const reader = await bed.createKey(first.environmentId, ['DELIVERIES_READ']);
    const token = await createToken({ environmentId: first.environmentId }, first.key);
    for (const key of [reader, token]) {
      const query = `{ viewer { environment { ${KEYS} } } }`;
      expect((await bed.graphql(query, {}, { key })).errors).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
    }
  });
});
