import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { useBrowser } from '../support/browser.ts';
import { HAS_BROWSER } from '../support/chromium.ts';
import { until, useTestBed } from '../support/posthorn.ts';
import { useReceiver } from '../support/receiver.ts';

/** No retry comes between a failure and what a person does. */
const LATER = { maxRetries: 3, delaysSeconds: [3_600] };

describe.runIf(HAS_BROWSER)('the list of deliveries', () => {
  const bed = useTestBed();
  const receiver = useReceiver();
  const { openPage } = useBrowser(() => bed.url);

  let key: string;
  beforeEach(async () => {
    ({ key } = await bed.createTenant('acme'));
    receiver.answer = ({ path }) => ({ status: path.startsWith('/bad') ? 500 : 200 });
  });

  const createEndpoint = (path: string, eventTypes: string[]) =>
    bed.createEndpoint({ url: receiver.url(path), name: path, eventTypes, retryPolicy: LATER }, { key });

  /** Publishes so many events. @returns IDs of their deliveries, oldest first */
  async function publish(type: string, count = 1): Promise<string[]> {
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const { deliveryIds } = await bed.publish({ type, sourceKey: `${type}-${index}` }, { key });
      ids.push(...deliveryIds);
    }
    return ids;
  }

  const rows = (page: Page) => page.locator('tr[data-delivery]');
  const row = (page: Page, id: string) => page.locator(`tr[data-delivery="${id}"]`);

  it('changes rows in place, and announces new ones without moving what one reads', async () => {
    await createEndpoint('/bad', ['thing.*']);
    const [first = ''] = await publish('thing.happened');
    const page = await openPage({ key, path: '/deliveries' });
    await row(page, first).getByText('Retrying').waitFor();
    receiver.answer = () => ({ status: 200 });
    await bed.ask(
      `mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) { __typename } }`,
      { id: first },
      { key },
    );
    await row(page, first).getByText('Delivered').waitFor();
    const [second = ''] = await publish('thing.again');
    await page.getByRole('button', { name: '1 new delivery' }).waitFor();
    expect(await rows(page).count()).toBe(1);
    await page.getByRole('button', { name: '1 new delivery' }).click();
    await row(page, second).getByText('thing.again').waitFor();
    expect(await rows(page).count()).toBe(2);
  });

  it('filters by what the address says, and writes filters into it', async () => {
    await createEndpoint('/good', ['good.*']);
    const bad = await createEndpoint('/bad', ['bad.*']);
    const [good = ''] = await publish('good.thing');
    const [failed = ''] = await publish('bad.thing');
    const page = await openPage({ key, path: `/deliveries?endpoint=${bad.id}&status=RETRYING&response=500` });
    await row(page, failed).waitFor();
    expect(await rows(page).count()).toBe(1);
    await page.getByRole('button', { name: 'Clear', exact: true }).click();
    await row(page, good).waitFor();
    expect(new URL(page.url()).search).toBe('');
    await page.getByRole('textbox', { name: 'Source key', exact: true }).fill('good.thing-0');
    await page.waitForURL(/sourceKey=good\.thing-0/);
    await row(page, failed).waitFor({ state: 'detached' });
    await row(page, good).waitFor();
    await page.getByRole('textbox', { name: 'Source key', exact: true }).fill('nobody');
    await page.getByText('None fits these filters').waitFor();
  });

  it('retries those that are selected, says how many before, and what became of them', async () => {
    await createEndpoint('/bad', ['thing.*']);
    const ids = await publish('thing.happened', 3);
    for (const id of ids) await bed.waitForStatus(id, 'RETRYING').catch(() => {});
    const page = await openPage({ key, path: '/deliveries' });
    for (const id of ids.slice(0, 2)) await row(page, id).getByRole('checkbox').check();
    receiver.answer = () => ({ status: 200 });
    await page.getByRole('region', { name: 'Selection' }).getByRole('button', { name: 'Retry' }).click();
    await page.getByText('Retry 2 deliveries? ').waitFor();
    await page.getByRole('button', { name: 'Retry 2 deliveries' }).click();
    await page.getByText('Retried 2 deliveries.').waitFor();
    await page.getByRole('button', { name: 'Done' }).click();
    for (const id of ids.slice(0, 2)) await row(page, id).getByText('Delivered').waitFor();
    expect(
      await row(page, ids[2] as string)
        .getByText('Retrying')
        .count(),
    ).toBe(1);
  });

  it('cancels all that match a filter, however many pages they are', async () => {
    const { id } = await createEndpoint('/bad', ['thing.*']);
    await bed.ask(`mutation ($id: ID!) { pauseEndpoint(input: { endpointId: $id }) { __typename } }`, { id }, { key });
    const events = Array.from({ length: 250 }, () => ({ type: 'thing.happened', payload: {} }));
    await bed.ask(
      `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) { __typename } }`,
      { events },
      { key },
    );
    const page = await openPage({ key, path: '/deliveries?status=HELD' });
    await rows(page).first().waitFor();
    await page.getByLabel('Select all rows loaded').check();
    await page.getByRole('button', { name: 'Select all that match' }).click();
    await page.getByRole('button', { name: 'Cancel deliveries' }).click();
    await page.getByRole('button', { name: 'Cancel 250 deliveries' }).click();
    await page.getByText('Canceled 250 deliveries.').waitFor();
    const count = await bed.ask(`{ deliveryCount(filter: { statuses: [CANCELED] }) }`, {}, { key });
    expect(count).toBe(250);
  });

  it('scrolls through thousands of rows with few of them in the page', { timeout: 60_000 }, async () => {
    await createEndpoint('/good', ['thing.*']);
    const events = Array.from({ length: 1_000 }, () => ({ type: 'thing.happened', payload: {} }));
    for (let part = 0; part < 2; part += 1) {
      await bed.ask(
        `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) { __typename } }`,
        { events },
        { key },
      );
    }
    const page = await openPage({ key, path: '/deliveries' });
    await rows(page).first().waitFor();
    const scroller = page.locator('table').locator('xpath=..');
    await until(async () => {
      await scroller.evaluate((element) => element.scrollTo(0, element.scrollHeight));
      return (await page.locator('table').getAttribute('aria-rowcount')) === '2001';
    }, 'all rows to be loaded');
    await scroller.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    await page.locator('tr[aria-rowindex="2001"]').waitFor();
    expect(await rows(page).count()).toBeLessThan(100);
  });

  it('is walked, selected, opened and retried by keys', async () => {
    await createEndpoint('/bad', ['thing.*']);
    const [older = '', newer = ''] = await publish('thing.happened', 2);
    const page = await openPage({ key, path: '/deliveries' });
    await row(page, newer).getByText('Retrying').waitFor();
    await row(page, older).getByText('Retrying').waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    expect(await row(page, older).getAttribute('data-active')).not.toBeNull();
    await page.keyboard.press('x');
    expect(await row(page, older).getByRole('checkbox').isChecked()).toBe(true);
    await page.keyboard.press('Escape');
    await page.keyboard.press('k');
    receiver.answer = () => ({ status: 200 });
    await page.keyboard.press('r');
    await row(page, newer).getByText('Delivered').waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/deliveries/${older}`);
  });

  it('counts a key that is held down once, and leaves Enter to what it stands on', async () => {
    receiver.answer = () => ({ status: 200 });
    await createEndpoint('/good', ['thing.*']);
    const [id = ''] = await publish('thing.happened');
    await bed.ask(`{ viewer { kind } }`, {}, { key });
    const page = await openPage({ key, path: '/deliveries' });
    await row(page, id).getByText('Delivered').waitFor();
    await page.keyboard.press('j');
    for (let count = 0; count < 10; count += 1) await page.keyboard.down('r');
    await page.keyboard.up('r');
    await until(() => receiver.requests.length === 2, 'the retry');
    await page.keyboard.press('x');
    await page.keyboard.press('r');
    await page.getByRole('dialog').getByText('Retry 1 delivery?').waitFor();
    await page.keyboard.press('Enter');
    await page.getByText('Retried 1 delivery.').waitFor();
    expect(new URL(page.url()).pathname).toBe('/deliveries');
    await until(() => receiver.requests.length === 3, 'the second retry');
  });

  it('lists nothing by filters that it does not understand, and says so', async () => {
    await createEndpoint('/good', ['thing.*']);
    await publish('thing.happened');
    const page = await openPage({ key, path: '/deliveries?status=FAILEDD&response=5xx' });
    await page.getByText('There is no status FAILEDD.').waitFor();
    await page.getByText('not 5xx').waitFor();
    expect(await rows(page).count()).toBe(0);
  });

  it('is searched from anywhere with /', async () => {
    await createEndpoint('/good', ['thing.*']);
    const [id = ''] = await publish('thing.happened');
    const { attempts } = await until(async () => {
      const read = await bed.ask(
        `query ($id: ID!) { delivery(id: $id) { attempts { edges { node { id } } } } }`,
        { id },
        { key },
      );
      return read.attempts.edges.length > 0 && read;
    }, 'an attempt');
    const page = await openPage({ key });
    await page.keyboard.press('/');
    await page.keyboard.type(attempts.edges[0].node.id);
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/deliveries/${id}?attempt=${attempts.edges[0].node.id}`);
    await page.keyboard.press('/');
    await page.keyboard.type('thing.happened');
    await page.getByRole('option', { name: 'Deliveries of event type “thing.happened”' }).waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL('**/deliveries?type=thing.happened');
    await row(page, id).waitFor();
  });
});

describe.runIf(HAS_BROWSER)('one delivery', () => {
  const bed = useTestBed();
  const receiver = useReceiver();
  const { openPage } = useBrowser(() => bed.url);

  async function deliver(answer: { status: number; body?: string }, path = '/hook') {
    receiver.answer = () => answer;
    const { id: endpointId } = await bed.createEndpoint({
      ...{ url: receiver.url(path), name: 'target', eventTypes: [`t${path.slice(1)}.*`], retryPolicy: LATER },
      headers: { 'x-token': 'secret-of-mine' },
    });
    const published = await bed.publish({ type: `t${path.slice(1)}.done`, payload: { quote: "it's" } });
    const id = published.deliveryIds[0] as string;
    await bed.waitForStatus(id, 'RETRYING', 'DELIVERED', 'FAILED');
    return { id, endpointId };
  }

  it('shows what was sent and answered, in words, and when the next attempt comes', async () => {
    const { id } = await deliver({ status: 503, body: '{"busy":true}' }, '/shown');
    const page = await openPage({ path: `/deliveries/${id}` });
    await page.getByRole('heading', { name: 'tshown.done' }).waitFor();
    await page.getByText('Answer 503').waitFor();
    await page.getByText('Automatic retry 1 of 3').waitFor();
    await page.getByText(/^in (\d:)?\d\d:\d\d$/).waitFor();
    await page.getByText('hidden: it may be a secret').waitFor();
    await page.getByRole('region', { name: 'Response body' }).getByText('busy').waitFor();
    expect(await page.getByText('secret-of-mine').count()).toBe(0);
  });

  it('marks where an answer was cut', async () => {
    const { id } = await deliver({ status: 500, body: 'x'.repeat(5_000) }, '/cut');
    const page = await openPage({ path: `/deliveries/${id}` });
    await page.getByText('Cut here: the first 4,096 bytes are kept.').waitFor();
  });

  it('is repeated by its curl command, to the letter', async () => {
    const { id } = await deliver({ status: 200 }, '/curl');
    const page = await openPage({ path: `/deliveries/${id}` });
    const command = await page.getByRole('region', { name: 'curl command' }).innerText();
    const [first] = receiver.requests;
    await promisify(execFile)('sh', ['-c', `${command} -sS`]);
    const again = receiver.requests.at(-1);
    expect(receiver.requests.length).toBe(2);
    expect(again?.body).toEqual(first?.body);
    expect(again?.headers['webhook-signature']).toBe(first?.headers['webhook-signature']);
    expect(again?.path).toBe(first?.path);
  });

  it.each(['@/etc/hostname', '{"a":"[1-3]{x,y}"}', "it's $(touch /tmp/never) `no` \\\\"])(
    'has a curl command that sends nothing but its body: %s',
    async (body) => {
      receiver.answer = () => ({ status: 200 });
      await bed.createEndpoint({ url: receiver.url('/odd?x=[1-3]'), name: 'odd', eventTypes: ['odd.*'] });
      const { deliveryIds } = await bed.publish({ type: 'odd.body', body });
      const [id = ''] = deliveryIds;
      await bed.waitForStatus(id, 'DELIVERED');
      const page = await openPage({ path: `/deliveries/${id}` });
      const command = await page.getByRole('region', { name: 'curl command' }).innerText();
      const before = receiver.requests.length;
      await promisify(execFile)('sh', ['-c', `${command} -sS`]);
      expect(receiver.requests.slice(before).map((request) => request.body.toString())).toEqual([body]);
      await bed.ask(`mutation ($id: ID!) { deleteEndpoint(input: { endpointId: $id }) { __typename } }`, {
        id: (await bed.ask(`query ($id: ID!) { delivery(id: $id) { endpoint { id } } }`, { id })).endpoint.id,
      });
    },
  );

  it('whose body would act on a terminal has no curl command', async () => {
    await bed.createEndpoint({ url: receiver.url('/esc'), name: 'esc', eventTypes: ['esc.*'] });
    const { deliveryIds } = await bed.publish({ type: 'esc.body', body: '\u001b[201~reboot' });
    const page = await openPage({ path: `/deliveries/${deliveryIds[0]}` });
    await page.getByText('no command line can hold them safely').waitFor();
  });

  it('shows an answer that is nested without end as the text it is', async () => {
    const { id } = await deliver({ status: 500, body: '['.repeat(2_000) + ']'.repeat(2_000) }, '/deep');
    const page = await openPage({ path: `/deliveries/${id}` });
    await page.getByRole('region', { name: 'Response body' }).getByText('[[[[').waitFor();
  });

  it('is retried with a button and with r, and shows the attempt as it is made', async () => {
    const { id } = await deliver({ status: 500 }, '/again');
    const page = await openPage({ path: `/deliveries/${id}` });
    await page.getByText('Answer 500').waitFor();
    await page.keyboard.press('r');
    await page.getByText('Retry by hand after').waitFor();
    receiver.answer = () => ({ status: 200 });
    await page.getByRole('button', { name: 'Retry with the whole schedule' }).click();
    await page.getByText('Answer 200').waitFor();
    await page.getByText('Delivered', { exact: true }).first().waitFor();
  });

  it('says why it can not be retried or canceled', async () => {
    const { id, endpointId } = await deliver({ status: 200 }, '/refused');
    const pause = `mutation ($id: ID!) { disableEndpoint(input: { endpointId: $id }) { __typename } }`;
    await bed.ask(pause, { id: endpointId });
    const page = await openPage({ path: `/deliveries/${id}` });
    const retry = page.getByRole('button', { name: 'Retry now' });
    await retry.waitFor();
    expect(await retry.getAttribute('aria-disabled')).toBe('true');
    await retry.hover();
    await page.getByRole('tooltip').getByText('Its endpoint is disabled: enable it first.').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).focus();
    await page.getByRole('tooltip').getByText('It is at its end').waitFor();
  });

  it('is canceled', async () => {
    const { id } = await deliver({ status: 500 }, '/canceled');
    const page = await openPage({ path: `/deliveries/${id}` });
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Canceled', { exact: true }).first().waitFor();
    expect((await bed.readDelivery(id)).status).toBe('CANCELED');
  });

  it('that is not there says so', async () => {
    const page = await openPage({ path: '/deliveries/dlv_01h455vb4pex5vsknk084sn02q' });
    await page.getByText('There is no such delivery').waitFor();
  });
});
