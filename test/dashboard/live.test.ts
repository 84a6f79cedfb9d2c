import { beforeEach, describe, expect, it } from 'vitest';
import { useBrowser } from '../support/browser.ts';
import { HAS_BROWSER } from '../support/chromium.ts';
import { useNetwork } from '../support/network.ts';
import { useTestBed } from '../support/posthorn.ts';
import { useReceiver } from '../support/receiver.ts';

const LATER = { maxRetries: 3, delaysSeconds: [3_600] };

describe.runIf(HAS_BROWSER)('the dashboard, live', () => {
  const bed = useTestBed();
  const receiver = useReceiver();
  const { openPage } = useBrowser(() => bed.url);

  let key: string;
  beforeEach(async () => {
    ({ key } = await bed.createTenant('acme'));
    receiver.answer = ({ path }) => ({ status: path === '/bad' ? 500 : 200 });
    await bed.createEndpoint(
      { url: receiver.url('/bad'), name: 'bad', eventTypes: ['bad.*'], retryPolicy: LATER },
      { key },
    );
  });

  const failOne = async () => {
    const { deliveryIds } = await bed.publish({ type: 'bad.thing' }, { key });
    await bed.waitForStatus(deliveryIds[0] as string, 'RETRYING').catch(() => {});
    return deliveryIds[0] as string;
  };

  it('shows in one window what is done in another', async () => {
    const id = await failOne();
    const [left, right] = [
      await openPage({ key, path: '/deliveries' }),
      await openPage({ key, path: `/deliveries/${id}` }),
    ];
    await left.locator(`tr[data-delivery="${id}"]`).getByText('Retrying').waitFor();
    receiver.answer = () => ({ status: 200 });
    await right.getByRole('button', { name: 'Retry now' }).click();
    await left.locator(`tr[data-delivery="${id}"]`).getByText('Delivered').waitFor();
    await right.getByText('Answer 200').waitFor();
  });

  it('says that it is offline, and shows what it missed when it is back', async () => {
    const id = await failOne();
    const page = await openPage({ key, path: '/deliveries' });
    const row = page.locator(`tr[data-delivery="${id}"]`);
    await row.getByText('Retrying').waitFor();
    await page.getByTestId('connection').getByText('Live').waitFor();
    await page.context().setOffline(true);
    await page.getByTestId('connection').getByText('Offline').waitFor();
    receiver.answer = () => ({ status: 200 });
    await bed.ask(`mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) { __typename } }`, { id }, { key });
    await bed.publish({ type: 'bad.other' }, { key });
    expect(await row.getByText('Retrying').count()).toBe(1);
    await page.context().setOffline(false);
    await row.getByText('Delivered').waitFor();
    await page.getByRole('button', { name: '1 new delivery' }).waitFor();
    await page.getByTestId('connection').getByText('Live').waitFor();
  });

  it('counts what happens on the overview, and names endpoints in trouble first', async () => {
    await bed.createEndpoint({ url: receiver.url('/good'), name: 'good', eventTypes: ['good.*'] }, { key });
    const page = await openPage({ key, path: '/?window=now' });
    await page.getByText('All 2 endpoints are fine.').waitFor();
    await bed.publish({ type: 'good.thing' }, { key });
    for (let count = 0; count < 6; count += 1) await bed.publish({ type: 'bad.thing' }, { key });
    const tile = (name: string) => page.locator('dl', { hasText: name }).locator('dd').first();
    await tile('Published').getByText('7').waitFor();
    await tile('Delivered').getByText('1', { exact: true }).waitFor();
    await page.getByRole('log', { name: 'Latest changes' }).getByText('good.thing').first().waitFor();
    await page.getByText('6 failures in a row').waitFor();
    await page.getByText('Week', { exact: true }).click();
    await tile('Published').getByText('7').waitFor();
  });
});

describe.runIf(HAS_BROWSER)('a dashboard whose server goes away', () => {
  const bed = useTestBed();
  const receiver = useReceiver();
  const network = useNetwork(() => bed.url);
  const { openPage } = useBrowser(() => new URL(network.url).origin);

  it('says that it connects again, and goes on where it was', async () => {
    await bed.createEndpoint({ url: receiver.url('/good'), name: 'good' });
    const page = await openPage({ path: '/deliveries' });
    await page.getByText('No deliveries').waitFor();
    await bed.publish({ type: 'before.that' });
    await page.getByText('before.that').waitFor();
    await page.getByTestId('connection').getByText('Live').waitFor();
    network.hold();
    network.cut();
    await page.getByTestId('connection').getByText('Reconnecting').waitFor();
    await bed.publish({ type: 'while.away' });
    network.release();
    await page.getByRole('button', { name: '1 new delivery' }).waitFor();
    await page.getByTestId('connection').getByText('Live').waitFor();
  });
});
