import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { launchBrowser } from './chromium.ts';
import { ROOT_KEY } from './posthorn.ts';

/** Signs a page in as people do. @param key @default the operator's */
export async function signIn(page: Page, url: string, key = ROOT_KEY): Promise<void> {
  await page.goto(url);
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Pages' }).waitFor({ state: 'attached' });
}

/** What breaks the rules of WCAG 2 AA on a page, in words. */
export async function findBarriers(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'])
    .analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary?.slice(0, 200)}`),
  );
}

export interface OpenOptions extends BrowserContextOptions {
  /** @default the operator's; null: nobody is signed in */
  key?: string | null;
  /** Where the page begins. @default `/` */
  path?: string;
}

/** A browser for the tests of a file; each page has a session of its own. What a page reports as wrong fails its test. */
export function useBrowser(url: () => string) {
  let browser: Browser;
  const open = new Set<Page>();
  const faults: string[] = [];
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterEach(async () => {
    for (const page of open) await page.context().close();
    open.clear();
    expect(faults.splice(0)).toEqual([]);
  });
  afterAll(() => browser.close());

  const openPage = async ({ key = ROOT_KEY, path = '/', ...options }: OpenOptions = {}): Promise<Page> => {
    const context = await browser.newContext({ baseURL: url(), reducedMotion: 'reduce', ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    open.add(page);
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      // What can't be reached is tested on purpose.
      const isNetwork = message.text().startsWith('Failed to load resource') || message.text().includes('WebSocket');
      if (message.type() === 'error' && !isNetwork) faults.push(message.text());
    });
    if (key !== null) {
      await signIn(page, url(), key);
      if (path === '/') return page;
    }
    await page.goto(path);
    return page;
  };
  return { openPage };
}
