import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { findBarriers, useBrowser } from '../support/browser.ts';
import { HAS_BROWSER } from '../support/chromium.ts';
import { useTestBed } from '../support/posthorn.ts';
import { useReceiver } from '../support/receiver.ts';

describe.runIf(HAS_BROWSER)('every page', () => {
  const bed = useTestBed();
  const receiver = useReceiver();
  const { openPage } = useBrowser(() => bed.url);

  /** Paths of all pages, with something on each. */
  const paths: Record<string, string> = {};
  beforeAll(async () => {
    receiver.answer = ({ path }) => ({ status: path === '/bad' ? 503 : 200, body: '{"ok":true}' });
    const good = await bed.createEndpoint({ url: receiver.url('/good'), name: 'good', headers: { 'x-own': '1' } });
    await bed.createEndpoint({ url: receiver.url('/bad'), name: 'bad', eventTypes: ['bad.*'], rateLimitPerSecond: 5 });
    const paused = await bed.createEndpoint({ url: receiver.url('/paused'), name: 'paused' });
    await bed.ask(`mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }`, {
      id: paused.id,
    });
    const { id: eventId, deliveryIds } = await bed.publish({ type: 'bad.thing', sourceKey: 'thing-1' });
    for (let count = 0; count < 6; count += 1) await bed.publish({ type: 'bad.thing', sourceKey: 'a'.repeat(60) });
    Object.assign(paths, {
      overview: '/?window=now',
      deliveries: '/deliveries',
      delivery: `/deliveries/${deliveryIds[1]}`,
      events: '/events',
      event: `/events/${eventId}`,
      publish: '/events?publish',
      endpoints: '/endpoints',
      'new endpoint': '/endpoints?new',
      endpoint: `/endpoints/${good.id}`,
      'endpoint settings': `/endpoints/${good.id}?tab=settings`,
      'endpoint signing': `/endpoints/${good.id}?tab=signing`,
      settings: '/settings',
      nowhere: '/no/such/page',
    });
  });

  async function forEachPage(page: Page, look: (name: string) => Promise<void>) {
    for (const [name, path] of Object.entries(paths)) {
      await page.goto(path);
      await page.locator('main').locator('h1, p').first().waitFor();
      // Spinners have names of their own: what they stand for is wanted.
      await page.waitForFunction(() => !document.querySelector('main [role=status][aria-label^=Loading]'));
      await look(name);
    }
  }

  it.each(['light', 'dark'] as const)('can be used by everybody, %s', { timeout: 120_000 }, async (colorScheme) => {
    const page = await openPage({ colorScheme });
    const found: Record<string, string[]> = {};
    await forEachPage(page, async (name) => {
      const barriers = await findBarriers(page);
      if (barriers.length > 0) found[name] = barriers;
    });
    expect(found).toEqual({});
  });

  it.each(['light', 'dark'] as const)('lets everybody sign in, %s', async (colorScheme) => {
    const page = await openPage({ key: null, colorScheme });
    await page.getByLabel('API key').waitFor();
    expect(await findBarriers(page)).toEqual([]);
  });

  it('fits into 360 pixels', { timeout: 60_000 }, async () => {
    const page = await openPage({ viewport: { width: 360, height: 740 } });
    const tooWide: string[] = [];
    await forEachPage(page, async (name) => {
      const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (over > 0) tooWide.push(`${name}: ${over} px`);
    });
    expect(tooWide).toEqual([]);
  });

  it('is walked by keyboard from its first link to the search, and the menus close with Escape', async () => {
    const page = await openPage();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('/');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toMatch(/^Search/);
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: 'Deliveries' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Deliveries' }).waitFor();
  });
});
