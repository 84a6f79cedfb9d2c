import { beforeEach, describe, expect, it } from 'vitest';
import { useBrowser } from '../support/browser.ts';
import { HAS_BROWSER } from '../support/chromium.ts';
import { until, useTestBed } from '../support/posthorn.ts';
import { useReceiver } from '../support/receiver.ts';

describe.runIf(HAS_BROWSER)('events in the dashboard', () => {
  const bed = useTestBed();
  const receiver = useReceiver();
  const { openPage } = useBrowser(() => bed.url);

  let key: string;
  beforeEach(async () => {
    ({ key } = await bed.createTenant('acme'));
  });

  const createEndpoint = (name: string, eventTypes: string[]) =>
    bed.createEndpoint({ url: receiver.url(`/${name}`), name, eventTypes }, { key });

  it('say what to do while there are none', async () => {
    const page = await openPage({ key, path: '/events' });
    await page.getByText('No events').waitFor();
    await page.getByRole('button', { name: 'Publish a test event' }).last().click();
    await page.getByRole('dialog', { name: 'Publish a test event' }).waitFor();
  });

  it('are published from a form that checks JSON, and sent to the letter', async () => {
    await createEndpoint('target', ['order.*']);
    const page = await openPage({ key, path: '/events?publish' });
    const form = page.getByRole('dialog');
    await form.getByLabel('Type').fill('order.paid');
    await form.getByLabel('Payload').fill('{"total": 1.50,}');
    await form.getByRole('button', { name: 'Publish' }).click();
    await form.getByText(/This is no JSON/).waitFor();
    expect(receiver.requests).toEqual([]);
    const body = '{"total": 12345678901234567890}';
    await form.getByLabel('Payload').fill(body);
    await form.getByLabel('Source key').fill('order-17');
    await form.getByRole('button', { name: 'Publish' }).click();
    await page.getByRole('heading', { name: 'order.paid' }).waitFor();
    await page.getByText('Delivered', { exact: true }).first().waitFor();
    await page.getByText('order-17').first().waitFor();
    expect(receiver.requests.map((request) => request.body.toString())).toEqual([body]);
  });

  it('say what the server finds wrong, at the field', async () => {
    const page = await openPage({ key, path: '/events?publish' });
    const form = page.getByRole('dialog');
    await form.getByLabel('Type').fill('not a type');
    await form.getByRole('button', { name: 'Publish' }).click();
    await form.getByText(/letters, digits/).waitFor();
    expect(await form.getByLabel('Type').getAttribute('aria-invalid')).toBe('true');
  });

  it('that come in show up by themselves, with their status', async () => {
    await createEndpoint('target', ['*']);
    const page = await openPage({ key, path: '/events' });
    await page.getByText('No events').waitFor();
    await bed.publish({ type: 'thing.happened', sourceKey: 'seen-live' }, { key });
    const row = page.getByRole('row', { name: /seen-live/ });
    await row.getByText('Delivered').waitFor();
  });

  it('are walked and opened by keys', async () => {
    const { id } = await bed.publish({ type: 'first.thing' }, { key });
    await bed.publish({ type: 'second.thing' }, { key });
    const page = await openPage({ key, path: '/events' });
    await page.getByText('first.thing').waitFor();
    for (const pressed of ['j', 'j', 'j']) await page.keyboard.press(pressed);
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/events/${id}`);
  });

  it('are sent again to all endpoints that match, or to one', async () => {
    await createEndpoint('first', ['thing.*']);
    const { id, deliveryIds } = await bed.publish({ type: 'thing.happened' }, { key });
    await until(() => receiver.requests.length === 1, 'the first request');
    await createEndpoint('second', ['thing.*']);
    const page = await openPage({ key, path: `/events/${id}` });
    await page.locator(`tr[data-delivery="${deliveryIds[0]}"]`).getByText('Delivered').waitFor();
    await page.getByRole('button', { name: 'Send again' }).click();
    await page.getByRole('menuitem', { name: 'To all endpoints that match today' }).click();
    await page.getByText('Event queued for retry to 2 webhook(s).').waitFor();
    await until(() => receiver.requests.length === 3, 'both endpoints to get it');
    await page.getByRole('button', { name: '1 new delivery' }).click();
    await page.getByText('second', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Send again' }).click();
    await page.getByRole('menuitem', { name: /^second/ }).click();
    await until(() => receiver.requests.length === 4, 'the one endpoint to get it');
    expect(receiver.requests.map(({ path }) => path).filter((path) => path === '/second').length).toBe(2);
  });
});
