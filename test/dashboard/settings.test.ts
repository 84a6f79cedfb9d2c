import { beforeEach, describe, expect, it } from 'vitest';
import { useBrowser } from '../support/browser.ts';
import { HAS_BROWSER } from '../support/chromium.ts';
import { useTestBed } from '../support/posthorn.ts';

describe.runIf(HAS_BROWSER)('settings in the dashboard', () => {
  const bed = useTestBed();
  const { openPage } = useBrowser(() => bed.url);

  let key: string;
  beforeEach(async () => {
    ({ key } = await bed.createTenant('acme'));
  });

  const statusWith = async (used: string) => (await bed.graphql('{ viewer { scopes } }', {}, { key: used })).status;

  it('make an API key with the scopes chosen, show it once, and revoke it', async () => {
    const page = await openPage({ key, path: '/settings' });
    await page.getByRole('button', { name: 'Create a key' }).click();
    const form = page.getByRole('dialog');
    await form.getByRole('button', { name: 'Create' }).click();
    await form.getByText('Say what it is for.').waitFor();
    await form.getByLabel('Name').fill('for the shop');
    await form.getByLabel('Publish events').check();
    await form.getByRole('button', { name: 'Create' }).click();
    const made = await page.getByTestId('secret').innerText();
    const { data } = await bed.graphql('{ viewer { scopes } }', {}, { key: made });
    expect(data.viewer.scopes.toSorted()).toEqual(['DELIVERIES_READ', 'EVENTS_PUBLISH']);
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('button', { name: 'Revoke for the shop' }).click();
    await page.getByRole('button', { name: 'Revoke', exact: true }).click();
    await page.getByText('for the shop is revoked.').waitFor();
    await page
      .getByRole('row', { name: /for the shop/ })
      .getByText(/^revoked/)
      .waitFor();
    expect(await statusWith(made)).toBe(401);
    expect(await page.getByText(made).count()).toBe(0);
  });

  it('make environments, and say where a name is taken', async () => {
    const page = await openPage({ key, path: '/settings' });
    await page.getByRole('button', { name: 'Create an environment in acme' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Name').fill('production');
    await form.getByRole('button', { name: 'Create' }).click();
    await form.getByText('Is taken by another environment of this organization.').waitFor();
    await form.getByLabel('Name').fill('test');
    await form.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('table', { name: 'Environments of acme' }).getByText('test').waitFor();
  });

  it('let the operator make organizations, and nobody else', async () => {
    const page = await openPage({ path: '/settings' });
    await page.getByRole('button', { name: 'Create an organization' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('newcomer');
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
    await page.getByRole('table', { name: 'Environments of newcomer' }).getByText('production').waitFor();
    const other = await openPage({ key, path: '/settings' });
    await other.getByRole('heading', { name: 'Settings' }).waitFor();
    expect(await other.getByRole('button', { name: 'Create an organization' }).count()).toBe(0);
    expect(await other.getByText('newcomer').count()).toBe(0);
  });
});
