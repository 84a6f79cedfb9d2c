import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { followDeliveries } from '../examples/embedding/follow-deliveries.ts';
import { makeToken } from '../examples/embedding/make-token.ts';
import { BrowserTokens } from '../src/access/browser-tokens.ts';
import { decodeId } from '../src/domain/ids.ts';
import { Keyring } from '../src/domain/sealing.ts';
import { ENCRYPTION_KEY, until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

describe('docs/EMBEDDING.md', () => {
  const root = new URL('../', import.meta.url);
  const text = readFileSync(new URL('docs/EMBEDDING.md', root), 'utf8');
  /** Blocks whose fence names a file behind the language. */
  const blocks = [...text.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(([, path, code]) => ({ path, code }));

  it('shows every example', () => {
    const names = ['make-token', 'follow-deliveries'];
    expect(blocks.map(({ path }) => path)).toEqual(names.map((name) => `examples/embedding/${name}.ts`));
  });

  it.each(blocks)('has $path to the letter', ({ path, code }) => {
    expect(code).toBe(readFileSync(new URL(path as string, root), 'utf8'));
  });
});

describe("a customer's own view", () => {
  it('shows every change of the own endpoint once, over the end of a token, and nothing of another', async () => {
    const tenant = await bed.createTenant('product');
    const own = await bed.createEndpoint({ url: receiver.url('/own') }, tenant);
    await bed.createEndpoint({ url: receiver.url('/other') }, tenant);
    const signer = new BrowserTokens({ keyring: new Keyring(ENCRYPTION_KEY), rootKeyHash: null });
    const made = await bed.ask('{ viewer { organization { id } environment { id } } }', {}, tenant);
    const { keyId } = await bed.database
      .query('select id as "keyId" from api_keys where environment_id = $1', [
        decodeId('Environment', made.environment.id),
      ])
      .then(([row]) => row as { keyId: string });
    const sign = (endpointId: string, expiresAt: Date) =>
      signer.sign({
        organizationId: decodeId('Organization', made.organization.id) as string,
        environmentId: decodeId('Environment', made.environment.id) as string,
        endpointId: decodeId('Endpoint', endpointId) as string,
        ...{ scopes: ['DELIVERIES_READ'], keyId, expiresAt },
      });
    let tokens = 0;
    const seen: string[] = [];
    const errors: unknown[] = [];
    const stop = followDeliveries({
      url: bed.url,
      fetchToken: async () => {
        tokens += 1;
        if (tokens > 1) return makeToken({ url: bed.url, apiKey: tenant.key }, own.id);
        const expiresAt = new Date(Date.now() + 3_000);
        return { token: await sign(own.id, expiresAt), expiresAt: expiresAt.toISOString() };
      },
      onChange: ({ delivery, status }) => seen.push(`${delivery.id} ${status}`),
      onError: (error) => errors.push(error),
    });
    await until(async () => {
      await bed.publish({}, tenant);
      return seen.length > 0;
    }, 'the feed to be open');
    await until(() => tokens > 1, 'the first token to end');
    await bed.publish({}, tenant);
    const lines = async () => {
      const list = await bed.ask(
        'query ($id: ID!) { deliveries(last: 100, filter: { endpointId: $id }) { edges { node { id } } } }',
        { id: own.id },
        tenant,
      );
      const ids = list.edges.map(({ node }: { node: { id: string } }) => node.id).reverse();
      return ids.flatMap((id: string) => [`${id} PENDING`, `${id} DELIVERED`]) as string[];
    };
    const last = (await lines()).at(-1) as string;
    await until(() => seen.includes(last), 'the last change');
    stop();
    // Of the delivery that was under way when the feed was opened, and of those before, a part may be missing.
    const [first] = (seen[0] as string).split(' ') as [string];
    const isWhole = (line: string) => (line.split(' ', 1)[0] as string) > first;
    expect(seen.filter(isWhole).toSorted()).toEqual((await lines()).filter(isWhole).toSorted());
    expect(receiver.to('/other').length).toBeGreaterThan(0);
    expect(errors).toEqual([]);
  });
});
