import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { useBrowser } from '../support/browser.ts';
import { HAS_BROWSER } from '../support/chromium.ts';
import { ROOT_KEY, useTestBed } from '../support/posthorn.ts';

describe.skipIf(!HAS_BROWSER)('GraphiQL', () => {
  const bed = useTestBed({ role: 'api' });
  const { openPage } = useBrowser(() => bed.url);

  /** Opens it, and notes the status of every answer. */
  async function openGraphiql(key: string | null): Promise<{ page: Page; statuses: number[] }> {
    const page = await openPage({ key });
    const statuses: number[] = [];
    page.on('response', (response) => response.request().method() === 'POST' && statuses.push(response.status()));
    await page.goto('/graphql');
    await page.getByRole('button', { name: 'Execute query' }).waitFor();
    return { page, statuses };
  }

  const open = async (page: Page, operation: string) => {
    await page.goto(`/graphql?query=${encodeURIComponent(operation)}`);
    await page.getByRole('button', { name: 'Execute query' }).click();
  };

  it('reads the schema, queries and follows with the session of a user who is signed in, and nothing is refused', async () => {
    const { page, statuses } = await openGraphiql(ROOT_KEY);
    await open(page, '{ viewer { kind } }');
    await page.locator('.result-window', { hasText: 'OPERATOR' }).waitFor();
    await open(page, 'subscription { deliveryStats(intervalSeconds: 1) { waiting } }');
    await page.locator('.result-window', { hasText: 'waiting' }).waitFor();
    expect(statuses.length).toBeGreaterThan(0);
    expect(new Set(statuses)).toEqual(new Set([200]));
  }, 60_000);

  it('says how to enter a key if nobody is signed in', async () => {
    const { page } = await openGraphiql(null);
    await page.getByText('otherwise enter an API key', { exact: false }).waitFor();
  }, 60_000);
});
