import { describe, expect, it } from 'vitest';
import { useBrowser } from '../support/browser.ts';
import { HAS_BROWSER } from '../support/chromium.ts';
import { ROOT_KEY, useTestBed } from '../support/posthorn.ts';

describe.runIf(HAS_BROWSER)('signing in to the dashboard', () => {
  const bed = useTestBed();
  const { openPage } = useBrowser(() => bed.url);

  it('takes an API key, and shows what it may see', async () => {
    const tenant = await bed.createTenant('acme', ['DELIVERIES_READ']);
    const page = await openPage({ key: tenant.key });
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await page.getByText('acme / production').waitFor();
    await page.goto('/endpoints');
    await page.getByText('No endpoints yet').waitFor();
    expect(await page.getByRole('button', { name: 'Create an endpoint' }).count()).toBe(0);
  });

  it('says what a key lacks that may not look, and shows it what it may', async () => {
    const tenant = await bed.createTenant('keys-only', ['API_KEYS_MANAGE']);
    const page = await openPage({ key: tenant.key });
    await page.getByText('It lacks the scope DELIVERIES_READ').waitFor();
    await page.getByRole('main').getByRole('link', { name: 'settings' }).click();
    await page.getByRole('heading', { name: 'API keys of production' }).waitFor();
  });

  it('says what is wrong with a key, and stays', async () => {
    const page = await openPage({ key: null });
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Enter an API key.').waitFor();
    await page.getByLabel('API key').fill('phk_wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('unknown, revoked or expired').waitFor();
  });

  it('by the link of a start works once, and leaves nothing of it in the address', async () => {
    const link = bed.posthorn.signInUrl as string;
    const page = await openPage({ key: null, path: link });
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    expect(page.url()).toBe(`${bed.url}/`);
    const second = await openPage({ key: null, path: link });
    await second.getByRole('alert').getByText('used before, or is too old').waitFor();
    expect(second.url()).toBe(`${bed.url}/sign-in`);
  });

  it('comes back to the page that was asked for', async () => {
    const page = await openPage({ key: null, path: '/deliveries?status=FAILED' });
    await page.getByLabel('API key').fill(ROOT_KEY);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Deliveries' }).waitFor();
    expect(page.url()).toBe(`${bed.url}/deliveries?status=FAILED`);
  });

  it('ends when one signs out', async () => {
    const page = await openPage();
    await page.getByRole('button', { name: 'Account and appearance' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByLabel('API key').waitFor();
    await page.goto('/events');
    await page.getByLabel('API key').waitFor();
  });

  it('ends when the key is revoked, on the page that is open', async () => {
    const tenant = await bed.createTenant('short-lived');
    const page = await openPage({ key: tenant.key });
    await page.getByTestId('connection').getByText('Live').waitFor();
    const keys = `query ($id: ID!) { node(id: $id) { ... on Environment { apiKeys { edges { node { id } } } } } }`;
    const { apiKeys } = await bed.ask(keys, { id: tenant.environmentId });
    await bed.ask(`mutation ($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }`, {
      id: apiKeys.edges[0].node.id,
    });
    await page.getByLabel('API key').waitFor();
  });

  it('lets the operator change the environment, by an address that can be kept', async () => {
    const tenant = await bed.createTenant('other-tenant');
    const page = await openPage();
    await page.getByRole('button', { name: 'Environment: default / production' }).click();
    await page.getByText('other-tenant').waitFor();
    await page.goto(`/${tenant.environmentId}/events`);
    await page.getByRole('button', { name: 'Environment: other-tenant / production' }).waitFor();
    await page.getByRole('link', { name: 'Deliveries' }).click();
    expect(page.url()).toBe(`${bed.url}/${tenant.environmentId}/deliveries`);
  });
});
